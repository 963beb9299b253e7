"""Positions: what a reader already has, and whether the log can take it from there.

A log that was restored from an older backup counts on from a lower number: seq 41 then names another
event than the one a reader has seen under 41. So a position is never a number alone. It is a pair with
the stream's epoch, which changes exactly when continuity was lost; readers of another epoch are told so,
and reload.
"""

from dataclasses import dataclass

from core.errors import Code, TidingsError

SEPARATOR = ":"
DIGITS_MAX = 16


@dataclass(frozen=True, slots=True)
class Position:
    """A reader has everything of `epoch` up to `number` (a `seq` or an `offset`; 0: nothing yet)."""

    epoch: str
    number: int

    def __str__(self) -> str:
        return f"{self.epoch}{SEPARATOR}{self.number}"


def parse_position(text: str) -> Position:
    """Read `<epoch>:<number>`; a number alone means the present epoch.

    Raises:
        TidingsError: `validation_failed`.
    """
    epoch, _, number = text.rpartition(SEPARATOR)
    if not number.isascii() or not number.isdigit() or len(number) > DIGITS_MAX:
        raise TidingsError(Code.VALIDATION_FAILED, "A position is <epoch>:<number>.")
    return Position(epoch, int(number))


def is_recoverable(asked: Position, *, epoch: str, first: int, last: int) -> bool:
    """Say whether everything after `asked` can be delivered.

    How many publications are missed does not matter: only another epoch, a position older than what is
    kept, and one from the future can't be served.

    Args:
        asked: the reader's position; an empty epoch stands for the present one.
        epoch: of the stream.
        first: oldest number that can be read; last + 1 when nothing can.
        last: newest number.
    """
    if asked.epoch not in ("", epoch) or asked.number > last:
        return False
    return asked.number == last or first <= asked.number + 1


def require_readable(asked: Position, *, epoch: str, first: int, last: int) -> None:
    """Accept a position from which everything that came later can be read.

    Args:
        asked: the reader's position; an empty epoch stands for the present one.
        epoch: of the stream.
        first: oldest number that can be read; last + 1 when nothing can.
        last: newest number.

    Raises:
        TidingsError: `history_expired`, or `epoch_changed`, also for a position that was never given: its
            reader has seen what this log does not have. Both name the positions that can be read from.
    """
    if is_recoverable(asked, epoch=epoch, first=first, last=last):
        return
    oldest, newest = Position(epoch, max(first - 1, 0)), Position(epoch, last)
    readable = {"epoch": epoch, "first": str(oldest), "last": str(newest)}
    if asked.epoch not in ("", epoch):
        raise TidingsError(Code.EPOCH_CHANGED, readable=readable)
    if asked.number > last:
        detail = (
            f"The position is beyond the newest one, {newest}: send one that this log has given, or reload "
            "the state and start from the range named."
        )
        raise TidingsError(Code.EPOCH_CHANGED, detail, readable=readable)
    raise TidingsError(Code.HISTORY_EXPIRED, readable=readable)

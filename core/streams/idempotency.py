"""Idempotency keys: one effect and one answer for the same request, a refusal for another under its key."""

import re
from typing import Final

import msgspec

from core.errors import Code
from core.streams.append import KeyRow
from core.streams.command import Command
from core.streams.outcome import Committed, Outcome, Refused

# What was decided inside the transaction; everything else may go differently the next time.
STORED_REFUSALS: Final = frozenset(
    code.value
    for code in (
        Code.NOT_FOUND,
        Code.CONFLICT,
        Code.ALREADY_EXISTS,
        Code.HISTORY_EXPIRED,
        Code.PRECONDITION_FAILED,
        Code.RULE_VIOLATED,
    )
)

KEY_CHARACTERS_MAX: Final = 255
_KEY: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,255}", re.ASCII)
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Committed | Refused)


def is_key(text: str) -> bool:
    r"""Say whether a client may send this: 1 to 255 visible ASCII characters but `"` and `\`."""
    return _KEY.fullmatch(text) is not None


def answer_of(outcome: Outcome, event_id: bytes = b"") -> bytes | None:
    """Return what is stored under the key with this outcome, or None when a repeat shall be decided anew."""
    match outcome:
        case Committed():
            return _ENCODER.encode(outcome)
        case Refused(code=code) if code in STORED_REFUSALS:
            return _ENCODER.encode(msgspec.structs.replace(outcome, event_id=event_id))
        case _:
            return None


def replay(row: KeyRow, command: Command) -> Committed | Refused:
    """Return the answer to a command whose key was used: the first again, or a refusal of another request."""
    if row.fingerprint != command.fingerprint:
        return Refused(Code.IDEMPOTENCY_MISMATCH.value, "The key belongs to another request.")
    first: Committed | Refused = _DECODER.decode(row.answer)
    return msgspec.structs.replace(first, replayed=True)

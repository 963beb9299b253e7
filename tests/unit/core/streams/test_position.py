"""A read from a position is gapless, or it is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Code, TidingsError
from core.streams.position import Position, is_recoverable, parse_position, require_readable


@given(st.text(alphabet="abcXYZ", min_size=1), st.integers(0, 2**53 - 1))
def test_a_position_is_read_as_it_was_written(epoch: str, number: int) -> None:
    position = Position(epoch, number)
    assert parse_position(str(position)) == position


@pytest.mark.parametrize(
    "text", ["", "abc", "abc:", "abc:-1", "abc:1.5", "abc:99999999999999999", "abc:\u0661"]
)
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(TidingsError):
        parse_position(text)


def test_a_number_alone_means_the_present_epoch() -> None:
    assert parse_position("7") == Position("", 7)


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 60))
def test_a_recoverable_read_has_no_hole(trimmed: int, kept: int, asked: int) -> None:
    first, last = trimmed + 1, trimmed + kept
    entries = range(first, last + 1)
    after = [number for number in entries if number > asked]
    gapless = asked <= last and after == list(range(asked + 1, last + 1))
    assert is_recoverable(Position("e", asked), epoch="e", first=first, last=last) == gapless


@pytest.mark.parametrize(
    ("epoch", "expected"), [("e", True), ("", True), ("other", False)], ids=["same", "empty", "other"]
)
def test_another_epoch_is_never_recovered(epoch: str, *, expected: bool) -> None:
    assert is_recoverable(Position(epoch, 5), epoch="e", first=1, last=5) is expected


def refusal(asked: Position) -> TidingsError:
    with pytest.raises(TidingsError) as caught:
        require_readable(asked, epoch="e", first=4, last=9)
    assert caught.value.members["readable"] == {"epoch": "e", "first": "e:3", "last": "e:9"}
    return caught.value


def test_a_position_that_was_trimmed_away_is_refused_with_the_range_that_is_left() -> None:
    assert refusal(Position("e", 2)).code is Code.HISTORY_EXPIRED
    require_readable(Position("e", 3), epoch="e", first=4, last=9)


def test_a_position_that_this_log_never_gave_means_that_it_lost_its_continuity() -> None:
    changed = refusal(Position("other", 5))
    assert (changed.code, changed.detail) == (Code.EPOCH_CHANGED, "")


@pytest.mark.parametrize("epoch", ["e", ""])
def test_a_position_beyond_the_newest_is_called_so_and_not_a_reset(epoch: str) -> None:
    ahead = refusal(Position(epoch, 10))
    assert ahead.code is Code.EPOCH_CHANGED
    assert "beyond the newest one, e:9" in ahead.detail

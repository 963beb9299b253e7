"""What a namespace shows of the log: all of it, a window at its end, or nothing; the end itself always."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.channels.visible import History, Stored, Visible, visible


@dataclass(frozen=True)
class Shown:
    history: str
    history_size: int = 0
    history_ttl_s: float = 0


WHOLE, OFF = Shown("whole"), Shown("off")
NEWEST_TWO = Shown("window", 2, 60)


@pytest.mark.parametrize(
    ("options", "stored", "expected"),
    [
        (WHOLE, Stored(1, 5, 0, 1), Visible(1, 5)),
        (WHOLE, Stored(1, 5, 0, 10**6), Visible(1, 5)),
        (WHOLE, Stored(4, 5, 0, 1), Visible(4, 5)),
        (WHOLE, Stored(1, 5, 3, 1), Visible(4, 5)),
        (WHOLE, Stored(1, 5, 5, 1), Visible(6, 5)),
        (WHOLE, Stored(1, 5, 7, 1), Visible(6, 5)),
        (WHOLE, Stored(6, 5, 0, None), Visible(6, 5)),
        (OFF, Stored(1, 5, 0, 1), Visible(6, 5)),
        (NEWEST_TWO, Stored(1, 5, 0, 1), Visible(4, 5)),
        (NEWEST_TWO, Stored(1, 1, 0, 1), Visible(1, 1)),
        (NEWEST_TWO, Stored(5, 5, 0, 1), Visible(5, 5)),
        (NEWEST_TWO, Stored(1, 5, 4, 1), Visible(5, 5)),
        (NEWEST_TWO, Stored(1, 5, 0, 59.9), Visible(4, 5)),
        (NEWEST_TWO, Stored(1, 5, 0, 60), Visible(6, 5)),
        (NEWEST_TWO, Stored(6, 5, 0, None), Visible(6, 5)),
        (NEWEST_TWO, Stored(1, 0), Visible(1, 0)),
        (Shown("window", 0, 60), Stored(1, 5, 0, 1), Visible(6, 5)),
        (Shown("window", 2, 0), Stored(1, 5, 0, 0), Visible(6, 5)),
    ],
)
def test_a_channel_shows_what_its_options_say(options: History, stored: Stored, expected: Visible) -> None:
    assert visible(options, stored) == expected


@given(
    st.sampled_from(["whole", "window", "off"]),
    st.integers(0, 20),
    st.floats(0, 100),
    st.integers(0, 50),
    st.integers(0, 50),
    st.integers(0, 60),
    st.none() | st.floats(0, 200),
)
def test_what_is_seen_is_stored_and_ends_at_the_newest(
    history: str, size: int, ttl_s: float, last: int, kept: int, removed: int, age_s: float | None
) -> None:
    stored = Stored(max(last + 1 - kept, 1), last, removed, age_s)
    seen = visible(Shown(history, size, ttl_s), stored)
    assert stored.first_offset <= seen.first_offset <= last + 1
    assert seen.last_offset == last
    assert 0 <= seen.count <= last
    assert all(offset > removed for offset in range(seen.first_offset, last + 1))

"""What a namespace shows of the log: all of it, a window at its end, or nothing; the end itself always."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.channels.namespace import Options
from core.channels.visible import Stored, Visible, visible

WHOLE, OFF = Options(history="whole"), Options()
NEWEST_TWO = Options(history="window", history_size=2, history_ttl_s=60)


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
        (Options(history="window", history_ttl_s=60), Stored(1, 5, 0, 1), Visible(6, 5)),
        (Options(history="window", history_size=2), Stored(1, 5, 0, 0), Visible(6, 5)),
    ],
)
def test_a_channel_shows_what_its_options_say(options: Options, stored: Stored, expected: Visible) -> None:
    assert visible(options, stored) == expected


@given(
    st.builds(
        Options,
        history=st.sampled_from(["whole", "window", "off"]),
        history_size=st.integers(0, 20),
        history_ttl_s=st.integers(0, 100),
    ),
    st.integers(0, 50),
    st.integers(0, 50),
    st.integers(0, 60),
    st.none() | st.floats(0, 200),
)
def test_what_is_seen_is_stored_and_ends_at_the_newest(
    options: Options, last: int, kept: int, removed: int, age_s: float | None
) -> None:
    stored = Stored(max(last + 1 - kept, 1), last, removed, age_s)
    seen = visible(options, stored)
    assert stored.first_offset <= seen.first_offset <= last + 1
    assert seen.last_offset == last
    assert 0 <= seen.count <= last
    assert all(offset > removed for offset in range(seen.first_offset, last + 1))

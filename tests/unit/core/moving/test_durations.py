"""Durations mean here what they mean where they were written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.moving.durations import seconds_of


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("60s", 60),
        ("1h30m", 5400),
        ("1.5h", 5400),
        (".5s", 0.5),
        ("300ms", 0.3),
        ("2us", 2e-6),
        ("2µs", 2e-6),
        ("5ns", 5e-9),
        ("0", 0),
        ("-1s", -1),
        ("+1s", 1),
        ("720h", 2_592_000),
        (1_000_000_000, 1),
        (0.0, 0),
    ],
)
def test_a_duration_is_read(written: str | float, seconds: float) -> None:
    assert seconds_of(written) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "written", ["", "5", "s", "1x", "1s ", " 1s", "1s2", "1..5s", "٣s", "1d", "-", "9" * 30 + "s"]
)
def test_what_is_no_duration_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        seconds_of(written)


@given(st.integers(0, 10**6), st.integers(0, 59), st.integers(0, 59))
def test_parts_add_up(hours: int, minutes: int, seconds: int) -> None:
    assert seconds_of(f"{hours}h{minutes}m{seconds}s") == hours * 3600 + minutes * 60 + seconds

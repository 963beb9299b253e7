"""Three clocks handed in as one value."""

import pytest

from core.connections.moment import Moment
from core.instants import from_seconds

NOW = Moment(100.0, from_seconds(1_800_000_000))


def test_what_never_ends_has_neither_an_end_nor_seconds_left() -> None:
    assert NOW.until(None) == (None, None)


@pytest.mark.parametrize(
    ("ends_s", "expected"),
    [(60, (160.0, 60)), (59.9, (159.9, 59)), (0.25, (100.25, 1)), (0, (100.0, 1)), (-5, (95.0, 1))],
)
def test_an_end_is_told_on_the_monotonic_clock_and_in_whole_seconds_of_at_least_one(
    ends_s: float, expected: tuple[float, int]
) -> None:
    ends_at_s, ttl_s = NOW.until(from_seconds(1_800_000_000 + ends_s))
    assert (ends_at_s, ttl_s) == (pytest.approx(expected[0]), expected[1])


def test_what_ends_later_than_in_a_year_is_looked_at_in_a_year() -> None:
    year_s = 365 * 86_400
    assert NOW.until(from_seconds(2**53)) == (pytest.approx(100.0 + year_s), year_s)


def test_without_jitter_there_is_none() -> None:
    assert NOW.jitter == 0.0

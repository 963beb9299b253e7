"""Instants: integers inside, RFC 3339 with six digits outside."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.instants import DAY, Instant, day_number, format_instant, from_seconds, parse_instant

INSTANTS = st.integers(min_value=0, max_value=4_102_444_800_000_000).map(Instant)


@given(INSTANTS)
def test_what_was_formatted_is_parsed(at: Instant) -> None:
    assert parse_instant(format_instant(at)) == at


def test_the_form_has_six_digits_and_z() -> None:
    assert format_instant(Instant(1_704_067_200_000_001)) == "2024-01-01T00:00:00.000001Z"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2024-01-01T00:00:00Z", 1_704_067_200.0),
        ("2024-01-01t01:30:00.5+01:30", 1_704_067_200.5),
        ("2023-12-31 22:00:00.123456789-02:00", 1_704_067_200.123456),
    ],
)
def test_offsets_and_fractions_are_read(text: str, seconds: float) -> None:
    assert parse_instant(text) == from_seconds(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2024-01-01",
        "2024-13-01T00:00:00Z",
        "2024-02-30T00:00:00Z",
        "2024-01-01T24:00:00Z",
        "2024-01-01T00:00:00",
        "1704067200",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
    ],
)
def test_what_is_no_timestamp_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_instant(text)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z"])
def test_the_first_and_the_last_instant_are_read(text: str) -> None:
    at = parse_instant(text)
    assert format_instant(at) == text
    for offset in ("+00:00", "-00:00"):
        assert parse_instant(text.replace("Z", offset)) == at


@given(INSTANTS)
def test_the_day_is_the_utc_day(at: Instant) -> None:
    assert day_number(at) * DAY <= at < (day_number(at) + 1) * DAY

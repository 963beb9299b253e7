"""Points in time as integers, and the one text form in which they leave the system."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final, NewType

Instant = NewType("Instant", int)
"""Microseconds since 1970-01-01T00:00:00Z. Compared and stored; never read from a clock here."""

MICROSECONDS: Final = 1_000_000
DAY: Final = 86_400 * MICROSECONDS

_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST: Final = (datetime(1, 1, 1, tzinfo=UTC) - _BEGINNING) // timedelta(microseconds=1)
_LAST: Final = (datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC) - _BEGINNING) // timedelta(microseconds=1)
_RFC3339: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)


def day_number(at: Instant) -> int:
    """Return the UTC day of an instant as days since 1970-01-01: the partition in which its rows live."""
    return at // DAY


def from_seconds(seconds: float) -> Instant:
    """Return the instant of a Unix time in seconds, to the microsecond."""
    return Instant(round(seconds * MICROSECONDS))


def format_instant(at: Instant) -> str:
    """Return RFC 3339 in UTC with `Z` and exactly six fraction digits, as every answer shows time."""
    moment = _BEGINNING + timedelta(microseconds=at)
    return f"{moment.isoformat(timespec='microseconds')[:-6]}Z"  # strftime would shorten years before 1000


def parse_instant(text: str) -> Instant:
    """Read RFC 3339 with any offset and up to nine fraction digits (those past the sixth are cut).

    Raises:
        ValueError: the text is no RFC 3339 timestamp, or in UTC it is not in the years 1 to 9999.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(text)
    day, clock, fraction, offset = match.groups()
    moment = datetime.fromisoformat(f"{day}T{clock}{'+00:00' if offset in 'Zz' else offset}")
    whole = (moment - _BEGINNING) // timedelta(microseconds=1)
    if not _FIRST <= whole <= _LAST:
        raise ValueError(text)
    return Instant(whole + int((fraction or "0").ljust(6, "0")[:6]))

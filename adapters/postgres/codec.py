"""Between the database's values and ours: ids, days, instants, and pages of events."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from asyncpg.pgproto.pgproto import UUID

from core.instants import Instant
from core.streams.append import StreamState
from core.streams.event import Event, open_envelope

_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_DAY: Final = date(1970, 1, 1)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Page:
    """Events in their order. `has_more`: the page was cut, by its limit or its bytes; more can be read."""

    events: list[Event]
    has_more: bool


def to_uuid(raw: bytes) -> Any:
    """Return 16 raw bytes as the driver's own UUID, which it encodes fastest."""
    return UUID(raw)


def from_uuid(value: Any) -> bytes:
    """Return a UUID of the driver as 16 raw bytes."""
    raw: bytes = value.bytes
    return raw


@lru_cache(maxsize=512)
def to_date(day: int) -> date:
    """Return a day number as the date that names its partition."""
    return _FIRST_DAY + timedelta(days=day)


def from_date(value: date) -> int:
    """Return the day number of a date."""
    return (value - _FIRST_DAY).days


def to_timestamp(at: int) -> datetime:
    """Return an instant as the driver's timestamp."""
    return _BEGINNING + timedelta(microseconds=at)


def from_timestamp(value: datetime) -> Instant:
    """Return a timestamp of the driver as an instant."""
    return Instant((value - _BEGINNING) // _MICROSECOND)


def stream_state(epoch: str, last_seq: int, last_day: date, last_created_at: datetime | None) -> StreamState:
    """Return where a stream stands; one without events has day 0.

    `last_created_at` is None when there is no newest event any more: then its day is what is known.
    """
    if not last_seq:
        return StreamState(epoch, 0, 0)
    at = 0 if last_created_at is None else from_timestamp(last_created_at)
    return StreamState(epoch, last_seq, from_date(last_day), at)


def event_of(row: Any) -> Event:
    """Return the event of a row that has seq, id, type, created_at, data and envelope."""
    return open_envelope(
        row["envelope"],
        seq=row["seq"],
        id=row["id"].bytes,
        type=row["type"],
        created_at=from_timestamp(row["created_at"]),
        data=row["data"],
    )


def page_of(rows: Sequence[Any]) -> Page:
    """Return the page of rows that each say how many were `found`, one more than wanted among them."""
    return Page([event_of(row) for row in rows], bool(rows) and rows[0]["found"] > len(rows))

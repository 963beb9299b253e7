"""Values come back from the database as they went there."""

from datetime import UTC, date, datetime, timedelta, timezone
from uuid import UUID

import asyncpg
from hypothesis import given
from hypothesis import strategies as st

from adapters.postgres.codec import (
    from_date,
    from_timestamp,
    from_uuid,
    stream_state,
    to_date,
    to_timestamp,
    to_uuid,
)
from core.instants import DAY, Instant, day_number, format_instant
from core.streams.append import StreamState
from core.streams.event import ClientInfo, Event
from tests.helpers.log import LogWriter, commit_connection, make_organization
from tests.helpers.loop import run

YEAR_9999 = 253_402_300_799_999_999
INSTANTS = st.integers(-62_135_596_800_000_000, YEAR_9999).map(Instant)
IDS = st.binary(min_size=16, max_size=16)


@given(INSTANTS)
def test_an_instant_survives_to_the_microsecond(at: Instant) -> None:
    assert from_timestamp(to_timestamp(at)) == at


@given(INSTANTS)
def test_the_day_of_an_instant_is_the_date_of_its_timestamp(at: Instant) -> None:
    day = to_date(day_number(at))
    assert day == to_timestamp(at).date()
    assert from_date(day) == day_number(at)


@given(IDS)
def test_an_id_survives_and_reads_as_a_uuid_does(raw: bytes) -> None:
    assert from_uuid(to_uuid(raw)) == raw
    assert str(to_uuid(raw)) == str(UUID(bytes=raw))


def test_a_timestamp_of_another_zone_is_the_same_instant() -> None:
    there = datetime(2026, 3, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    assert from_timestamp(there) == from_timestamp(datetime(2026, 2, 28, 23, 30, tzinfo=UTC))


def test_the_server_keeps_every_value_as_it_is(database_url: str) -> None:
    async def work() -> None:
        connection = await asyncpg.connect(database_url, server_settings={"timezone": "Pacific/Kiritimati"})
        try:
            for at in (0, 1, 999_999, DAY - 1, DAY, 1_800_000_000_123_457, YEAR_9999 - DAY):
                instant = Instant(at)
                value, text, day = await connection.fetchrow(
                    """
                    SELECT $1::timestamptz, to_char($1 AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                           ($1 AT TIME ZONE 'UTC')::date
                    """,
                    to_timestamp(instant),
                )
                assert from_timestamp(value) == instant
                assert text == format_instant(instant)
                assert from_date(day) == day_number(instant)
            for raw in (bytes(16), b"\xff" * 16, bytes(range(16))):
                assert from_uuid(await connection.fetchval("SELECT $1::uuid", to_uuid(raw))) == raw
        finally:
            await connection.close()

    run(work())


def test_an_event_comes_back_with_everything_that_it_had(database_url: str) -> None:
    async def work() -> None:
        org = await make_organization(database_url)
        writer = LogWriter(org)
        plain = writer.event("room:1")
        full = writer.event("room:1", "raum:ß\u200d😀", data=bytes(range(256)), type="room.updated")
        full = Event(
            *(full.seq, full.id, full.type, full.created_at, full.data, full.entries),
            info=ClientInfo("user", "client", b'{"a":1}'),
            tags={"kind": "ß", "": ""},
            actor="key_1",
            trace_id=b"\0" * 16,
            subject="room/room_1",
        )
        await writer.write(database_url, plain, full)
        async with commit_connection(database_url) as reader:
            assert await reader.find_event(org, plain.id) == plain
            assert await reader.find_event(org, full.id) == full

    run(work())


def test_a_stream_without_events_stands_at_nothing() -> None:
    assert stream_state("epoch", 0, date.min, None) == StreamState("epoch", 0, 0)


def test_a_stream_whose_newest_event_is_gone_still_knows_its_day() -> None:
    assert stream_state("epoch", 7, to_date(20_000), None) == StreamState("epoch", 7, 20_000)
    at = Instant(20_000 * DAY + 5)
    assert stream_state("epoch", 7, to_date(20_000), to_timestamp(at)) == StreamState("epoch", 7, 20_000, at)

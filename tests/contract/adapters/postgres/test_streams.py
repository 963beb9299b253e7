"""Events are read in order, up to the announced head, within their retention, of one organization."""

import pytest
from msgspec.structs import replace

from adapters.postgres.streams import LogReader, Route, RouteReader, StreamHead
from core.errors import Code, TidingsError
from core.streams.event import ClientInfo, Event
from tests.helpers.log import (
    ADDRESS,
    EPOCH,
    OWNER,
    LogWriter,
    commit_connection,
    database_at,
    make_days,
    make_organization,
    new_id,
)
from tests.helpers.loop import run

RETENTION_DAYS = 30


def seqs(events: list[Event]) -> list[int]:
    return [event.seq for event in events]


def test_events_come_back_as_they_were_written(database_url: str) -> None:
    async def work() -> None:
        writer = LogWriter(await make_organization(database_url))
        event = replace(
            writer.event("room:1", "room:2", data=b"\x00not json\xff"),
            info=ClientInfo("ann", "c1", b'{"name":"Ann"}'),
            tags={"lang": "en"},
            actor="key_1",
            trace_id=b"t" * 16,
            subject="message/msg_1",
        )
        await writer.write(database_url, event)
        async with database_at(database_url) as database:
            reader = LogReader(database, retention_days=RETENTION_DAYS)
            assert await reader.events(writer.organization_id, after_seq=0, up_to_seq=1, limit=10) == [event]
            assert await reader.event(writer.organization_id, event.id) == event

    run(work())


def test_a_page_is_contiguous_and_ends_at_the_announced_head(database_url: str) -> None:
    async def work() -> None:
        writer = LogWriter(await make_organization(database_url))
        org = writer.organization_id
        await writer.write(database_url, *(writer.event("a") for _ in range(10)))
        async with database_at(database_url) as database:
            reader = LogReader(database, retention_days=RETENTION_DAYS)
            assert seqs(await reader.events(org, after_seq=0, up_to_seq=7, limit=100)) == [
                1,
                2,
                3,
                4,
                5,
                6,
                7,
            ]
            assert seqs(await reader.events(org, after_seq=3, up_to_seq=10, limit=4)) == [4, 5, 6, 7]
            assert await reader.events(org, after_seq=10, up_to_seq=10, limit=4) == []
            assert await reader.first_seq(org) == 1

    run(work())


def test_a_page_stops_at_its_bytes_but_is_never_empty_for_them(database_url: str) -> None:
    async def work() -> None:
        writer = LogWriter(await make_organization(database_url))
        org = writer.organization_id
        await writer.write(database_url, *(writer.event("a", data=b"x" * 1000) for _ in range(5)))
        async with database_at(database_url) as database:
            reader = LogReader(database, retention_days=RETENTION_DAYS)
            page = await reader.events(org, after_seq=0, up_to_seq=5, limit=5, bytes_max=1500)
            assert seqs(page) == [1, 2]
            assert seqs(await reader.events(org, after_seq=2, up_to_seq=5, limit=5, bytes_max=1)) == [3]

    run(work())


def test_types_are_names_or_prefixes(database_url: str) -> None:
    async def work() -> None:
        writer = LogWriter(await make_organization(database_url))
        names = ["message.created", "message.deleted", "room.created", "rooms.created", "r_om.created"]
        await writer.write(database_url, *(writer.event("a", type=name) for name in names))
        async with database_at(database_url) as database:
            reader = LogReader(database, retention_days=RETENTION_DAYS)

            async def of(*types: str) -> list[int]:
                return seqs(
                    await reader.events(
                        writer.organization_id, after_seq=0, up_to_seq=5, limit=10, types=types
                    )
                )

            assert await of("message.created") == [1]
            assert await of("message.*", "room.created") == [1, 2, 3]
            assert await of("r_om.*") == [5]
            assert await of("nothing.*") == []

    run(work())


def test_expired_events_are_hidden_before_their_day_is_dropped(database_url: str) -> None:
    async def work() -> None:
        await make_days(database_url, 30, 31)
        org = await make_organization(database_url)
        expired, kept, today = (LogWriter(org, days_back=days) for days in (31, 30, 0))
        kept.seq, today.seq = 1, 2
        written = [writer.event(name) for writer, name in ((expired, "a"), (kept, "b"), (today, "c"))]
        for writer, event in zip((expired, kept, today), written, strict=True):
            await writer.write(database_url, event)
        async with database_at(database_url) as database:
            reader = LogReader(database, retention_days=RETENTION_DAYS)
            assert seqs(await reader.events(org, after_seq=0, up_to_seq=3, limit=10)) == [2, 3]
            assert await reader.first_seq(org) == 2
            assert await reader.event(org, written[0].id) is None
            assert await reader.event(org, written[1].id) == written[1]
        async with commit_connection(database_url) as owner:
            # What settles an outcome sees all.
            assert await owner.find_event(org, written[0].id) == written[0]

    run(work())


def test_another_organization_sees_nothing(database_url: str) -> None:
    async def work() -> None:
        writer = LogWriter(await make_organization(database_url))
        stranger = await make_organization(database_url)
        event = writer.event("a")
        await writer.write(database_url, event)
        async with database_at(database_url) as database:
            reader = LogReader(database, retention_days=RETENTION_DAYS)
            assert await reader.events(stranger, after_seq=0, up_to_seq=10, limit=10) == []
            assert await reader.event(stranger, event.id) is None
            assert await reader.first_seq(stranger) is None

    run(work())


def test_where_a_stream_stands_and_who_writes_it(database_url: str) -> None:
    async def work() -> None:
        org = await make_organization(database_url, partition_id=2)
        async with database_at(database_url) as database, commit_connection(database_url) as owner:
            log = LogReader(database, retention_days=RETENTION_DAYS)
            routes = RouteReader(database)
            assert await log.stream_head(org) == StreamHead(EPOCH, 0, 2)
            assert await routes.partition_of(org) == 2
            taken = await owner.take(2, OWNER, ADDRESS, 10)
            assert taken is not None
            listed = await routes.routes()
            assert [route.partition_id for route in listed] == [0, 1, 2, 3]
            assert listed[2] == Route(2, OWNER, ADDRESS, taken.epoch)
            assert listed[3] == Route(3, "", "", 0)
            for question in (log.stream_head, routes.partition_of):
                with pytest.raises(TidingsError) as refused:
                    await question(new_id())
                assert refused.value.code is Code.NOT_FOUND

    run(work())

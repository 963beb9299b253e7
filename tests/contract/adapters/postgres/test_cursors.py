"""Cursors move forward, survive, and count what is left to read."""

import asyncio
import uuid
from typing import Any

import asyncpg
import pytest

from adapters.postgres import cursors
from adapters.postgres.cursors import Acknowledgement, Cursor, CursorStore, sweep_cursors
from adapters.postgres.pool import Database
from core.errors import TidingsError
from tests.helpers.log import LogWriter, database_at, make_days, make_organization, new_id
from tests.helpers.loop import run

DAYS = 30


async def channel_of(url: str, *channels: str) -> bytes:
    """Return a new organization with a publication in each of the channels named."""
    writer = LogWriter(await make_organization(url))
    if channels:
        await writer.write(url, *(writer.event(channel) for channel in channels))
    return writer.organization_id


async def execute(url: str, statement: str, *arguments: Any) -> Any:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement, *arguments)
    finally:
        await connection.close()


LEFT = """SELECT array_agg(channel || ' ' || "user" ORDER BY channel, "user") FROM channel_cursors"""


def numbers(cursor: Cursor | None) -> tuple[int, int, int] | None:
    return None if cursor is None else (cursor.delivered_offset, cursor.read_offset, cursor.unread)


async def moved(store: CursorStore, org: bytes, delivered: int, read: int, user: str = "ann") -> Any:
    return numbers(await store.acknowledge(Acknowledgement(org, "a", user, delivered, read)))


def test_a_cursor_moves_forward_only_and_what_is_read_was_delivered(database_url: str) -> None:
    async def work() -> None:
        org = await channel_of(database_url, *"aaaaa")
        async with database_at(database_url) as database:
            store = CursorStore(database, retention_days=DAYS)
            assert numbers(await store.find(org, "a", "ann")) == (0, 0, 5)
            assert await moved(store, org, 3, 0) == (3, 0, 5)
            assert await moved(store, org, 0, 2) == (3, 2, 3)
            assert await moved(store, org, 1, 1) == (3, 2, 3)
            assert await moved(store, org, 0, 5) == (5, 5, 0)
            assert await moved(store, org, 0, 6) is None
            assert await moved(store, org, 6, 1) is None
            assert numbers(await store.find(org, "a", "ann")) == (5, 5, 0)
        async with database_at(database_url) as database:
            assert numbers(await CursorStore(database, retention_days=DAYS).find(org, "a", "ann")) == (
                5, 5, 0,
            )  # fmt: skip

    run(work())


def test_it_tells_when_it_moved_last(database_url: str) -> None:
    async def work() -> None:
        org = await channel_of(database_url, *"aa")
        async with database_at(database_url) as database:
            store = CursorStore(database, retention_days=DAYS)
            first = await store.acknowledge(Acknowledgement(org, "a", "ann", 0, 1))
            again = await store.acknowledge(Acknowledgement(org, "a", "ann", 1, 1))
            further = await store.acknowledge(Acknowledgement(org, "a", "ann", 2, 1))
            assert first is not None
            assert again == first
            assert further is not None
            assert first.updated_at is not None
            assert further.updated_at is not None
            assert further.updated_at > first.updated_at

    run(work())


def test_an_offset_of_0_makes_nothing(database_url: str) -> None:
    async def work() -> None:
        org = await channel_of(database_url, "a")
        async with database_at(database_url) as database:
            store = CursorStore(database, retention_days=DAYS)
            assert await moved(store, org, 0, 0) == (0, 0, 1)
            assert await store.of_channel(org, "a", "", 10) == []
            assert await moved(store, new_id(), 0, 0) is None
            assert await moved(store, new_id(), 1, 1) is None

    run(work())


class Counting(Database):
    """A database that counts its transactions."""

    transactions = 0

    def transaction(self) -> Any:
        self.transactions += 1
        return super().transaction()


def test_acknowledgements_of_one_tick_share_a_statement_and_each_gets_its_own_answer(
    database_url: str,
) -> None:
    async def work() -> None:
        org, other = await channel_of(database_url, *"aaa"), await channel_of(database_url, "a")
        database = await Counting.open(database_url, 4)
        store = CursorStore(database, retention_days=DAYS)
        asked = [
            moved(store, org, 1, 0),
            moved(store, org, 0, 2),
            moved(store, org, 0, 9),
            moved(store, org, 3, 0, "bob"),
            moved(store, other, 0, 1),
            moved(store, other, 0, 2),
        ]
        expected = [(2, 2, 1), (2, 2, 1), None, (3, 0, 3), (1, 1, 0), None]
        assert list(await asyncio.gather(*asked)) == expected
        assert database.transactions == 1
        await asyncio.gather(*(moved(store, org, 1, 0, f"user {number}") for number in range(501)))
        assert database.transactions == 3
        await database.close()

    run(work())


def test_who_has_too_many_waiting_is_refused_and_others_are_not(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cursors, "WAITING_MAX", 3)

    async def work() -> None:
        org, other = await channel_of(database_url, "a"), await channel_of(database_url, "a")
        async with database_at(database_url) as database:
            store = CursorStore(database, retention_days=DAYS)
            asked = [moved(store, org, 0, 1, str(number)) for number in range(4)]
            found = await asyncio.gather(*asked, moved(store, other, 0, 1), return_exceptions=True)
            assert [type(one) for one in found] == [tuple, tuple, tuple, TidingsError, tuple]
            assert await moved(store, org, 0, 1) == (1, 1, 0)

    run(work())


def test_processes_that_move_the_same_cursors_at_once_do_not_lose_one(database_url: str) -> None:
    async def work() -> None:
        org = await channel_of(database_url, *"aaaaaaaaaa")
        async with database_at(database_url) as one, database_at(database_url) as two:
            stores = [CursorStore(database, retention_days=DAYS) for database in (one, two)]
            users = [f"user {number}" for number in range(50)]
            for offset in range(1, 11):
                await asyncio.gather(
                    *(
                        moved(store, org, 0, offset, user)
                        for store, order in zip(stores, (users, users[::-1]), strict=True)
                        for user in order
                    )
                )
            page = await stores[0].of_channel(org, "a", "", 100)
            assert [numbers(cursor) for cursor in page] == [(10, 10, 0)] * 50

    run(work())


def test_another_epoch_begins_at_0(database_url: str) -> None:
    async def work() -> None:
        org = await channel_of(database_url, *"aaa")
        async with database_at(database_url) as database:
            store = CursorStore(database, retention_days=DAYS)
            await moved(store, org, 0, 3)
            await execute(
                database_url,
                "UPDATE stream_heads SET epoch = 'other' WHERE organization_id = $1",
                uuid.UUID(bytes=org),
            )
            assert await store.find(org, "a", "ann") == Cursor("a", "ann", 0, 0, 3, None)
            assert await store.of_channel(org, "a", "", 10) == []
            assert await store.of_user(org, "ann", "", 10) == []
            assert await moved(store, org, 1, 0) == (1, 0, 3)

    run(work())


def test_what_can_not_be_read_any_more_is_not_unread(database_url: str) -> None:
    async def work() -> None:
        await make_days(database_url, 40)
        org = await make_organization(database_url)
        old, today = LogWriter(org, days_back=40), LogWriter(org)
        await old.write(database_url, *(old.event(channel) for channel in "aaab"))
        today.seq, today.offsets = old.seq, dict(old.offsets)
        await today.write(database_url, today.event("a"), today.event("a"))
        async with database_at(database_url) as database:
            store = CursorStore(database, retention_days=DAYS)
            assert numbers(await store.find(org, "a", "ann")) == (0, 0, 2)
            assert numbers(await store.find(org, "b", "ann")) == (0, 0, 0)
            assert await moved(store, org, 0, 2) == (2, 2, 2)
            assert await moved(store, org, 0, 4) == (4, 4, 1)

    run(work())


def test_lists_go_on_behind_a_name(database_url: str) -> None:
    async def work() -> None:
        org, other = await channel_of(database_url, *"abc"), await channel_of(database_url, "a")
        async with database_at(database_url) as database:
            store = CursorStore(database, retention_days=DAYS)
            for channel, user in [(c, u) for c in "abc" for u in ("ann", "Bob", "é")]:
                await store.acknowledge(Acknowledgement(org, channel, user, 0, 1))
            await moved(store, other, 0, 1, "zoe")
            assert [c.user for c in await store.of_channel(org, "a", "", 2)] == ["Bob", "ann"]
            assert [c.user for c in await store.of_channel(org, "a", "ann", 2)] == ["é"]
            assert [c.channel for c in await store.of_user(org, "ann", "", 2)] == ["a", "b"]
            assert [c.channel for c in await store.of_user(org, "ann", "b", 2)] == ["c"]
            assert await store.of_user(other, "ann", "", 2) == []

    run(work())


def test_a_sweep_deletes_what_counts_like_nothing_and_no_other(database_url: str) -> None:
    async def work() -> None:
        await make_days(database_url, 40)
        org, reset = await make_organization(database_url), await channel_of(database_url, "a")
        old, today = LogWriter(org, days_back=40), LogWriter(org)
        await old.write(database_url, *(old.event(channel) for channel in "ab"))
        today.seq, today.offsets = old.seq, dict(old.offsets)
        await today.write(database_url, today.event("a"))
        async with database_at(database_url) as database:
            store = CursorStore(database, retention_days=DAYS)
            for channel, user in [(channel, user) for channel in "ab" for user in ("ann", "bob")]:
                await store.acknowledge(Acknowledgement(org, channel, user, 0, 1))
            await moved(store, reset, 0, 1)
            await execute(
                database_url,
                "UPDATE stream_heads SET epoch = 'other' WHERE organization_id = $1",
                uuid.UUID(bytes=reset),
            )
            await sweep_cursors(database, retention_days=DAYS, page=2)
            assert len(await execute(database_url, LEFT)) == 5
            before = await store.find(org, "b", "ann")
            await execute(
                database_url,
                "UPDATE channel_cursors SET updated_at = now() - interval '31 days' WHERE \"user\" = 'ann'",
            )
            await sweep_cursors(database, retention_days=DAYS, page=2)
            assert await execute(database_url, LEFT) == ["a ann", "a bob", "b bob"]
            after = await store.find(org, "b", "ann")
            assert before is not None
            assert after is not None
            assert (before.unread, after.unread) == (0, 0)

    run(work())


def test_a_batch_that_fails_is_told_to_all_its_callers_and_the_next_goes_on(database_url: str) -> None:
    async def work() -> None:
        org = await channel_of(database_url, "a")
        async with database_at(database_url) as database:
            store = CursorStore(database, retention_days=DAYS)
            both = (moved(store, org, 0, 1), moved(store, org, 0, 1, "nul\0"))
            found = await asyncio.gather(*both, return_exceptions=True)
            assert [isinstance(one, asyncpg.PostgresError) for one in found] == [True, True]
            assert await moved(store, org, 0, 1) == (1, 1, 0)

    run(work())

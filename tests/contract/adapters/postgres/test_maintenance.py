"""Days are made ahead, attached without stopping anybody, and dropped late but never early."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, timedelta
from typing import Any

import asyncpg
import pytest

from adapters.postgres.maintenance import (
    KEYS,
    PARENTS,
    MissingDayError,
    drop_expired_days,
    ensure_days,
    require_today,
)
from adapters.postgres.pool import Database
from adapters.postgres.queries import statements
from tests.helpers.loop import run


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    database = await Database.open(url, 4)
    try:
        yield database
    finally:
        await database.close()


async def today_of(database: Database) -> date:
    today: date = await database.fetchval(statements("maintenance")["today"])
    return today


async def days_of(database: Database, parent: str) -> list[date]:
    rows = await database.fetch(statements("maintenance")["day_tables"])
    return sorted(date.fromisoformat(row["day"]) for row in rows if row["parent"] == parent)


async def make_day(database: Database, parent: str, day: date) -> None:
    template = statements("maintenance")["make_day_table"]
    name = f"{parent}_{day:%Y%m%d}"
    await database.execute(template.format(name=name, parent=parent, first=day, last=day + timedelta(days=1)))


async def drop(database: Database) -> list[str]:
    return await drop_expired_days(database, retention_days=30, slack_days=2, key_days=1)


def test_days_reach_from_yesterday_to_the_days_ahead(database_url: str) -> None:
    async def work() -> None:
        async with opened(database_url) as database:
            today = await ensure_days(database, ahead_days=7)
            expected = [today + timedelta(days=n) for n in range(-1, 8)]
            for parent in PARENTS:
                assert await days_of(database, parent) == expected

    run(work())


def test_several_makers_of_days_do_not_disturb_each_other(database_url: str) -> None:
    async def work() -> None:
        async with opened(database_url) as database:
            await asyncio.gather(*(ensure_days(database, ahead_days=5) for _ in range(3)))
            assert len(await days_of(database, "events")) == 7

    run(work())


def test_making_days_waits_for_no_reader(database_url: str) -> None:
    async def work() -> None:
        async with opened(database_url) as database, database.transaction() as reader:
            await reader.fetch("SELECT count(*) FROM events")
            await asyncio.wait_for(ensure_days(database, ahead_days=4), 5)

    run(work())


def test_a_new_day_has_the_indexes_of_its_table(database_url: str) -> None:
    count = "SELECT count(*) FROM pg_indexes WHERE tablename = $1"

    async def work() -> None:
        async with opened(database_url) as database:
            today = await today_of(database)
            for parent in PARENTS:
                assert await database.fetchval(count, parent) == await database.fetchval(
                    count, f"{parent}_{today:%Y%m%d}"
                )

    run(work())


def test_a_day_goes_when_its_retention_and_slack_have_passed_and_not_before(database_url: str) -> None:
    async def work() -> None:
        async with opened(database_url) as database:
            today = await today_of(database)
            for parent in ("events", "channel_entries"):
                for back in (31, 32, 40):
                    await make_day(database, parent, today - timedelta(days=back))
            dropped = await drop(database)
            assert len(dropped) == 4
            for parent in ("events", "channel_entries"):
                assert (await days_of(database, parent))[0] == today - timedelta(days=31)

    run(work())


def test_keys_go_by_their_own_lifetime(database_url: str) -> None:
    async def work() -> None:
        async with opened(database_url) as database:
            today = await today_of(database)
            await make_day(database, KEYS, today - timedelta(days=2))
            assert await drop(database) == [f"{KEYS}_{today - timedelta(days=2):%Y%m%d}"]
            assert (await days_of(database, KEYS))[0] == today - timedelta(days=1)

    run(work())


def test_a_day_that_was_detached_before_a_crash_is_dropped_later(database_url: str) -> None:
    async def work() -> None:
        async with opened(database_url) as database:
            day = await today_of(database) - timedelta(days=50)
            await make_day(database, "events", day)
            name = f"events_{day:%Y%m%d}"
            await database.execute(f"ALTER TABLE events DETACH PARTITION {name} CONCURRENTLY")
            assert await drop(database) == [name]
            assert await drop(database) == []

    run(work())


def test_an_interrupted_detach_is_finished(database_url: str) -> None:
    async def detach_and_die(name: str, reader: Any) -> None:
        connection = await asyncpg.connect(database_url)
        task = asyncio.ensure_future(
            connection.execute(f"ALTER TABLE events DETACH PARTITION {name} CONCURRENTLY")
        )
        pending = "SELECT count(*) FROM pg_inherits WHERE inhdetachpending"
        while not await reader.fetchval(pending):
            assert not task.done()
        await reader.fetchval("SELECT pg_terminate_backend($1)", connection.get_server_pid())
        with pytest.raises((asyncpg.PostgresError, OSError, asyncpg.InterfaceError)):
            await task

    async def work() -> None:
        async with opened(database_url) as database:
            day = await today_of(database) - timedelta(days=50)
            await make_day(database, "events", day)
            async with database.transaction() as reader:
                await reader.fetch("SELECT count(*) FROM events")
                await detach_and_die(f"events_{day:%Y%m%d}", reader)
            assert await drop(database) == [f"events_{day:%Y%m%d}"]

    run(work())


def test_of_several_droppers_one_works(database_url: str) -> None:
    async def work() -> None:
        async with opened(database_url) as database:
            day = await today_of(database) - timedelta(days=50)
            await make_day(database, "events", day)
            dropped = await asyncio.gather(*(drop(database) for _ in range(3)))
            assert sorted(dropped) == [[], [], [f"events_{day:%Y%m%d}"]]

    run(work())


def test_a_log_without_today_is_refused_with_what_to_do(database_url: str) -> None:
    async def work() -> None:
        async with opened(database_url) as database:
            await require_today(database)
            today = await today_of(database)
            await database.execute(f"DROP TABLE events_{today:%Y%m%d}")
            with pytest.raises(MissingDayError, match=r"events_\d{8}.*tidings migrate"):
                await require_today(database)
            await ensure_days(database, ahead_days=2)
            await require_today(database)

    run(work())

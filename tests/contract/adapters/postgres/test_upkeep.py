"""What is done each hour, and what happens when the database is away at that time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from structlog.testing import capture_logs

from adapters.postgres.maintenance import PARENTS
from adapters.postgres.pool import Database
from adapters.postgres.queries import statements
from adapters.postgres.upkeep import HOUR_S, RETRY_S, Upkeep
from adapters.schemas import load_catalog
from core.instants import Instant
from settings import Log
from tests.helpers.log import ADDRESS, commit_connection, database_at, make_days
from tests.helpers.loop import run
from tests.helpers.owners import SCHEMAS
from tests.helpers.postgres_proxy import PostgresProxy
from tests.helpers.proxy import Proxy

CATALOG = load_catalog(SCHEMAS)
LOG = Log(partitions_ahead_days=4, retention_days=30, retention_slack_days=2)


class Hours:
    """A clock that stands still until the test lets one pause pass."""

    def __init__(self) -> None:
        self.pauses: asyncio.Queue[float] = asyncio.Queue()
        self._passed = asyncio.Event()

    def now(self) -> Instant:
        return Instant(0)

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        self.pauses.put_nowait(seconds)
        await self._passed.wait()
        self._passed.clear()

    def pass_one(self) -> None:
        self._passed.set()


@asynccontextmanager
async def kept_up(database: Database, clock: Hours) -> AsyncIterator[Upkeep]:
    upkeep = Upkeep(database, CATALOG, LOG, clock)
    running = asyncio.create_task(upkeep.run())
    try:
        yield upkeep
        assert not running.done(), "upkeep has ended"
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def days(database: Database) -> int:
    return len(await database.fetch(statements("maintenance")["day_tables"]))


async def indexes(database: Database) -> set[str]:
    rows = await database.fetch(statements("resources")["field_indexes"])
    return {row["name"] for row in rows if row["valid"]}


def test_each_hour_days_come_and_go_and_indexes_are_as_the_types_say(database_url: str) -> None:
    async def work() -> None:
        await make_days(database_url, 40)
        async with database_at(database_url) as database:
            clock = Hours()
            async with kept_up(database, clock):
                assert await clock.pauses.get() == HOUR_S
                assert await days(database) == len(PARENTS) * (1 + 1 + 4)
                made = await indexes(database)
                assert len(made) >= sum(len(type_.index) for type_ in CATALOG.by_name.values()) > 0
                dropped = min(made)
                await database.execute(f"DROP INDEX {dropped}")
                await make_days(database_url, 50)
                clock.pass_one()
                assert await clock.pauses.get() == HOUR_S
                assert await indexes(database) == made
                assert await days(database) == len(PARENTS) * (1 + 1 + 4)

    run(work())


def test_several_processes_may_do_it_at_once(database_url: str) -> None:
    async def work() -> None:
        await make_days(database_url, 40)
        async with database_at(database_url) as one, database_at(database_url) as other:
            clocks = [Hours(), Hours(), Hours()]
            async with kept_up(one, clocks[0]), kept_up(one, clocks[1]), kept_up(other, clocks[2]):
                assert [await clock.pauses.get() for clock in clocks] == [HOUR_S] * 3
            assert await days(one) == len(PARENTS) * (1 + 1 + 4)

    run(work())


def test_without_the_database_it_is_tried_again_within_a_minute(database_url: str) -> None:
    async def work() -> None:
        address, _, rest = database_url.partition("?")
        socket = rest.partition("host=")[2].partition("&")[0] + "/.s.PGSQL.5432"
        async with PostgresProxy(socket) as server, Proxy(f"127.0.0.1:{server.port}") as way:
            url = f"postgresql://postgres@{way.address}/{address.rpartition('/')[2]}?sslmode=disable"
            clock = Hours()
            async with database_at(url) as database:
                way.refuse()
                way.cut()
                with capture_logs() as lines:
                    async with kept_up(database, clock):
                        assert await clock.pauses.get() == RETRY_S
                        assert [line["event"] for line in lines] == ["upkeep.failed"]
                        await way.listen()
                        clock.pass_one()
                        assert await clock.pauses.get() == HOUR_S
                assert await days(database) == len(PARENTS) * (1 + 1 + 4)

    run(work())


def test_holders_are_told_for_every_partition_also_where_nobody_is(database_url: str) -> None:
    async def work() -> None:
        async with database_at(database_url) as database, commit_connection(database_url) as owner:
            upkeep = Upkeep(database, CATALOG, LOG, Hours())
            assert await upkeep.holders() == {0: "", 1: "", 2: "", 3: ""}
            assert await owner.take(2, "stream-1", ADDRESS, 10) is not None
            assert await upkeep.holders() == {0: "", 1: "", 2: "stream-1", 3: ""}

    run(work())

"""However the database goes away, the caller sees one of a few errors that tell him so."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest

from adapters.entropy import SystemEntropy
from adapters.postgres.auth import AuthStore, Options
from adapters.postgres.commit import CommitConnection
from adapters.postgres.faults import UNREACHABLE, LockNotAvailable, is_definite, is_shortage, may_pass
from adapters.postgres.pool import Database
from adapters.postgres.sealing import Sealer
from core.errors import Code, TidingsError
from core.streams.append import Needs
from tests.helpers.log import ADDRESS, OWNER, LogWriter, commit_connection, make_organization
from tests.helpers.loop import run
from tests.helpers.ports import free_port
from tests.helpers.postgres_proxy import PostgresProxy
from tests.helpers.proxy import Direction, Flow, Inspector, ProxiedConnection, Proxy

BYTES_BETWEEN_CUTS = 29
ENDED_BY_OPERATOR = b"57P01"
KILL_OWNERS = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
     WHERE application_name = 'tidings-owner' AND datname = current_database()
"""


@dataclass
class Allowance:
    """How many bytes of answers may still pass."""

    left: int = 1 << 30


class CutAfter(Inspector):
    """Ends the connection in the middle of whatever the server says when its allowance is used up."""

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance

    def feed(self, connection: ProxiedConnection, direction: Direction, chunk: bytes) -> bytes:
        if direction == "up":
            return chunk
        passed = chunk[: self._allowance.left]
        self._allowance.left -= len(passed)
        if len(passed) < len(chunk):
            connection.cut_after()
        return passed


class Farewell(Inspector):
    """Passes the server's last words, and holds back that the connection has ended."""

    def __init__(self) -> None:
        self.said = asyncio.Event()
        self.down = Flow()

    def feed(self, connection: ProxiedConnection, direction: Direction, chunk: bytes) -> bytes:  # noqa: ARG002 (an inspector's)
        if ENDED_BY_OPERATOR in chunk:
            self.down.stall()
            self.said.set()
        return chunk


@asynccontextmanager
async def plain(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def way_to(
    database_url: str, inspector: Callable[[], Inspector] = Inspector
) -> AsyncIterator[tuple[str, Proxy]]:
    """Give a URL that leads through a proxy."""
    address, _, rest = database_url.partition("?")
    socket = rest.partition("host=")[2].partition("&")[0] + "/.s.PGSQL.5432"
    async with PostgresProxy(socket) as server, Proxy(f"127.0.0.1:{server.port}", inspector) as way:
        yield f"postgresql://postgres@{way.address}/{address.rpartition('/')[2]}?sslmode=disable", way


async def use(url: str, organization_id: bytes, event_id: bytes) -> None:
    """Do what an owner does, once."""
    connection = await CommitConnection.open(url, deadline_s=5)
    try:
        assert await connection.take(0, OWNER, ADDRESS, 10) is not None
        await connection.heads_of_partition(0)
        await connection.read(0, Needs(organizations={organization_id}, channels={(organization_id, "a")}))
        assert await connection.find_event(organization_id, event_id) is not None
    finally:
        await connection.close()


def test_a_connection_that_breaks_anywhere_is_unreachable_and_nothing_else(database_url: str) -> None:
    async def work() -> None:
        writer = LogWriter(await make_organization(database_url))
        event = writer.event("a")
        await writer.write(database_url, event)
        allowance = Allowance()
        async with way_to(database_url, lambda: CutAfter(allowance)) as (url, way):
            await use(url, writer.organization_id, event.id)
            whole = way.down.bytes_passed
            assert whole > 1_000
            for kept in range(0, whole, BYTES_BETWEEN_CUTS):
                allowance.left = kept
                with pytest.raises(UNREACHABLE):
                    await use(url, writer.organization_id, event.id)

    run(work())


def test_a_server_that_is_not_there_is_unreachable(database_url: str) -> None:
    address, _, rest = database_url.partition("?")
    elsewhere = (
        f"postgresql://postgres@127.0.0.1:{free_port()}/tidings",
        f"postgresql:///tidings?host=/nowhere/{free_port()}",
        f"{address.rpartition('/')[0]}/no_such_database?{rest}",
    )

    async def work() -> None:
        for url in elsewhere:
            with pytest.raises(UNREACHABLE):
                await CommitConnection.open(url, deadline_s=5)

    run(work())


def test_a_server_that_hangs_is_unreachable_at_the_deadline(database_url: str) -> None:
    async def work() -> None:
        async with way_to(database_url) as (url, way):
            way.down.stall()
            with pytest.raises(UNREACHABLE):
                await CommitConnection.open(url, deadline_s=0.2)
            way.down.resume()
            connection = await CommitConnection.open(url, deadline_s=0.2)
            way.down.stall()
            with pytest.raises(UNREACHABLE):
                await connection.heads_of_partition(0)
            assert connection.is_closed

    run(work())


def test_a_session_that_an_operator_ended_is_unreachable(database_url: str) -> None:
    async def work() -> None:
        async with plain(database_url) as admin, commit_connection(database_url) as one:
            assert await admin.fetchval(KILL_OWNERS) == 1
            for _ in range(3):
                with pytest.raises(UNREACHABLE):
                    await one.heads_of_partition(0)
            assert one.is_closed

    run(work())


def test_it_is_so_before_the_driver_has_seen_the_end_of_the_session(database_url: str) -> None:
    async def work() -> None:
        farewell = Farewell()
        async with way_to(database_url, lambda: farewell) as (url, way), plain(database_url) as admin:
            farewell.down = way.down
            connection = await CommitConnection.open(url, deadline_s=5)
            assert await admin.fetchval(KILL_OWNERS) == 1
            await asyncio.wait_for(farewell.said.wait(), 5)
            for _ in range(3):
                with pytest.raises(UNREACHABLE):
                    await connection.heads_of_partition(0)
            await connection.close()

    run(work())


def test_a_row_that_is_still_held_is_told_apart_and_may_be_tried_again(database_url: str) -> None:
    async def work() -> None:
        async with (
            plain(database_url) as holder,
            commit_connection(database_url, lock_timeout_s=0.05) as one,
        ):
            taken = await one.take(0, OWNER, ADDRESS, 10)
            assert taken is not None
            async with holder.transaction():
                await holder.execute("SELECT FROM partitions WHERE partition_id = 0 FOR SHARE")
                with pytest.raises(LockNotAvailable):
                    await one.force(0, OWNER, ADDRESS, 10, taken.epoch)
            assert issubclass(LockNotAvailable, UNREACHABLE)
            assert await one.force(0, OWNER, ADDRESS, 10, taken.epoch) is not None

    run(work())


def test_the_kind_of_an_error_tells_what_waiting_and_believing_are_worth(database_url: str) -> None:
    async def error_of(work: Awaitable[object]) -> BaseException:
        with pytest.raises(UNREACHABLE) as caught:
            await work
        return caught.value

    async def work() -> None:
        async with plain(database_url) as admin:
            twice = await error_of(admin.execute("INSERT INTO partitions VALUES (0)"))
            full = await error_of(admin.execute("DO $$ BEGIN RAISE SQLSTATE '53100'; END $$"))
            ended = await error_of(admin.fetchval("SELECT pg_terminate_backend(pg_backend_pid())"))
        nobody = await error_of(asyncpg.connect(f"postgresql://postgres@127.0.0.1:{free_port()}/tidings"))
        wrong = await error_of(asyncpg.connect(database_url.replace("/test_", "/no_such_")))
        errors = (twice, full, ended, nobody, wrong)
        assert [is_definite(error) for error in errors] == [True, True, False, False, True]
        assert [is_shortage(error) for error in errors] == [False, True, False, False, False]
        assert [may_pass(error) for error in errors] == [True, True, True, True, False]

    run(work())


def test_a_write_whose_answer_was_lost_is_not_made_again(database_url: str) -> None:
    async def work() -> None:
        entropy = SystemEntropy()
        async with way_to(database_url) as (url, way), plain(database_url) as admin:
            database = await Database.open(url, 1)
            store = AuthStore(database, Sealer(bytes(32), entropy), entropy)
            organization = await store.create_organization("one", "test")
            organization_id = organization.organization_id
            key_id, _ = await store.create_key(organization, "ci", ["events:read"])
            version = "SELECT version FROM organizations"
            revoked = "SELECT count(revoked_at) FROM api_keys"

            async def lost(write: Coroutine[Any, Any, object], query: str, done: int) -> None:
                way.down.stall()
                writing = asyncio.create_task(write)
                async with asyncio.timeout(5):
                    while await admin.fetchval(query) != done:
                        pass
                way.cut()
                way.down.resume()
                with pytest.raises(TidingsError) as error:
                    await writing
                assert error.value.code is Code.UNAVAILABLE

            assert not await store.revoke_key(organization_id, bytes(16))  # prepared: one step is left
            await lost(store.revoke_key(organization_id, key_id), revoked, 1)
            assert await store.set_options(organization_id, Options(name="two"))
            await lost(store.set_options(organization_id, Options(name="three")), version, 3)
            assert await admin.fetchval(version) == 3
            await database.close()

    run(work())

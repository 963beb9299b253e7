"""The pool reads again while its server restarts, and trusts a new server only after a commit of its own."""

import asyncio
import os
import signal
import tempfile
from pathlib import Path

import pytest

from adapters.embedded.postgres import EmbeddedPostgres
from adapters.postgres.pool import Database
from core.errors import Code, TidingsError
from tests.helpers.log import database_at
from tests.helpers.loop import run

HELD = """
    SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
     WHERE l.locktype = 'advisory' AND d.datname = current_database()
"""
LAST_WRITE = "SELECT pg_current_wal_insert_lsn()"


@pytest.mark.timeout(60)
def test_a_read_outlives_a_kill_of_the_server() -> None:
    async def work(root: Path) -> None:
        server = EmbeddedPostgres(root / "data", root / "socket", root / "log")
        try:
            dsn = await server.start()
            async with database_at(dsn) as database:
                await asyncio.gather(*(database.ping() for _ in range(4)))
                assert server.pid is not None
                os.kill(server.pid, signal.SIGKILL)
                await server.wait()
                read = asyncio.ensure_future(database.fetchval("SELECT 7"))
                await server.start()
                assert await read == 7
                await server.stop()
                with pytest.raises(TidingsError) as refused:
                    await database.fetchval("SELECT 7")
                assert refused.value.code is Code.UNAVAILABLE
        finally:
            await server.stop()

    with tempfile.TemporaryDirectory(prefix="tidings-") as name:
        Path(name).chmod(0o755)
        run(work(Path(name)))


def test_a_server_that_is_new_to_us_acknowledges_a_commit_first(database_url: str) -> None:
    async def work() -> None:
        async with database_at(database_url, 1) as witness:
            before = await witness.fetchval(LAST_WRITE)
            async with database_at(database_url, 4) as database:
                after = await database.fetchval(LAST_WRITE)
                assert after > before
                await asyncio.gather(*(database.fetchval("SELECT pg_sleep(0.05)") for _ in range(4)))

    run(work())


def test_callers_past_the_limit_wait_for_their_turn(database_url: str) -> None:
    async def work() -> None:
        async with database_at(database_url, 2) as database:
            backends = await asyncio.gather(
                *(database.fetchval("SELECT pg_backend_pid() FROM pg_sleep(0.01)") for _ in range(8))
            )
            assert len(set(backends)) <= 2

    run(work())


def test_a_session_leaves_no_lock_behind(database_url: str) -> None:
    async def work() -> None:
        async with database_at(database_url, 1) as database:
            async with database.session() as connection:
                await connection.execute("SELECT pg_advisory_lock(1)")
            assert await database.fetchval(HELD) == 0

    run(work())


def test_a_transaction_takes_effect_whole_or_not_at_all(database_url: str) -> None:
    async def fail(database: Database) -> None:
        async with database.transaction() as connection:
            await connection.execute("UPDATE partitions SET owner = 'x'")
            raise LookupError

    async def work() -> None:
        async with database_at(database_url) as database:
            with pytest.raises(LookupError):
                await fail(database)
            assert await database.fetchval("SELECT count(owner) FROM partitions") == 0

    run(work())

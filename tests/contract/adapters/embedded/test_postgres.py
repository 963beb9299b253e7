"""The embedded server starts, survives what kills it, and says clearly why it can't start."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from adapters.embedded.errors import StartError
from adapters.embedded.postgres import SYSTEM_USER, EmbeddedPostgres
from tests.helpers.loop import run
from tests.helpers.ports import free_port

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tidings-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def server_in(folder: Path, tcp_port: int = 0) -> EmbeddedPostgres:
    return EmbeddedPostgres(
        folder / "postgres", folder / "socket", folder / "postgres.log", tcp_port=tcp_port
    )


async def ask(dsn: str, statement: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def test_it_is_durable_and_checks_its_pages(postgres: EmbeddedPostgres) -> None:
    async def work() -> None:
        for name in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums"):
            assert await ask(postgres.dsn, f"SHOW {name}") == "on", name
        assert await ask(postgres.dsn, "SHOW server_encoding") == "UTF8"
        assert await ask(postgres.dsn, "SHOW listen_addresses") == ""

    run(work())


def test_nobody_else_can_enter_the_folder_of_its_socket(folder: Path) -> None:
    server = server_in(folder)

    async def work() -> None:
        await server.start()
        try:
            assert stat.S_IMODE((folder / "socket").stat().st_mode) == 0o700
        finally:
            await server.stop()

    run(work())


def test_what_was_written_is_there_after_a_kill_and_a_restart(folder: Path) -> None:
    server = server_in(folder)

    async def work() -> None:
        dsn = await server.start()
        try:
            await ask(dsn, "CREATE TABLE kept AS SELECT 7 AS n")
            held = await asyncpg.connect(dsn)  # its process outlives the postmaster for a moment
            assert server.pid is not None
            os.kill(server.pid, signal.SIGKILL)
            await server.wait()
            assert server.pid is None
            assert await ask(await server.start(), "SELECT n FROM kept") == 7
            held.terminate()
        finally:
            await server.stop()
        assert server.pid is None

    run(work())


def test_starting_a_running_server_changes_nothing(folder: Path) -> None:
    server = server_in(folder)

    async def work() -> None:
        await server.start()
        try:
            pid = server.pid
            await server.start()
            assert server.pid == pid
        finally:
            await server.stop()

    run(work())


def test_tcp_asks_for_the_password(folder: Path) -> None:
    server = server_in(folder, free_port())

    async def work() -> None:
        await server.start()
        try:
            assert await ask(server.tcp_dsn, "SELECT 1") == 1
            with pytest.raises(asyncpg.InvalidPasswordError):
                await ask(server.tcp_dsn.replace("//postgres:", "//postgres:not-"), "SELECT 1")
        finally:
            await server.stop()

    run(work())


ABANDON = """
import asyncio, os, sys
from pathlib import Path
from adapters.embedded.postgres import EmbeddedPostgres
folder = Path(sys.argv[1])
server = EmbeddedPostgres(folder / "postgres", folder / "socket", folder / "postgres.log")
asyncio.run(server.start())
print(server.pid, flush=True)
sys.stdin.read()
os._exit(9)
"""


def test_a_server_left_by_a_dead_process_is_ended_and_one_in_use_is_not(folder: Path) -> None:
    with subprocess.Popen(  # noqa: S603 (our own interpreter and text)
        [sys.executable, "-c", ABANDON, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        assert starter.stdin is not None
        left = psutil.Process(int(starter.stdout.readline()))
        with pytest.raises(StartError, match=f"Process {starter.pid} runs Tidings"):
            run(server_in(folder).start())
        starter.stdin.close()
        starter.wait()
    assert left.is_running()
    server = server_in(folder)

    async def work() -> None:
        try:
            assert await ask(await server.start(), "SELECT 1") == 1
        finally:
            await server.stop()

    run(work())
    assert not left.is_running()


def test_an_interrupted_first_start_does_not_block_the_next(folder: Path) -> None:
    half = folder / "postgres.unfinished"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    server = server_in(folder)

    async def work() -> None:
        try:
            assert await ask(await server.start(), "SELECT 1") == 1
        finally:
            await server.stop()

    run(work())


def test_data_of_another_major_version_is_refused_with_both_named(folder: Path) -> None:
    (folder / "postgres").mkdir()
    (folder / "postgres" / "PG_VERSION").write_text("16\n")
    with pytest.raises(StartError, match="PostgreSQL 16 data, this is 18"):
        run(server_in(folder).start())


def test_a_path_too_long_for_a_socket_is_refused(folder: Path) -> None:
    deep = folder / ("d" * 100)
    with pytest.raises(StartError, match="too long for a socket"):
        run(server_in(deep).start())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives the server to another user")
def test_a_folder_that_the_system_user_cannot_enter_is_named(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(StartError, match=f"{SYSTEM_USER}, who can't enter {closed} "):
        run(server_in(closed / "data").start())


def test_a_server_that_ends_while_starting_says_why(folder: Path) -> None:
    server = server_in(folder)

    async def work() -> None:
        await server.start()
        await server.stop()
        (folder / "postgres" / "postgresql.conf").write_text("no_such_setting_exists = 1\n")
        with pytest.raises(StartError, match="no_such_setting_exists"):
            await asyncio.wait_for(server.start(), 30)

    run(work())

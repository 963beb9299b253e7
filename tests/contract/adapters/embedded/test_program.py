"""Programs beside us: they start, end, and what a crash left behind is found again."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from adapters.clock import SystemClock
from adapters.embedded.errors import StartError
from adapters.embedded.folder import DataFolder
from adapters.embedded.ports import ensure_free, shared_listener
from adapters.embedded.program import Program, end_left_over
from adapters.embedded.supervisor import Supervisor
from adapters.embedded.valkey import valkey
from adapters.redis.client import Cache, CacheError
from tests.helpers.eventually import eventually
from tests.helpers.loop import run

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('up', flush=True)
time.sleep(60)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tidings-") as made:
        yield Path(made)


def program(folder: Path, source: str) -> Program:
    command = [sys.executable, "-c", source]
    return Program("A program", command, folder / "log", folder / "program.pid", {"PATH": "/usr/bin:/bin"})


def test_valkey_answers_on_its_socket_and_goes_with_all_it_has(folder: Path) -> None:
    async def scenario() -> None:
        server = valkey(folder, folder)
        server.start()
        cache = Cache.open(f"unix://{folder / 'valkey.sock'}")
        assert await eventually((folder / "valkey.sock").exists, within_s=5)
        await cache.ping()
        await server.stop()
        with pytest.raises(CacheError):
            await cache.ping()
        await cache.close()
        assert server.pid is None
        assert not (folder / "valkey.pid").exists()

    run(scenario())


def test_who_does_not_listen_is_killed_after_the_timeout(folder: Path) -> None:
    async def scenario() -> None:
        stubborn = program(folder, STUBBORN)
        stubborn.start()
        assert await eventually(lambda: "up" in stubborn.log_tail(), within_s=5)
        await stubborn.stop(signal.SIGTERM, timeout_s=0.2)
        assert stubborn.pid is None

    run(scenario())


def test_the_end_of_its_input_tells_a_child_to_stop(folder: Path) -> None:
    async def scenario() -> None:
        child = program(folder, "import sys; print(sys.stdin.readline() + sys.stdin.read() + 'end')")
        child.start(hold_stdin=True)
        child.say("go")
        await child.end_input(5)
        assert child.log_tail().split() == ["go", "end"]

    run(scenario())


def test_what_ended_at_once_says_why(folder: Path) -> None:
    async def scenario() -> None:
        broken = program(folder, "raise SystemExit('no such thing')")
        broken.start()
        assert await broken.wait() == 1
        with pytest.raises(StartError, match="no such thing"):
            broken.check()

    run(scenario())


def test_a_left_over_is_ended_by_its_own_pid_and_nobody_elses(folder: Path) -> None:
    sleeper = [sys.executable, "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(sleeper) as ours, subprocess.Popen(sleeper) as another:  # noqa: S603 (ours)
        try:
            born = psutil.Process(ours.pid).create_time()
            (folder / "a.pid").write_text(json.dumps({"pid": ours.pid, "created": born}))
            # The same number, another process: what a reused pid looks like.
            (folder / "b.pid").write_text(json.dumps({"pid": another.pid, "created": born - 100}))
            (folder / "c.pid").write_text("nonsense")
            for record in sorted(folder.glob("*.pid")):
                end_left_over(record)
            assert not psutil.pid_exists(ours.pid)
            assert another.poll() is None
            assert not list(folder.glob("*.pid"))
        finally:
            another.kill()


def test_what_dies_is_started_again_until_it_shall_not(folder: Path) -> None:
    async def scenario() -> None:
        said: list[str] = []
        child = program(folder, "import time; print('up', flush=True); time.sleep(60)")
        child.start()
        supervisor = Supervisor(SystemClock(), said.append)
        supervisor.keep(child.name, child.wait, child.restart)
        first = child.pid
        assert first is not None
        psutil.Process(first).kill()
        assert await eventually(lambda: child.pid not in (None, first), within_s=10)
        assert said[0] == "A program ended (exit code -9); starting it again."
        assert await eventually(lambda: said[-1] == "A program runs again.", within_s=5)
        await supervisor.close()
        await child.stop()
        assert child.pid is None

    run(scenario())


def test_a_port_is_free_or_its_holder_is_named() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(StartError, match=f"Port {port} \\(api\\) is in use by "):
            ensure_free("127.0.0.1", {"api": port})
    ensure_free("127.0.0.1", {"api": port})
    first, second = shared_listener("127.0.0.1", port), shared_listener("127.0.0.1", port)
    first.close()
    second.close()


def test_one_process_at_a_time_uses_a_data_folder(folder: Path) -> None:
    first, second = DataFolder(folder / "data"), DataFolder(folder / "data")
    first.open()
    with pytest.raises(StartError, match="runs already"):
        second.open()
    first.close()
    second.open()
    second.write_secret(second.cli_file, "{}")
    assert second.cli_file.stat().st_mode & 0o777 == 0o600
    second.close()


def test_a_deep_folder_keeps_its_sockets_where_their_path_fits(folder: Path) -> None:
    deep = DataFolder(folder / ("d" * 60) / ("e" * 60))
    assert len(str(deep.run)) < 60
    assert DataFolder(folder).run == folder / "run"


def test_a_program_that_was_never_started_is_no_trouble(folder: Path) -> None:
    idle = program(folder, "pass")
    asyncio.run(idle.stop())
    asyncio.run(idle.end_input(1))
    idle.check()
    assert idle.log_tail() == ""

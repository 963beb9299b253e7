"""Programs beside us: they start, end, and what a crash left behind is found again."""

import asyncio
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from adapters.clock import SystemClock
from adapters.embedded.errors import StartError
from adapters.embedded.program import Program, end_left_over, kill_all, left_over
from adapters.embedded.supervisor import Supervisor
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
            records = sorted(folder.glob("*.pid"))
            assert [one and one.pid for one in map(left_over, records)] == [ours.pid, None, None]
            assert ours.poll() is None
            assert [end_left_over(record) for record in records] == [ours.pid, None, None]
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


def test_who_is_killed_without_asking_is_gone(folder: Path) -> None:
    async def scenario() -> None:
        stubborn = program(folder, STUBBORN)
        stubborn.start()
        assert await eventually(lambda: "up" in stubborn.log_tail(), within_s=5)
        assert stubborn.pid is not None
        kill_all([psutil.Process(stubborn.pid)], 2.0)
        assert await stubborn.wait() == -9
        kill_all([], 2.0)

    run(scenario())


def test_a_program_that_was_never_started_is_no_trouble(folder: Path) -> None:
    idle = program(folder, "pass")
    asyncio.run(idle.stop())
    asyncio.run(idle.end_input(1))
    idle.check()
    assert idle.log_tail() == ""

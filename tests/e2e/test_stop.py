"""Ctrl-C: all of it ends within twenty seconds, whatever is going on, and at once for whoever asks twice."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from aiohttp import ClientError, ClientSession

from tests.helpers.running import ROOT, Running, free_ports, up

STOP_S = 20.0
SOCKETS = 50
WRITERS = 8


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give an empty folder that PostgreSQL's own user may enter, too."""
    made = Path(tempfile.mkdtemp(prefix="tidings-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


def stopped_s(process: psutil.Process, members: list[psutil.Process]) -> float:
    """Return how long a stop takes that has just been asked for; nothing may be left after it."""
    began = time.monotonic()
    process.wait(STOP_S + 5)
    took_s = time.monotonic() - began
    _, left = psutil.wait_procs([member for member in members if member != process], timeout=1)
    assert not [one for one in left if is_alive(one)]
    return took_s


def is_alive(process: psutil.Process) -> bool:
    """Say whether it is more than an entry that whoever inherited it has not taken note of yet."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def ports_are_free(port: int) -> bool:
    """Say whether nobody listens on a port of the system any more."""
    for offset in (0, 10, 11, 12):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # those just closed do not count
            probe.bind(("127.0.0.1", port + offset))
    return True


async def use(system: Running, working: asyncio.Event) -> None:
    """Hold sockets open and publish without a pause, until nobody answers any more."""

    async def publish(session: ClientSession, number: int) -> None:
        with suppress(ClientError, OSError, ValueError):
            while True:
                async with session.post(
                    f"{system.origin}/v1/channels/load-{number}/publications",
                    json={"data": number},
                    headers={"Authorization": f"Bearer {system.key}"},
                ) as answer:
                    if answer.status < 300:
                        working.set()
                    await answer.read()

    async with ClientSession() as session:
        for number in range(SOCKETS):
            ws = await session.ws_connect(system.socket_url)
            await ws.send_json({"id": 1, "connect": {"token": system.key}})
            await ws.send_json({"id": 2, "subscribe": {"channel": f"load-{number % WRITERS}"}})
        await asyncio.gather(*(publish(session, number) for number in range(WRITERS)))


def test_it_ends_in_time_with_open_sockets_and_under_load(folder: Path) -> None:
    async def scenario(system: Running) -> float:
        working = asyncio.Event()
        using = asyncio.ensure_future(use(system, working))
        async with asyncio.timeout(30):
            await working.wait()
        members = system.members()
        system.process.send_signal(signal.SIGINT)
        took_s = await asyncio.to_thread(stopped_s, system.process, members)
        using.cancel()
        await asyncio.wait({using})
        return took_s

    with up(folder) as system:
        assert asyncio.run(scenario(system)) < STOP_S
        assert ports_are_free(system.port)
        assert "killing" not in (folder / "up.log").read_text()


@pytest.mark.parametrize("moment", ["… PostgreSQL", "✓ Schema"])
def test_it_ends_in_time_while_it_starts(folder: Path, moment: str) -> None:
    port, log = free_ports(), folder / "up.log"
    environment = {"TIDINGS_PORT": str(port), "TIDINGS_DATA_DIR": str(folder / "data")}
    with (
        log.open("wb") as out,
        subprocess.Popen(
            [sys.executable, "-m", "cli.main", "up"],
            cwd=ROOT,
            stdout=out,
            stderr=out,
            start_new_session=True,
            env={**os.environ, **environment},
        ) as process,
    ):
        try:
            deadline = time.monotonic() + 60
            while moment not in log.read_text():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)
            ours = psutil.Process(process.pid)
            members = ours.children(recursive=True)
            process.send_signal(signal.SIGINT)
            assert stopped_s(ours, members) < STOP_S
            assert ports_are_free(port)
            assert "Traceback" not in log.read_text()
        finally:
            process.kill()


def test_what_hangs_is_killed_by_the_deadline_and_its_data_stays(folder: Path) -> None:
    with up(folder, "--single-process") as system:
        assert system.call("PUT", "/v1/rooms/ext:kept", {"name": "kept"})[0] == 201
        members = system.members()
        for process in members[1:]:
            process.suspend()
        system.process.send_signal(signal.SIGINT)
        assert stopped_s(system.process, members) < STOP_S
        assert "killing what is left" in (folder / "up.log").read_text()
    with up(folder, "--single-process") as again:
        assert again.call("GET", "/v1/rooms/ext:kept")[0] == 200


def test_a_second_control_c_is_obeyed_at_once(folder: Path) -> None:
    with up(folder, "--single-process") as system:
        members = system.members()
        for process in members[1:]:
            process.suspend()
        system.process.send_signal(signal.SIGINT)
        with pytest.raises(psutil.TimeoutExpired):
            system.process.wait(1)
        system.process.send_signal(signal.SIGINT)
        assert stopped_s(system.process, members) < 3
        assert "Asked again: killing what is left." in (folder / "up.log").read_text()

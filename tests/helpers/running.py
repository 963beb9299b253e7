"""The whole system as its users start it: `tidings up` in a folder of its own, on free ports.

`TIDINGS_TEST_SYSTEM=<data folder>` names one that is up already, and is then used as it is.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import jwt
import psutil

from adapters.embedded.folder import DataFolder

ROOT = Path(__file__).parents[2]
# PostgreSQL's data is made and Ray is imported for the first time: far beyond the 45 s of later starts.
READY_S = 180.0
STOP_S = 20.0
LAST_LINE = "Ctrl-C stops all of it."
PORTS = range(13)
"""The edge's own, and those at fixed distances above it."""
FIRST_PORT, LAST_PORT = 10_000, 30_000


@dataclass(frozen=True, slots=True)
class Running:
    """One system that is up."""

    origin: str
    organization: str
    key: str
    token_secret: str
    data_dir: Path
    process: psutil.Process

    @property
    def port(self) -> int:
        """The edge's port."""
        return urlsplit(self.origin).port or 80

    @property
    def socket_url(self) -> str:
        """Where Centrifuge clients connect, through the edge."""
        return f"ws://127.0.0.1:{self.port}/connection/websocket"

    def token(self, user: str, *, lifetime_s: int = 3_600, secret: str = "") -> str:
        """Return a connection token of the organization, signed as its own backend would."""
        claims = {"sub": user, "org": self.organization, "exp": int(time.time()) + lifetime_s}
        return jwt.encode(claims, secret or self.token_secret, algorithm="HS256")

    def call(
        self, method: str, path: str, body: object = None, *, key: str = ""
    ) -> tuple[int, dict[str, object]]:
        """Send one REST request through the edge; return status and JSON body."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Authorization": f"Bearer {key or self.key}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"{}")
        finally:
            connection.close()

    def listeners(self, port: int) -> list[psutil.Process]:
        """Return the processes of this system that listen on a port."""
        return [
            psutil.Process(c.pid)
            for c in psutil.net_connections("tcp")
            if c.status == psutil.CONN_LISTEN and c.laddr and c.laddr.port == port and c.pid
        ]

    def members(self) -> list[psutil.Process]:
        """Return every process of the system, `tidings up` first."""
        try:
            return [self.process, *self.process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def named(self, part: str) -> list[psutil.Process]:
        """Return the processes of the system whose name or program contains `part`."""
        found = []
        for process in self.members():
            try:
                if part in process.name() or part in Path((process.cmdline() or [""])[0]).name:
                    found.append(process)
            except psutil.NoSuchProcess:
                continue
        return found


def free_ports() -> int:
    """Return a port that is free together with all that the system derives from it.

    None of those that the kernel gives to whoever asks for any: the system asks for some as it starts.
    """
    first = FIRST_PORT + os.getpid() * len(PORTS) % (LAST_PORT - FIRST_PORT)
    while not all(_is_free(first + n) for n in PORTS):
        first += len(PORTS)
    return first


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@contextmanager
def running(*arguments: str, environment: dict[str, str] | None = None) -> Iterator[Running]:
    """Start the system with `tidings up <arguments>` in a fresh folder, and end all of it afterwards.

    Raises:
        AssertionError: it was not ready in time (its own output is in the message), it did not stop in time,
            or it left a process behind.
    """
    folder = Path(tempfile.mkdtemp(prefix="tidings-"))
    folder.chmod(0o755)  # as root, PostgreSQL runs as another user
    try:
        with up(folder, *arguments, environment=environment) as system:
            yield system
    finally:
        shutil.rmtree(DataFolder(folder / "data").ray, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def given_or_running(*arguments: str, environment: dict[str, str] | None = None) -> Iterator[Running]:
    """Give the system that `TIDINGS_TEST_SYSTEM` names, else start one."""
    given = os.environ.get("TIDINGS_TEST_SYSTEM")
    if given:
        yield attach(Path(given))
        return
    with running(*arguments, environment=environment) as system:
        yield system


@contextmanager
def up(folder: Path, *arguments: str, environment: dict[str, str] | None = None) -> Iterator[Running]:
    """Do the same in a folder of the caller's, which stays: a second `up` finds the first one's data."""
    port = free_ports()
    output = folder / "up.log"
    began = output.stat().st_size if output.exists() else 0
    with output.open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 (our own command)
            [sys.executable, "-m", "cli.main", "up", *arguments],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={
                **os.environ,
                "TIDINGS_PORT": str(port),
                "TIDINGS_DATA_DIR": str(folder / "data"),
                **(environment or {}),
            },
        )
    members: list[psutil.Process] = []
    try:
        _wait_until_ready(process, output, began)
        system = attach(folder / "data", process.pid)
        yield system
        members = system.members()
    finally:
        _stop(process, members, output)


def attach(data_dir: Path, pid: int = 0) -> Running:
    """Return the system whose data folder this is."""
    written = json.loads((data_dir / "cli.json").read_text())
    process = psutil.Process(pid) if pid else _up_process(data_dir)
    return Running(
        origin=written["url"],
        organization=written["organization"],
        key=written["api_key"],
        token_secret=written["token_secret"],
        data_dir=data_dir,
        process=process,
    )


def _up_process(data_dir: Path) -> psutil.Process:
    written = json.loads((data_dir / "cli.json").read_text())
    port = urlsplit(written["url"]).port
    edge = next(c.pid for c in psutil.net_connections("tcp") if c.laddr and c.laddr.port == port and c.pid)
    first = psutil.Process(edge)
    while (parent := first.parent()) is not None and "up" in parent.cmdline():
        first = parent
    return first


def _wait_until_ready(process: subprocess.Popen[bytes], output: Path, began: int) -> None:
    deadline = time.monotonic() + READY_S
    while True:
        said = output.read_bytes()[began:].decode(errors="replace")
        if LAST_LINE in said:
            return
        assert process.poll() is None, f"`tidings up` ended:\n{said}"
        assert time.monotonic() < deadline, f"not ready after {READY_S:.0f} s:\n{said}"
        time.sleep(0.1)


def _stop(process: subprocess.Popen[bytes], members: list[psutil.Process], output: Path) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_S + 5)
    except subprocess.TimeoutExpired:
        members = members or psutil.Process(process.pid).children(recursive=True)
    _, left = psutil.wait_procs([m for m in members if m.pid != process.pid], timeout=2)
    stopped = process.poll() is not None
    for one in [*left, *([] if stopped else [psutil.Process(process.pid)])]:
        one.kill()
    process.wait()
    names = [f"{one.pid} {one.info}" for one in psutil.process_iter(["name"]) if one in left]
    assert stopped, f"not stopped after {STOP_S:.0f} s:\n{output.read_text(errors='replace')[-2_000:]}"
    assert not left, f"left behind: {names}"

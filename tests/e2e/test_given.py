"""What others run in place of an embedded part: DATABASE_URL, REDIS_URL, RAY_ADDRESS, one by one."""

import asyncio
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from adapters.embedded.postgres import EmbeddedPostgres
from adapters.embedded.program import kill_all
from adapters.embedded.ray import FLAGS
from adapters.embedded.valkey import binary
from adapters.entropy import SystemEntropy
from adapters.postgres.sealing import ensure_key
from tests.helpers.ports import free_port
from tests.helpers.running import ROOT, Running, free_ports, running

RAY_UP_S = 90.0
CURRENT = Path("/tmp/ray/ray_current_cluster")  # noqa: S108 (Ray's own)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a folder that PostgreSQL's own user may enter, with a path short enough for sockets."""
    made = Path(tempfile.mkdtemp(prefix="tidings-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@contextmanager
def valkey() -> Iterator[str]:
    """Run a Valkey of somebody else's; give its URL."""
    port = free_port()
    command = [str(binary()), "--port", str(port), "--save", ""]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:  # noqa: S603 (ours)
        try:
            wait_for_port(process, port, 10)
            yield f"redis://127.0.0.1:{port}"
        finally:
            process.kill()


def wait_for_port(process: subprocess.Popen[bytes], port: int, within_s: float) -> None:
    """Return when somebody listens on the port."""
    deadline = time.monotonic() + within_s
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert process.poll() is None, "it ended"
        assert time.monotonic() < deadline, "nobody listens"
        time.sleep(0.1)


@contextmanager
def ray_head(folder: Path, *, token: bool) -> Iterator[tuple[str, dict[str, str]]]:
    """Run a Ray of somebody else's, with a token or open; give its address and what joins it."""
    environment = {name: value for name, value in FLAGS.items() if name != "RAY_AUTH_MODE"}
    credentials = {"RAY_AUTH_MODE": "disabled"}
    if token:
        (folder / "token").write_text("ab" * 32)
        (folder / "token").chmod(0o600)
        credentials = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(folder / "token")}
    port = free_port()
    # Its own ports and folder: another Ray may run here, and `ray stop` would end it, too.
    command = [
        *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", f"--port={port}"),
        *("--node-ip-address=127.0.0.1", f"--temp-dir={folder / 'ray'}", "--include-dashboard=false"),
        *("--num-cpus=2", "--object-store-memory=80000000", f"--ray-client-server-port={free_port()}"),
        *(f"--dashboard-agent-listen-port={free_port()}", f"--metrics-export-port={free_port()}"),
    ]
    with (folder / "ray.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 (ours)
            command,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **environment, **credentials, "PYTHONPATH": str(ROOT)},
        )
    try:
        deadline = time.monotonic() + RAY_UP_S
        while "Ray runtime started" not in (said := (folder / "ray.log").read_text()):
            assert process.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.2)
        yield f"127.0.0.1:{port}", credentials
    finally:
        ours = psutil.Process(process.pid)
        kill_all([ours, *ours.children(recursive=True)], 5.0)
        process.wait()
        if CURRENT.exists() and f":{port}" in CURRENT.read_text():
            CURRENT.unlink()


def works(system: Running) -> None:
    """Write and read through the edge."""
    assert system.call("PUT", "/v1/rooms/ext:one", {"name": "one"})[0] == 201
    assert system.call("GET", "/v1/rooms/ext:one")[1]["name"] == "one"


def told(system: Running, verb: str) -> str:
    """Return what a command says in a shell that knows the data folder alone."""
    done = subprocess.run(  # noqa: S603 (ours)
        [sys.executable, "-m", "cli.main", verb],
        cwd=ROOT,
        env={**os.environ, "TIDINGS_DATA_DIR": str(system.data_dir)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr
    return done.stdout


def test_a_valkey_of_ones_own_is_used_and_none_is_started() -> None:
    with valkey() as url, running("--single-process", environment={"REDIS_URL": url}) as system:
        works(system)
        assert not system.named("valkey")
        assert "✓ cache: answers" in told(system, "doctor")
        (theirs,) = [one for one in psutil.Process().children() if "valkey" in (one.cmdline() or [""])[0]]
        theirs.kill()
        assert "✗ cache:" in told(system, "doctor")
        works_on = system.call("PUT", "/v1/rooms/ext:two", {"name": "two"})
        assert works_on[0] == 201, "its loss costs latency only"


def test_a_postgresql_of_ones_own_is_used_and_none_is_started(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "pg", folder / "socket", folder / "pg.log", tcp_port=free_port())
    asyncio.run(server.start())
    try:
        with running("--single-process", environment={"DATABASE_URL": server.tcp_dsn}) as system:
            works(system)
            assert not system.named("postgres")
            shown = told(system, "status")
            assert "127.0.0.1:" in shown
            assert server.tcp_dsn.split(":")[2].split("@")[0] not in shown, "a password is nobody's business"
    finally:
        asyncio.run(server.stop())


@pytest.mark.parametrize("token", [True, False], ids=["token", "open"])
def test_a_ray_of_ones_own_is_used_and_stays(folder: Path, *, token: bool) -> None:
    with ray_head(folder, token=token) as (address, credentials):
        with running(environment={"RAY_ADDRESS": address, "TIDINGS_BIND": "node", **credentials}) as system:
            works(system)
            assert not system.named("raylet")
            assert "✗" not in told(system, "doctor")
            shown = told(system, "status")
            assert "stream-0" in shown
            assert shown.count(" serves") == 4
        theirs = psutil.Process().children(recursive=True)
        assert [one for one in theirs if one.name() == "raylet"], "it is not ours to end"
        assert not [one for one in theirs if "StreamOwnerActor" in " ".join(one.cmdline())]


def test_deploy_brings_a_cluster_up_and_changes_nothing_the_second_time(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "pg", folder / "socket", folder / "pg.log", tcp_port=free_port())
    asyncio.run(server.start())
    port = free_ports()
    for name in ("kek", "cluster_key"):
        ensure_key(folder / name, SystemEntropy())
    lines = {
        "DATABASE_URL": server.tcp_dsn,
        "TIDINGS_PORT": str(port),
        "TIDINGS_BIND": "node",
        "TIDINGS_SCHEMAS_DIR": str(ROOT / "schemas"),
        "TIDINGS_KEK_FILE": str(folder / "kek"),
        "TIDINGS_CLUSTER_KEY_FILE": str(folder / "cluster_key"),
        "TIDINGS_DATA_DIR": str(folder / "data"),
    }
    try:
        with ray_head(folder, token=True) as (address, credentials):
            lines |= {**FLAGS, **credentials, "RAY_ADDRESS": address}
            file = folder / "node.env"
            file.write_text("".join(f"{name}='{value}'\n" for name, value in lines.items()))
            owners = [deployed(file, port) for _ in range(2)]
            assert owners[0] == owners[1] != []
    finally:
        asyncio.run(server.stop())


def is_listener(connection: Any, port: int) -> bool:
    """Say whether somebody listens on the port: where, Ray says, and not this test."""
    return (
        connection.status == psutil.CONN_LISTEN and bool(connection.laddr) and connection.laddr.port == port
    )


def deployed(file: Path, port: int) -> list[int]:
    """Run `tidings deploy` from a folder that means nothing; return the owners that run then."""
    done = subprocess.run(  # noqa: S603 (ours)
        [str(Path(sys.executable).parent / "tidings"), "deploy", "--env-file", str(file)],
        cwd=file.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    steps = re.findall(r"✓ (.+?)  ", done.stdout)
    assert steps == ["PostgreSQL", "Schema", "Ray", "Owners", "REST and sockets"]
    for offset in (10, 11, 12):
        (address,) = {
            one.laddr.ip for one in psutil.net_connections("tcp") if is_listener(one, port + offset)
        }
        with urllib.request.urlopen(f"http://{address}:{port + offset}/healthz", timeout=10) as answer:
            assert answer.status == 200
    members = psutil.Process().children(recursive=True)
    return sorted(one.pid for one in members if "StreamOwnerActor" in " ".join(one.cmdline()))

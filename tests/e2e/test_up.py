"""`tidings up`: what it prints works, it starts again on its data, and says in a sentence why it can't."""

import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.kinds import javascript
from tests.helpers.running import ROOT, Running, free_ports, up

WHOLE_READY_S, SINGLE_READY_S = 45.0, 5.0
WHOLE_PSS_MB, SINGLE_PSS_MB = 1_300, 300


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give an empty folder that PostgreSQL's own user may enter, too."""
    made = Path(tempfile.mkdtemp(prefix="tidings-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


def pss_mb(system: Running) -> float:
    """Return the memory of all processes, shared pages counted once."""
    found = 0
    for process in system.members():
        try:
            text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        found += sum(int(size) for size in re.findall(r"^Pss:\s+(\d+) kB", text, re.MULTILINE))
    return found / 1024


def ready_s(folder: Path) -> float:
    """Return what the last start said of itself."""
    return float(re.findall(r"Ready after ([\d.]+) s", (folder / "up.log").read_text())[-1])


@pytest.mark.parametrize(
    ("arguments", "within_s", "within_mb"),
    [((), WHOLE_READY_S, WHOLE_PSS_MB), (("--single-process",), SINGLE_READY_S, SINGLE_PSS_MB)],
    ids=["whole", "single-process"],
)
def test_a_second_start_finds_the_data_and_is_quick_and_small(
    folder: Path, arguments: tuple[str, ...], within_s: float, within_mb: float
) -> None:
    with up(folder, *arguments) as first:
        status, body = first.call("PUT", "/v1/rooms/ext:kept", {"name": "kept"})
        assert status == 201, body
        mode = (first.data_dir / "cli.json").stat().st_mode & 0o777
        assert mode == 0o600
    with up(folder, *arguments) as second:
        assert (second.organization, second.key) == (first.organization, first.key)
        status, body = second.call("GET", "/v1/rooms/ext:kept")
        assert (status, body["name"]) == (200, "kept")
        assert ready_s(folder) <= within_s
        assert pss_mb(second) <= within_mb


def test_what_is_printed_can_be_pasted(folder: Path) -> None:
    with up(folder, "--single-process") as system:
        printed = (folder / "up.log").read_text()
        assert system.organization in printed
        assert system.key in printed
        commands = re.findall(r"^  (curl .*?\\\n.*?)$", printed, re.MULTILINE)
        objects = []
        for command in commands:
            shell = ["/bin/bash", "-c", command]
            done = subprocess.run(shell, capture_output=True, check=True, timeout=30)  # noqa: S603 (what it prints)
            objects.append(json.loads(done.stdout)["object"])
        assert objects == ["room", "message", "publication"]
        as_root = "As root, PostgreSQL runs as the system user pgserver, made for it." in printed
        assert as_root == (os.geteuid() == 0)
        snippet = re.search(r"^  import .*?client\.connect\(\);$", printed, re.MULTILINE | re.DOTALL)
        assert snippet is not None
        node, installed = javascript()
        (folder / "node_modules").symlink_to(Path(installed).parent / "node_modules")
        (folder / "snippet.mjs").write_text(snippet[0])
        program = [node, str(folder / "snippet.mjs")]
        with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 (what it prints)
            try:
                assert process.stdout is not None
                assert process.stdout.readline() == "1 { headline: 'It works' }\n"
            finally:
                process.kill()


def test_what_an_end_without_goodbye_left_is_ended_by_the_next_start(folder: Path) -> None:
    with up(folder, "--single-process") as system:
        system.call("PUT", "/v1/rooms/ext:kept", {"name": "kept"})
        left = system.members()[1:]
        system.process.kill()
        system.process.wait(5)
        pids = {name: process.pid for process in left if (name := process.name()) in {"postgres", "haproxy"}}
        postmaster = (system.data_dir / "postgres" / "postmaster.pid").read_text().split()[0]
        assert any(process.is_running() for process in left)
        with up(folder, "--single-process") as again:
            assert again.call("GET", "/v1/rooms/ext:kept")[0] == 200
            assert not [process for process in left if process.is_running()]
            printed = (folder / "up.log").read_text()
            assert f"Ended PostgreSQL left by an earlier run (process {postmaster})." in printed
            assert f"Ended the edge left by an earlier run (process {pids['haproxy']})." in printed
            assert printed.count("Ended Valkey left by an earlier run (process ") == 1


def refused(folder: Path, *, limit: int = 0, through: tuple[str, ...] = (), **environment: str) -> str:
    """Return the sentence with which `tidings up` refuses to start, when run by `through`."""

    def lower() -> None:
        if limit:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

    defaults = {"TIDINGS_PORT": str(free_ports()), "TIDINGS_DATA_DIR": str(folder / "data")}
    done = subprocess.run(  # noqa: S603 (our own command)
        [*through, sys.executable, "-m", "cli.main", "up", "--single-process"],
        cwd=ROOT,
        env={**os.environ, **defaults, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=lower,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    sentence = " ".join(done.stderr.split())
    assert sentence.startswith("Tidings can't do this: ")
    return sentence.removeprefix("Tidings can't do this: ")


def test_a_busy_port_is_named_with_who_holds_it(folder: Path) -> None:
    port = free_ports()
    for offset in (0, 10, 11, 12):
        with socket.socket() as holder:
            # As servers do: connections that an earlier system closed may still rest on the port.
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind(("127.0.0.1", port + offset))
            holder.listen()
            said = refused(folder, TIDINGS_PORT=str(port))
        assert f"Port {port + offset} " in said
        assert f"process {os.getpid()}" in said
        assert "TIDINGS_PORT" in said


def test_a_second_start_beside_the_first_is_refused(folder: Path) -> None:
    with up(folder, "--single-process") as system:
        said = refused(folder)
        assert f"(process {system.process.pid})" in said
        assert system.call("GET", "/v1/events")[0] == 200


def test_a_port_belongs_to_who_starts_first_before_anything_listens_on_it(folder: Path) -> None:
    port = str(free_ports())
    environment = {"TIDINGS_PORT": port, "TIDINGS_DATA_DIR": str(folder / "first")}
    with subprocess.Popen(
        [sys.executable, "-m", "cli.main", "up", "--single-process"],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
    ) as first:
        assert first.stdout is not None
        try:
            # What is next starts the first of its programs.
            assert any("Resource types" in line for line in first.stdout)
            said = refused(folder, TIDINGS_PORT=port)
        finally:
            first.send_signal(signal.SIGINT)
            first.communicate(timeout=30)
    assert f"Port {port} (the edge) is in use by" in said
    assert f"(process {first.pid})" in said


def test_too_few_descriptors_are_refused(folder: Path) -> None:
    assert "1024 open files" in refused(folder, limit=1_024)


def test_a_broken_schema_is_named_with_pointer_and_reason(folder: Path) -> None:
    shutil.copytree(ROOT / "schemas", folder / "schemas")
    (folder / "schemas" / "bad.json").write_text(
        '{"title": "bad", "type": "object", "properties": {"id": {}}}'
    )
    said = refused(folder, TIDINGS_SCHEMAS_DIR=str(folder / "schemas"))
    assert "bad.json#/x-tidings" in said


def test_data_of_another_release_is_refused(folder: Path) -> None:
    with up(folder, "--single-process"):
        pass
    (folder / "data" / "postgres" / "PG_VERSION").write_text("14\n")
    said = refused(folder)
    assert "PostgreSQL 14 data" in said


SMALL_DISK = 'mount -t tmpfs -o size=64m tmpfs "$0" && exec "$@"'


def test_a_full_disk_is_said_before_anything_is_written(folder: Path) -> None:
    (folder / "small").mkdir()
    # A mount of our own, gone with the process: an ordinary user may make one where it is root alone.
    apart = "-m" if os.geteuid() == 0 else "-Urm"
    through = ("unshare", apart, "/bin/sh", "-c", SMALL_DISK, str(folder / "small"))
    allowed = subprocess.run([*through, "true"], capture_output=True, text=True, check=False)  # noqa: S603 (ours)
    if allowed.returncode:
        pytest.skip(f"this machine lets us mount no small disk: {allowed.stderr.strip()}")
    said = refused(folder, through=through, TIDINGS_DATA_DIR=str(folder / "small" / "data"))
    assert "is full" in said
    assert "TIDINGS_DATA_DIR" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only as root PostgreSQL runs as another user")
def test_a_folder_that_the_database_user_cannot_enter_is_named(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    said = refused(folder, TIDINGS_DATA_DIR=str(closed / "data"))
    assert f"chmod o+x {closed}" in said


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("TIDINGS_PORT", "abc", "TIDINGS_PORT is 'abc'"),
        ("TIDINGS_HOST", "203.0.113.1", "TIDINGS_HOST is 203.0.113.1, which is no address of this machine"),
        ("TIDINGS_BIND", "203.0.113.1", "TIDINGS_BIND is 203.0.113.1, where the edge"),
        ("DATABASE_URL", "nonsense", "DATABASE_URL can't be used"),
        ("DATABASE_URL", "postgresql://u:hidden@127.0.0.1:1/x", "does not answer"),
        ("REDIS_URL", "nonsense", "REDIS_URL can't be used"),
        ("REDIS_URL", "redis://:hidden@127.0.0.1:1", "REDIS_URL (127.0.0.1:1) does not answer"),
        ("RAY_ADDRESS", "203.0.113.1:6379", "with a DATABASE_URL that every node reaches"),
        ("RAY_ADDRESS", "ray://localhost:10001", "give it the form host:6379"),
    ],
)
def test_a_setting_that_can_not_be_is_told_in_a_sentence(
    folder: Path, variable: str, value: str, sentence: str
) -> None:
    said = refused(folder, **{variable: value})
    assert sentence in said
    assert "hidden" not in said

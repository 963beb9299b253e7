"""The folder of an installation: what stands where in it, and that one `tidings up` at a time uses it."""

import fcntl
import json
import os
import shutil
import stat
from hashlib import sha256
from pathlib import Path
from typing import Final

import psutil

from adapters.embedded.errors import StartError

SOCKET_NAME_BYTES_MAX: Final = 30
"""What is left for the rest of a socket's path behind the run folder."""
SOCKET_PATH_BYTES_MAX: Final = 107
FREE_BYTES_MIN: Final = 268_435_456


class DataFolder:
    """Paths below one folder, made by `open` and locked until `close`.

    Args:
        root: absolute; everything that must be backed up stands below it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.postgres = root / "postgres"
        self.logs = root / "logs"
        self.cli_file = root / "cli.json"
        self.ray_token = root / "ray_token"
        name = sha256(str(root).encode()).hexdigest()[:10]
        self.ray = Path("/tmp") / f"tidings-{os.geteuid()}-{name}-ray"  # noqa: S108 (Ray's sockets need a short path)
        self._short = Path("/tmp") / f"tidings-{os.geteuid()}-{name}"  # noqa: S108 (the same; ours alone, see open)
        self._lock: int | None = None

    @property
    def run(self) -> Path:
        """Where sockets and records of processes stand: below the root, if its path is short enough."""
        below = self.root / "run"
        fits = len(os.fsencode(below)) + SOCKET_NAME_BYTES_MAX <= SOCKET_PATH_BYTES_MAX
        return below if fits else self._short

    @property
    def database_url_file(self) -> Path:
        """Tells the other commands how to reach the database while the system is up."""
        return self.run / "database_url"

    @property
    def running_file(self) -> Path:
        """Tells the other commands where the system is reached while it is up."""
        return self.run / "running.json"

    def running(self) -> dict[str, str]:
        """Return what `note_running` wrote, or nothing when no `tidings up` has got that far."""
        try:
            noted: dict[str, str] = json.loads(self.running_file.read_text())
        except (OSError, ValueError):
            return {}
        return noted

    def note_running(self, environment: dict[str, str]) -> None:
        """Write down the variables under which other commands find the system that runs here."""
        self.write_secret(self.running_file, json.dumps(environment))
        self.write_secret(self.database_url_file, environment["DATABASE_URL"])

    @property
    def holder(self) -> int | None:
        """The process that has the folder open, or None; looked up without touching the lock."""
        lock = self.root / "lock"
        try:
            process = psutil.Process(int(lock.read_text()))
            held = any(Path(opened.path) == lock for opened in process.open_files())
        except (OSError, ValueError, psutil.Error):
            return None
        return process.pid if held else None

    @property
    def redis_url(self) -> str:
        """How to reach the embedded cache."""
        return f"unix://{self.run / 'valkey.sock'}"

    def open(self) -> None:
        """Make what is missing and take the lock.

        Raises:
            StartError: it can't be made, another process holds it, or the disk is full.
        """
        try:
            for folder in (self.root, self.run, self.logs):
                folder.mkdir(parents=True, exist_ok=True)
            status = self.run.stat()
            if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o022:
                raise StartError(f"{self.run} belongs to somebody else: remove it, then start again.")
            lock = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StartError(
                f"The data folder {self.root} can't be used ({error.strerror}): "
                "make it writable, or set TIDINGS_DATA_DIR."
            ) from None
        self._take_lock(lock)
        free_bytes = shutil.disk_usage(self.root).free
        if free_bytes < FREE_BYTES_MIN:
            raise StartError(
                f"The disk of {self.root} is full: {free_bytes >> 20} MB are free, Tidings starts with "
                f"{FREE_BYTES_MIN >> 20} MB or more. Free some space, or set TIDINGS_DATA_DIR."
            )

    def _take_lock(self, lock: int) -> None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock, 20, 0).decode() or "unknown"
            os.close(lock)
            raise StartError(
                f"Tidings runs already on {self.root} (process {holder}): stop it first, "
                "or set another TIDINGS_DATA_DIR and TIDINGS_PORT."
            ) from None
        self._lock = lock
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)

    def write_secret(self, file: Path, text: str) -> None:
        """Write a file that only its owner can read; whole or not at all."""
        unfinished = file.with_name(f"{file.name}.unfinished")
        unfinished.unlink(missing_ok=True)
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        unfinished.replace(file)

    def close(self) -> None:
        """Give the lock back and tell nobody any more that something runs; without the lock do nothing."""
        if self._lock is not None:
            self.database_url_file.unlink(missing_ok=True)
            self.running_file.unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

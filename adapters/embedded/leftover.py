"""A PostgreSQL that an earlier process of ours left behind, told apart from one that is in use."""

import os
import signal
from pathlib import Path
from typing import Final

import psutil

from adapters.embedded.errors import StartError

_STARTER: Final = "starter"


def note_starter(folder: Path) -> None:
    """Write down in `folder` which process starts the server: ourselves."""
    me = psutil.Process()
    (folder / _STARTER).write_text(f"{me.pid} {me.create_time()}")


def end_left_over(data_dir: Path, noted_in: Path, *, patience_s: float) -> int | None:
    """End a server that runs on this very data folder though the process that started it is gone.

    Returns its pid, or None when there was none.
    A lock file whose process is something else by now, as after a power cut, is removed.

    Raises:
        StartError: its starter lives, so it is in use; or it does not stop.
    """
    lock = data_dir / "postmaster.pid"
    server = _server_of(lock)
    if server is None:
        lock.unlink(missing_ok=True)
        return None
    starter = _starter(noted_in)
    if starter is not None and starter.pid != os.getpid():
        raise StartError(
            f"Process {starter.pid} runs Tidings on {data_dir.parent} already: stop it first, "
            "or set another TIDINGS_DATA_DIR and TIDINGS_PORT."
        )
    try:
        server.send_signal(signal.SIGINT)
        server.wait(patience_s)
    except psutil.NoSuchProcess:
        return None
    except psutil.TimeoutExpired as slow:
        raise StartError(
            f"A PostgreSQL of an earlier run (process {server.pid}) does not stop: end it, then start again."
        ) from slow
    return server.pid


def _server_of(lock: Path) -> psutil.Process | None:
    try:
        process = psutil.Process(int(lock.read_text().split("\n", 1)[0]))
        ours = process.name() == "postgres" and str(lock.parent) in process.cmdline()
    except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
        return None
    return process if ours and process.status() != psutil.STATUS_ZOMBIE else None


def _starter(folder: Path) -> psutil.Process | None:
    """Return the process that started the server, if it is still the same one and alive."""
    try:
        pid, born = (folder / _STARTER).read_text().split()
        process = psutil.Process(int(pid))
        same = process.create_time() == float(born) and process.status() != psutil.STATUS_ZOMBIE
    except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
        return None
    return process if same else None

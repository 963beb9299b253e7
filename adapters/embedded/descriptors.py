"""The limit on open files, which decides how many sockets fit."""

import resource
from typing import Final

from adapters.embedded.errors import StartError

LEAST: Final = 4_096
ENOUGH: Final = 65_536
MOST: Final = 1_048_576
RESERVED: Final = 400
PER_SOCKET: Final = 2
"""A socket costs the edge two descriptors, one to each side."""


def raise_limit() -> int:
    """Raise the limit of this process, which its children inherit, as far as it may go, and return it.

    Raises:
        StartError: even so it is too low to run at all.
    """
    soft, hard = (_size(limit) for limit in resource.getrlimit(resource.RLIMIT_NOFILE))
    limit = max(soft, min(hard, MOST))
    if limit > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    if limit < LEAST:
        raise StartError(
            f"This shell allows {limit} open files, Tidings needs {LEAST} or more: "
            f"raise the hard limit (`ulimit -Hn {ENOUGH}` as root), then start again."
        )
    return limit


def _size(limit: int) -> int:
    return MOST if limit == resource.RLIM_INFINITY else limit


def warning_of(limit: int) -> str:
    """Return a sentence when the limit holds fewer sockets than a small installation may want, else ""."""
    if limit >= ENOUGH:
        return ""
    sockets = (limit - RESERVED) // PER_SOCKET
    return (
        f"{limit} open files are allowed: about {sockets:,} sockets fit through the edge "
        f"(ulimit -n {ENOUGH} for more)."
    )

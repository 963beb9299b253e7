"""What `tidings up` can't do, since it is for one machine: said before anything starts."""

import socket
from typing import Final
from urllib.parse import urlsplit

import psutil

from adapters.embedded.errors import StartError
from settings import EVERYWHERE, Settings

BINDS: Final = ("127.0.0.1", "localhost", "0.0.0.0")  # noqa: S104 (what an operator may choose)
"""Where replicas may listen so that the edge reaches them on 127.0.0.1."""
OWN_NAMES: Final = ("auto", "localhost", "127.0.0.1")


def require_one_machine(settings: Settings) -> Settings:
    """Return the settings with `bind` resolved for this machine.

    Raises:
        StartError: they are for a cluster of several, or for a Ray that can't be joined.
    """
    where = settings.installation
    if where.ray_address:
        _require_local(where.ray_address)
    if where.bind == "node":  # "as Ray knows each node": there is one, and its edge asks at 127.0.0.1
        return settings.model_copy(update={"installation": where.model_copy(update={"bind": "127.0.0.1"})})
    if where.bind not in BINDS:
        raise StartError(
            f"TIDINGS_BIND is {where.bind}, where the edge of `tidings up` does not ask: leave it out, or "
            f"set 0.0.0.0. (TIDINGS_HOST is the address of the edge itself, now {where.host}.)"
        )
    return settings


def _require_local(address: str) -> None:
    if address.startswith("ray://"):
        raise StartError(
            f"RAY_ADDRESS is {address}, Ray Client, which is too slow for this: give it the form host:6379, "
            "and run Tidings on a node of that cluster."
        )
    host = urlsplit(f"//{address}").hostname or ""
    if host in OWN_NAMES:
        return
    ours = {one.address for card in psutil.net_if_addrs().values() for one in card}
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError) as error:
        raise StartError(
            f"RAY_ADDRESS is {address}, and {host!r} is no known name ({error}): correct it."
        ) from None
    if not found & {*ours, *EVERYWHERE}:
        raise StartError(
            f"RAY_ADDRESS is {address}, another machine, which can't reach what `tidings up` starts here: "
            "use `tidings deploy` there, with a DATABASE_URL that every node reaches."
        )

"""Ports of this machine: taken by one installation, and shared by the replicas of a node."""

import errno
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

import psutil

from adapters.embedded.errors import StartError

BACKLOG = 4096
PRIVILEGED = 1024


@contextmanager
def claimed(host: str, ports: Mapping[str, int], *, variable: str = "TIDINGS_HOST") -> Iterator[None]:
    """Make sure that all ports can be listened on and that nobody does, and keep it so for this process.

    What listens later shares its port with whoever does the same, so a second installation, or a left-over
    replica, would take its share of the connections unseen. A claim is seen from the beginning of a start:
    it is the UDP port of the same number, which is for one alone, and free again when its process is gone.

    Args:
        host: address or name; of a name, every address is tried.
        ports: what each is for, and its number.
        variable: the setting that `host` comes from, for the sentence.

    Raises:
        StartError: one can't be; the sentence says why, and who holds it where that can be found out.
    """
    with ExitStack() as claims:
        for what, port in ports.items():
            for family, address in _addresses(host, port, variable):
                try:
                    with socket.socket(family) as probe:
                        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                        probe.bind(address)
                    claims.enter_context(socket.socket(family, socket.SOCK_DGRAM)).bind(address)
                except OSError as error:
                    raise StartError(_sentence(error, host, what, port, variable)) from None
        yield


def _addresses(host: str, port: int, variable: str) -> list[tuple[int, tuple[object, ...]]]:
    asked = None if host == "*" else host
    try:
        found = socket.getaddrinfo(asked, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        raise StartError(
            f"{variable} is {host!r}, which is no address and no known name ({error}): set it to an address "
            "of this machine, or leave it out."
        ) from None
    return [(family, address) for family, _, _, _, address in found]


def _sentence(error: OSError, host: str, what: str, port: int, variable: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} ({what}) is in use{_holder(port)}: end that program, or set TIDINGS_PORT."
    if error.errno == errno.EACCES and port < PRIVILEGED:
        why = f"is for root alone, as all below {PRIVILEGED}: set TIDINGS_PORT to a higher one."
        return f"Port {port} ({what}) {why}"
    if error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
        return (
            f"{variable} is {host}, which is no address of this machine: set it to one that is, "
            "to 0.0.0.0 for all of them, or leave it out."
        )
    why = f"can't be listened on ({error.strerror}): set {variable} or TIDINGS_PORT."
    return f"Port {port} ({what}) on {host} {why}"


def _holder(port: int) -> str:
    for kind in ("udp", "tcp"):  # who claims it first: `tidings up`, not one of its programs
        for one in psutil.net_connections(kind):
            is_taken = kind == "udp" or one.status == psutil.CONN_LISTEN
            if is_taken and one.pid and one.laddr and one.laddr.port == port:
                try:
                    return f" by {psutil.Process(one.pid).name()} (process {one.pid})"
                except psutil.NoSuchProcess:
                    return ""
    return ""


def shared_listener(host: str, port: int) -> socket.socket:
    """Return a bound socket on a port that all replicas of this node share (SO_REUSEPORT)."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((host, port))
    listener.listen(BACKLOG)
    listener.settimeout(0)
    return listener

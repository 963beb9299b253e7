"""Ports of this machine: free before the first start, shared by the replicas of a node afterwards."""

import socket
from collections.abc import Mapping

import psutil

from adapters.embedded.errors import StartError

BACKLOG = 4096


def ensure_free(host: str, ports: Mapping[str, int]) -> None:
    """Make sure that nobody listens on the ports.

    A left-over replica would take its share of the connections unseen.

    Raises:
        StartError: one is taken; the sentence names who holds it where that can be found out.
    """
    for what, port in ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                raise StartError(
                    f"Port {port} ({what}) is in use{_holder(port)}: end that program, or set TIDINGS_PORT."
                ) from None


def _holder(port: int) -> str:
    for connection in psutil.net_connections("tcp"):
        if connection.status != psutil.CONN_LISTEN or not connection.pid or not connection.laddr:
            continue
        if connection.laddr.port == port:
            try:
                return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
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

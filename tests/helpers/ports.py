"""Free TCP ports on this machine."""

import socket


def free_port() -> int:
    """Return a port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def listener() -> socket.socket:
    """Return a socket that listens on a free port."""
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    bound.listen(1024)
    return bound

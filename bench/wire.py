"""The client's side of a WebSocket by hand: upgrade, frames, replies.

Not a WebSocket library's job here: a library parses, copies and calls back per frame, which on a machine
that carries server and generator is a good part of what would be measured. Bytes are read into one shared
buffer and searched where they lie.
"""

import json
import select
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

# A key in every payload published here, and so once in every publication that arrives. Searching skips its
# length where it is not, so a long one of letters that the rest seldom holds is found twice as fast as
# `"pub":` would be.
MARK = b'"tidings_bench":'
PING_FRAME = b"\x81\x02{}"
PONG_FRAME = b"\x81\x82\0\0\0\0{}"
OPEN_TIMEOUT_S = 60.0
WAVE = 64
PACE_HZ = 400
"""Slower than one address and one organization may open connections."""
_KEY = "dGhlIHNhbXBsZSBub25jZQ=="


class LoadError(Exception):
    """The server did not do what a load needs; the text says which step failed and what it answered."""


@dataclass(frozen=True, slots=True)
class Door:
    """Where sockets are opened, and with which credential."""

    url: str
    token: str = ""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.url)
        return parts.hostname or "127.0.0.1", parts.port or 80


class Readable:
    """Waits for sockets; as many as there are descriptors, unlike `select`."""

    def __init__(self, sockets: Sequence[socket.socket]) -> None:
        self._sockets = {one.fileno(): one for one in sockets}
        self._poller = select.epoll()
        for descriptor in self._sockets:
            self._poller.register(descriptor, select.EPOLLIN)

    def wait(self, seconds: float) -> list[socket.socket]:
        """Return those that can be read, or none when the time is up."""
        return [self._sockets[descriptor] for descriptor, _ in self._poller.poll(seconds)]


def frame(payload: bytes) -> bytes:
    """Return one text frame as a client sends it; masked with zeros, so the payload stays readable."""
    size = len(payload)
    if size < 126:
        head = bytes((0x81, 0x80 | size))
    elif size < 65_536:
        head = b"\x81\xfe" + size.to_bytes(2, "big")
    else:
        head = b"\x81\xff" + size.to_bytes(8, "big")
    return head + b"\0\0\0\0" + payload


def opening(token: str, channels: Sequence[str]) -> bytes:
    """Return the first frame: `connect` as command 1, then one `subscribe` per channel from 2 on."""
    connect = {"token": token} if token else {}
    commands: list[dict[str, object]] = [{"id": 1, "connect": connect}]
    commands += [{"id": n, "subscribe": {"channel": c}} for n, c in enumerate(channels, 2)]
    return frame("\n".join(json.dumps(c, separators=(",", ":")) for c in commands).encode())


def open_sockets(door: Door, subscriptions: Sequence[Sequence[str]]) -> list[socket.socket]:
    """Open one socket per member of `subscriptions`, each subscribed to its channels, and non-blocking.

    In waves, so that thousands take seconds and no listener's queue overflows.

    Raises:
        LoadError: an upgrade, a connect or a subscribe was refused or not answered in time.
    """
    opened: list[socket.socket] = []
    began = time.monotonic()
    for start in range(0, len(subscriptions), WAVE):
        time.sleep(max(0.0, began + start / PACE_HZ - time.monotonic()))
        wave = subscriptions[start : start + WAVE]
        sockets = [_dial(door) for _ in wave]
        opened += sockets
        _await(sockets, [b"\r\n\r\n"] * len(sockets), refused=b"HTTP/1.1 4", step="upgrade")
        for one, channels in zip(sockets, wave, strict=True):
            one.sendall(opening(door.token, channels))
        ends = [b'"id":%d,' % (len(channels) + 1) for channels in wave]
        _await(sockets, ends, refused=b'"error":', step="connect and subscribe")
    return opened


def _dial(door: Door) -> socket.socket:
    host, port = door.address
    one = socket.create_connection((host, port), timeout=OPEN_TIMEOUT_S)
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    path = urlsplit(door.url).path or "/"
    one.sendall(
        f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {_KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    one.settimeout(0)
    return one


def _await(sockets: Sequence[socket.socket], ends: Sequence[bytes], *, refused: bytes, step: str) -> None:
    waiting = {one.fileno(): (one, end, bytearray()) for one, end in zip(sockets, ends, strict=True)}
    poller = select.poll()
    for descriptor in waiting:
        poller.register(descriptor, select.POLLIN)
    deadline = time.monotonic() + OPEN_TIMEOUT_S
    while waiting:
        ready = poller.poll(1000)
        if not ready and time.monotonic() > deadline:
            raise LoadError(f"{step}: {len(waiting)} sockets had no answer within {OPEN_TIMEOUT_S:.0f} s")
        for descriptor, _ in ready:
            one, end, seen = waiting[descriptor]
            chunk = one.recv(65_536)
            seen += chunk
            if not chunk or refused in seen or _closed(seen):
                raise LoadError(f"{step}: {bytes(seen[-300:])!r}")
            if end in seen:
                poller.unregister(descriptor)
                del waiting[descriptor]


def _closed(seen: bytearray) -> bool:
    # A close frame is the last thing a server says: 0x88, its length, and just so many bytes. 0x88 alone may
    # be the length of another frame.
    return any(seen[-size - 2 : -size] == bytes((0x88, size)) for size in range(2, 126))

"""The client's side of a WebSocket by hand: request, frames, marks.

Not a WebSocket library's job here: a library parses, copies and calls back per frame, which on a machine
that carries server and generator is a good part of what would be measured. Bytes are read into one shared
buffer and searched where they lie.
"""

import select
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import urlsplit

from bench.encoding import JSON, Encoding

# A key in every payload published here, and so once in every publication that arrives. Searching skips its
# length where it is not, so a long one of letters that the rest seldom holds is found twice as fast as
# `"pub":` would be.
MARK = b'"tidings_bench":'
DELTA_MARK = b'"offset":'
"""Of publications as differences, which do not repeat the key."""
_KEY = "dGhlIHNhbXBsZSBub25jZQ=="


class LoadError(Exception):
    """The server did not do what a load needs; the text says which step failed and what it answered."""


@dataclass(frozen=True)
class Door:
    """Where sockets are opened, with which credential, how they speak and what they wish of subscriptions."""

    url: str
    token: str = ""
    encoding: Encoding = JSON
    wish: Mapping[str, object] = field(default_factory=dict, hash=False)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.url)
        return parts.hostname or "127.0.0.1", parts.port or 80

    @property
    def mark(self) -> bytes:
        """What stands once in each publication that a subscriber receives, and nowhere else."""
        return DELTA_MARK if "delta" in self.wish else MARK

    @property
    def request(self) -> bytes:
        """The request that opens a socket."""
        host, port = self.address
        offered = self.encoding.subprotocol
        return (
            f"GET {urlsplit(self.url).path or '/'} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {_KEY}\r\nSec-WebSocket-Version: 13\r\n"
            + f"Sec-WebSocket-Protocol: {offered}\r\n" * bool(offered)
            + "\r\n"
        ).encode()

    def opening(self, channels: Sequence[str]) -> bytes:
        """Return the first frame: `connect` as command 1, then one `subscribe` per channel from 2 on."""
        return _opening(self, tuple(channels))

    def subscribing(self, channels: Sequence[str], first_id: int) -> bytes:
        """Return a frame with one `subscribe` per channel, with ids from `first_id` on."""
        subscribes = [
            {"id": n, "subscribe": {"channel": c, **self.wish}} for n, c in enumerate(channels, first_id)
        ]
        return self.frame(self.encoding.payload(subscribes))

    def frame(self, payload: bytes) -> bytes:
        """Return one frame as a client sends it."""
        return frame(payload, self.encoding.opcode)


@lru_cache(10_000)  # thousands of sockets open alike
def _opening(door: Door, channels: tuple[str, ...]) -> bytes:
    connect = {"token": door.token} if door.token else {}
    commands: list[dict[str, object]] = [{"id": 1, "connect": connect}]
    commands += [{"id": n, "subscribe": {"channel": c, **door.wish}} for n, c in enumerate(channels, 2)]
    return door.frame(door.encoding.payload(commands))


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


def frame(payload: bytes, opcode: int = JSON.opcode) -> bytes:
    """Return one frame as a client sends it; masked with zeros, so the payload stays readable."""
    size = len(payload)
    if size < 126:
        head = bytes((opcode, 0x80 | size))
    elif size < 65_536:
        head = bytes((opcode, 0xFE)) + size.to_bytes(2, "big")
    else:
        head = bytes((opcode, 0xFF)) + size.to_bytes(8, "big")
    return head + b"\0\0\0\0" + payload

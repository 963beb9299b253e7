"""Subscribers that only count: many sockets, one process, one buffer, no decoding."""

import resource
import select
import socket
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection

from bench.opening import open_sockets
from bench.slots import Slots, Stage
from bench.wire import Door, LoadError

# Small enough to stay in a core's own cache: with 1 MiB the same machine counted a third less.
BUFFER_BYTES = 131_072
# Between two rounds of reading. A client on another machine takes nothing from the server's processors; here
# each wake-up does, so several publications are read at once. Sockets that do not wait measure latency.
PAUSE_S = 0.005
TOGETHER = 1_000
"""So many sockets are opened before those that are open are looked at."""
BUSY = 5_000
"""With as many publications in one round nobody waits: reading is what limits then."""


def raise_descriptor_limit() -> None:
    """Allow as many sockets as this user may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Tally:
    """Counts publications in a stream of bytes that arrives in arbitrary pieces, over one shared buffer."""

    def __init__(self, door: Door) -> None:
        self._mark = door.mark
        self._ping, self._sign, self._pong = door.encoding.ping, door.encoding.sign, door.encoding.pong
        self._sign_at = self._ping.index(self._sign)
        self._overlap = len(self._mark) - 1
        self._buffer = bytearray(self._overlap + BUFFER_BYTES)
        self._room = memoryview(self._buffer)[self._overlap :]
        self._ends: dict[int, bytes] = {}

    def read(self, one: socket.socket) -> int:
        """Read once, answer a ping if one was there, and return how many publications were.

        The last bytes of a socket's previous piece stand before the new one, so a mark that was cut in two
        counts once; they are too few to hold a whole one.

        Raises:
            ConnectionError: the server has closed the socket.
        """
        descriptor = one.fileno()
        size = one.recv_into(self._room)
        if size == 0:
            raise ConnectionError
        buffer, begin = self._buffer, self._overlap
        buffer[:begin] = self._ends.get(descriptor, b"\0" * begin)
        end = begin + size
        self._ends[descriptor] = bytes(buffer[end - begin : end])
        found = buffer.count(self._mark, 0, end)
        if self._has_ping(end):
            one.send(self._pong)
        return found

    def _has_ping(self, end: int) -> bool:
        """Say whether a ping ends in what was read: a frame of its own, anywhere between publications.

        Byte 0x81 before byte 2 is no valid JSON, and no field of protobuf has number 0: nothing else looks
        like it. To look for all of it costs as much as to count; one byte that is rare costs nearly nothing.
        """
        buffer, ping = self._buffer, self._ping
        at = buffer.find(self._sign, self._overlap + 1 - len(ping) + self._sign_at, end)
        while at >= 0:
            if buffer.startswith(ping, at - self._sign_at, end):
                return True
            at = buffer.find(self._sign, at + 1, end)
        return False


def count(
    door: Door, subscriptions: Sequence[Sequence[str]], slots: Slots, slot: int, ready: Connection
) -> None:
    """Open the sockets, report, and count until the stage says stop. Runs as a process of its own."""
    raise_descriptor_limit()
    began = time.monotonic()
    readers = _Readers(door)
    try:
        for first in range(0, len(subscriptions), TOGETHER):
            readers.add(open_sockets(door, subscriptions[first : first + TOGETHER]))
            readers.read(0)  # where it takes long, the first are asked already whether they are there
    except (LoadError, OSError) as failed:
        ready.send(str(failed))
        return
    ready.send(time.monotonic() - began)
    while slots.stage != Stage.END:
        found = readers.read(0.2)
        slots.set_delivered(slot, readers.delivered)
        slots.set_closed(slot, readers.closed)
        if found < BUSY:
            time.sleep(PAUSE_S)


class _Readers:
    """Sockets that are read as soon as something is there, and what was found in them."""

    def __init__(self, door: Door) -> None:
        self._sockets: dict[int, socket.socket] = {}
        self._poller = select.epoll()
        self._tally = Tally(door)
        self.delivered = self.closed = 0

    def add(self, sockets: Sequence[socket.socket]) -> None:
        for one in sockets:
            self._sockets[one.fileno()] = one
            self._poller.register(one, select.EPOLLIN)

    def read(self, within_s: float) -> int:
        """Read once each that has something; return how many publications were there."""
        before = self.delivered
        for descriptor, _ in self._poller.poll(within_s, 16_384):
            try:
                self.delivered += self._tally.read(self._sockets[descriptor])
            except BlockingIOError:
                continue
            except OSError:
                self.closed += 1
                self._poller.unregister(descriptor)
        return self.delivered - before

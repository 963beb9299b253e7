"""Opens sockets, many at a time: upgrade, `connect` and every `subscribe`, until the last is answered."""

import select
import socket
import time
from collections import deque
from collections.abc import Sequence

from bench.inbox import CLOSE, Inbox, close_code
from bench.wire import Door, LoadError

TIMEOUT_S = 60.0
IN_FLIGHT = 64
"""On their way at once: no listener's queue overflows."""
BUSY_HZ = 400.0
"""How fast it goes on where the server takes no more: slower than its limits by default."""
BUSY_PAUSE_S = 1.0
TOO_MANY_REQUESTS = 429, 111
"""What says that there were too many: a status of the request, an error of `connect`."""


class BusyError(Exception):
    """The server takes no more for the moment."""


class _Opening:
    """One socket on its way."""

    def __init__(self, door: Door, channels: Sequence[str]) -> None:
        self._door, self._channels = door, channels
        self.socket = socket.create_connection(door.address, timeout=TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(door.request)
        self.socket.settimeout(0)
        self._head: bytes | None = b""
        self._inbox = Inbox()
        self._unanswered = set(range(1, 2 + len(channels)))

    def is_open(self) -> bool:
        """Read what has arrived, and return whether all is answered.

        Raises:
            BusyError: it is refused for now.
            LoadError: it is refused.
        """
        piece = self.socket.recv(65_536)
        if not piece:
            raise LoadError(f"the server closed a socket that was being opened: {self._head!r}")
        if self._head is not None:
            piece = self._upgrade(self._head + piece)
        for opcode, payload in self._inbox.frames(piece):
            if opcode == CLOSE:
                raise LoadError(f"connect and subscribe: closed with {close_code(payload)} {payload[2:]!r}")
            for answer in self._door.encoding.answers(payload):
                if answer.error in TOO_MANY_REQUESTS:
                    raise BusyError
                if answer.error:
                    raise LoadError(f"connect and subscribe: {payload[:300]!r}")
                self._unanswered.discard(answer.id)
        return not self._unanswered

    def _upgrade(self, head: bytes) -> bytes:
        """Take the answer to the request; return what has arrived behind it."""
        self._head, end, rest = head.partition(b"\r\n\r\n")
        if not end:
            return b""
        status = int(head[9:12])
        if status in TOO_MANY_REQUESTS:
            raise BusyError
        if status != 101:
            raise LoadError(f"upgrade: {head[:300]!r}")
        self._head = None
        self.socket.sendall(self._door.opening(self._channels))
        return rest


class _Pace:
    """When the next may be opened. `hz` 0: at once."""

    def __init__(self, hz: float) -> None:
        self._hz = hz
        self._next_s = 0.0

    def wait_s(self) -> float:
        return max(0.0, self._next_s - time.monotonic())

    def count(self) -> None:
        if self._hz:
            self._next_s = max(self._next_s + 1 / self._hz, time.monotonic() - IN_FLIGHT / self._hz)

    def slow_down(self) -> None:
        self._hz = min(self._hz or BUSY_HZ, BUSY_HZ)
        self._next_s = time.monotonic() + BUSY_PAUSE_S


def open_sockets(
    door: Door, subscriptions: Sequence[Sequence[str]], *, pace_hz: float = 0.0
) -> list[socket.socket]:
    """Open one socket per member of `subscriptions`, each subscribed to its channels, and non-blocking.

    As fast as they are taken in. Where the server answers that there are too many, those are opened anew
    after a pause, and all that follow more slowly.

    Args:
        door: where, and how.
        subscriptions: the channels of each socket.
        pace_hz: how many a second at most; 0: no limit.

    Raises:
        LoadError: an upgrade, a connect or a subscribe was refused or not answered in time.
    """
    todo, pace = deque(range(len(subscriptions))), _Pace(pace_hz)
    opened: dict[int, socket.socket] = {}
    under_way: dict[int, tuple[int, _Opening]] = {}
    poller = select.epoll()
    last = time.monotonic()
    while todo or under_way:
        while todo and len(under_way) < IN_FLIGHT and not pace.wait_s():
            number = todo.popleft()
            one = _Opening(door, subscriptions[number])
            under_way[one.socket.fileno()] = number, one
            poller.register(one.socket, select.EPOLLIN)
            pace.count()
        for descriptor, _ in poller.poll(min(1.0, pace.wait_s() or 1.0)):
            number, one = under_way[descriptor]
            try:
                if not one.is_open():
                    continue
                opened[number] = one.socket
            except BusyError:
                todo.append(number)
                pace.slow_down()
            poller.unregister(descriptor)
            del under_way[descriptor]
            if number not in opened:
                one.socket.close()
            last = time.monotonic()
        if time.monotonic() - last > TIMEOUT_S:
            raise LoadError(f"{len(under_way)} sockets had no answer within {TIMEOUT_S:.0f} s")
    return [opened[number] for number in range(len(subscriptions))]

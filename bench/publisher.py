"""Publishers, closed or open loop, and the few subscribers that also measure latency: one process.

Each publication carries the monotonic time at which it was sent, or in an open loop at which it should have
been (a schedule that waits for a slow server would hide exactly the slowness); one machine's processes share
that clock.
"""

import re
import socket
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from bench.counter import raise_descriptor_limit
from bench.encoding import JSON
from bench.opening import open_sockets
from bench.quantiles import Quantiles, quantiles
from bench.slots import Slots, Stage
from bench.wire import MARK, Door, LoadError, Readable, frame

REPLY = b'"publish":'
REFUSAL = b'"error":'
DRAIN_S = 5.0
READ_BYTES = 65_536
_SENT_AT = re.compile(rb'"t":(\d+)')


@dataclass(frozen=True, slots=True)
class Work:
    """What the publishers do: `depth` commands in flight on each of their sockets, or `rate_hz` in all."""

    publishers: int
    channels: Sequence[str]
    depth: int = 1
    rate_hz: float = 0.0
    payload_bytes: int = 90
    probe_channels: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Driven:
    """What the publishers saw: latencies in ms of the measured part, and the first refusal."""

    acknowledged_ms: Quantiles
    delivered_ms: Quantiles
    lag_ms: Quantiles
    errors: int
    first_error: str


@dataclass(slots=True)
class _Publisher:
    socket: socket.socket
    channel: bytes
    tail: bytes = b""
    number: int = 1
    sent_ns: deque[int] = field(default_factory=deque)


class _Driver:
    def __init__(self, door: Door, work: Work, slots: Slots, slot: int) -> None:
        self._work, self._slots, self._slot = work, slots, slot
        self._filler = b"x" * work.payload_bytes
        sockets = open_sockets(door, [()] * work.publishers)
        channels = work.channels
        self._publishers = [
            _Publisher(s, channels[n % len(channels)].encode()) for n, s in enumerate(sockets)
        ]
        self._probes = open_sockets(door, [(channel,) for channel in work.probe_channels])
        self._by_socket = {one.socket: one for one in self._publishers}
        self._acknowledged = self._delivered = self._errors = 0
        self._first_error = ""
        self._acknowledged_ns: list[int] = []
        self._delivered_ns: list[int] = []
        self._ends: dict[socket.socket, bytes] = {}
        self._lag_ns: list[int] = []

    def run(self) -> Driven:
        work, slots = self._work, self._slots
        while slots.stage == Stage.OPEN:
            time.sleep(0.001)
        next_ns, scheduled = time.monotonic_ns(), 0
        if not work.rate_hz:
            for publisher in self._publishers:
                self._send(publisher, work.depth, time.monotonic_ns())
        readable = Readable([*self._probes, *self._by_socket])
        drained_by = float("inf")
        while slots.stage != Stage.END and time.monotonic() < drained_by:
            sending = slots.stage < Stage.DRAIN
            if not sending and drained_by == float("inf"):
                drained_by = time.monotonic() + DRAIN_S
            wait_s = 0.05
            if work.rate_hz and sending:
                now = time.monotonic_ns()
                while next_ns <= now:
                    self._lag_ns.append(now - next_ns)
                    self._send(self._publishers[scheduled % len(self._publishers)], 1, next_ns)
                    scheduled += 1
                    next_ns += round(1e9 / work.rate_hz)
                wait_s = max(0.0, (next_ns - time.monotonic_ns()) / 1e9)
            self._receive(readable.wait(wait_s), sending=sending and not work.rate_hz)
        return Driven(
            quantiles(self._acknowledged_ns),
            quantiles(self._delivered_ns),
            quantiles(self._lag_ns),
            self._errors,
            self._first_error,
        )

    def _receive(self, ready: Sequence[socket.socket], *, sending: bool) -> None:
        now, measured = time.monotonic_ns(), self._slots.stage == Stage.MEASURE
        for one in ready:
            publisher = self._by_socket.get(one)
            if publisher is None:
                self._probe(one, now, measured=measured)
            else:
                self._replies(publisher, now, measured=measured, sending=sending)
        self._slots.set_delivered(self._slot, self._delivered)
        self._slots.set_acknowledged(self._slot, self._acknowledged)

    def _probe(self, one: socket.socket, now: int, *, measured: bool) -> None:
        # The end of the last piece stands before this one: a mark or a time that was cut in two counts once.
        piece = self._ends.get(one, b"") + _read(one)
        whole = piece.rfind(b"}") + 1
        self._ends[one], piece = piece[whole:], piece[:whole]
        self._delivered += piece.count(MARK)
        if measured:
            self._delivered_ns += [now - int(sent) for sent in _SENT_AT.findall(piece)]

    def _replies(self, publisher: _Publisher, now: int, *, measured: bool, sending: bool) -> None:
        piece = publisher.tail + _read(publisher.socket)
        publisher.tail = piece[1 - len(REPLY) :]
        refused = piece.count(REFUSAL)
        settled = piece.count(REPLY) + refused
        if refused:
            self._errors += refused
            self._first_error = self._first_error or piece[:300].decode(errors="replace")
        self._acknowledged += settled - refused
        for _ in range(settled):
            sent = publisher.sent_ns.popleft()
            if measured:
                self._acknowledged_ns.append(now - sent)
        if settled and sending:
            self._send(publisher, settled, now)

    def _send(self, publisher: _Publisher, commands: int, at_ns: int) -> None:
        frames = []
        for _ in range(commands):
            publisher.number += 1
            publisher.sent_ns.append(at_ns)
            frames.append(
                frame(
                    b'{"id":%d,"publish":{"channel":"%s","data":{"t":%d,%s"%s"}}}'
                    % (publisher.number, publisher.channel, at_ns, MARK, self._filler)
                )
            )
        publisher.socket.settimeout(DRAIN_S)
        publisher.socket.sendall(b"".join(frames))
        publisher.socket.settimeout(0)


def _read(one: socket.socket) -> bytes:
    piece = one.recv(READ_BYTES)
    if not piece:
        raise LoadError("the server closed the socket of a publisher, or of a subscriber beside it")
    if JSON.ping in piece:
        one.send(JSON.pong)
    return piece


def publish(door: Door, work: Work, slots: Slots, slot: int, pipe: Connection) -> None:
    """Open the sockets, report, publish as the stages say, send a `Driven`. Runs as a process of its own."""
    raise_descriptor_limit()
    began = time.monotonic()
    try:
        driver = _Driver(door, work, slots, slot)
        pipe.send(time.monotonic() - began)
        pipe.send(driver.run())
    except (LoadError, OSError) as failed:
        pipe.send(f"{type(failed).__name__}: {failed}")

"""A replica's own parts over a log in memory, in which every answer waits until the test lets it come.

Real are the feed, its channels, the newest events in memory, the reader, the state machines and the clients.
In memory are what lies behind them: the log, the owner who announces it, and the socket in front. A real
database would answer when it likes, in milliseconds; here the order of everything is the test's, and a whole
conversation costs as much as one query there.
"""

import asyncio
import itertools
from collections.abc import Sequence
from typing import Any

import orjson

from adapters.entropy import SystemEntropy
from adapters.postgres.channels import OFFSET_MAX, ChannelHead
from adapters.postgres.codec import Page
from adapters.telemetry.tasks import Tasks
from core.auth.principal import Organization
from core.errors import Code, TidingsError
from core.instants import Instant
from core.ports import LiveListener
from core.streams.event import PUBLICATION_CREATED, Event, Head, LiveBatch
from gateway.auth import Authenticator
from gateway.realtime.client import Client
from gateway.realtime.feed import Feed
from gateway.realtime.hub import Hub
from gateway.realtime.parts import Replica
from gateway.realtime.subscribing import Reader
from gateway.realtime.wheel import Wheel
from settings import Api, Realtime

ORG = b"o" * 16
EPOCH = "epochone"
LIMITS = {
    "history_max": 2,
    "noted_events_max": 2,
    "gap_events_max": 3,
    "recent_bytes_max": 1_000,
    "page_bytes_max": 100,
    "pending_commands_max": 1_000,
}
"""So small that every limit is met within a few events."""


class Gate:
    """Answers that are due; each comes when the test says so."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[bool]] = []

    async def passed(self) -> None:
        """Return when the test lets it.

        Raises:
            TidingsError: `unavailable`, the test wants it so.
        """
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        if not await future:
            raise TidingsError(Code.UNAVAILABLE)

    def open(self, which: int, *, well: bool = True) -> bool:
        """Let one of those who wait pass; False when nobody waits."""
        self._waiting = [future for future in self._waiting if not future.done()]
        if not self._waiting:
            return False
        self._waiting.pop(which % len(self._waiting)).set_result(well)
        return True

    def open_all(self) -> bool:
        """Let everybody pass; False when nobody waits."""
        opened = [self.open(0)]
        while self.open(0):
            opened.append(True)
        return opened[0]


class MemoryLog:
    """One organization's log, its readers and the owner that announces it.

    Args:
        expired: how many of the first events are past their retention.
    """

    def __init__(self, expired: int = 0) -> None:
        self.gate = Gate()
        self.log: list[Event] = []
        self.last: dict[str, int] = {}
        self.listeners: list[LiveListener] = []
        self.epoch = EPOCH
        self.expired = expired

    def commit(self, *channels: str) -> Event:
        """Append one event to the log; nobody is told."""
        for channel in channels:
            self.last[channel] = self.last.get(channel, 0) + 1
        entries = tuple((channel, self.last[channel]) for channel in channels)
        seq = len(self.log) + 1
        event = Event(seq, seq.to_bytes(16, "big"), PUBLICATION_CREATED, seq, b"%d" % seq, entries)
        self.log.append(event)
        return event

    def first_offset(self, channel: str) -> int:
        """Return the oldest offset that is visible, or the one after the last."""
        return next((o for o, _ in self._entries(channel, len(self.log))), self.last.get(channel, 0) + 1)

    def seq_of(self, channel: str, offset: int) -> int:
        """Return which event stands there."""
        return next(event.seq for event in self.log if (channel, offset) in event.entries)

    def _entries(self, channel: str, up_to_seq: int) -> list[tuple[int, Event]]:
        return [
            (offset, event)
            for event in self.log[self.expired : up_to_seq]
            for name, offset in event.entries
            if name == channel
        ]

    # What the owner says.

    def announce(self, seq: int) -> None:
        """Tell everybody a head."""
        for listener in self.listeners:
            listener.on_head(Head(ORG, self.epoch, seq))

    def push(self, first: int, last: int) -> None:
        """Tell everybody the events from one `seq` to another."""
        for listener in self.listeners:
            listener.on_live(LiveBatch(ORG, self.epoch, tuple(self.log[first - 1 : last])))

    # `core.ports.LiveFeed`.

    def watch(self, _organization_id: bytes, listener: LiveListener) -> None:
        self.listeners.append(listener)

    def unwatch(self, _organization_id: bytes, listener: LiveListener) -> None:
        self.listeners.remove(listener)

    # The methods of `LogReader` and `ChannelReader`.

    async def events(
        self, _organization_id: bytes, *, after_seq: int, up_to_seq: int, limit: int
    ) -> list[Event]:
        await self.gate.passed()
        return self.log[max(after_seq, self.expired) : min(up_to_seq, after_seq + limit)]

    async def page(
        self,
        _organization_id: bytes,
        channel: str,
        *,
        after_offset: int,
        before_offset: int = OFFSET_MAX,
        up_to_seq: int,
        limit: int,
        bytes_max: int,
        reverse: bool = False,
    ) -> Page:
        assert not reverse
        await self.gate.passed()
        entries = self._entries(channel, up_to_seq)
        left = [event for offset, event in entries if after_offset < offset < before_offset]
        return Page(left[: min(limit, bytes_max)], len(left) > limit)

    async def _channel_head(self, channel: str, up_to_seq: int) -> ChannelHead:
        await self.gate.passed()
        offsets = [o for e in self.log[:up_to_seq] for name, o in e.entries if name == channel]
        last = offsets[-1] if offsets else 0
        visible = self._entries(channel, up_to_seq)
        return ChannelHead(visible[0][0] if visible else last + 1, last)

    async def _announced(self) -> Head:
        await self.gate.passed()
        return Head(ORG, self.epoch, len(self.log))

    def head(self, _organization_id: bytes, channel: str = "", *, up_to_seq: int = 0) -> Any:
        """Return the head of the log, or of one channel: both ports call it so."""
        return self._channel_head(channel, up_to_seq) if channel else self._announced()


class StoppedClock:
    """Stands still until the test moves it; who sleeps is woken by the test."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.seconds = 0.0

    def now(self) -> Instant:
        return Instant(0)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, _seconds: float) -> None:
        await self.gate.passed()


class Everybody:
    """The store of an installation that has one organization, which lets everybody in."""

    async def default_organization_id(self) -> bytes:
        return ORG

    async def organization(self, _organization_id: bytes) -> Organization:
        return Organization(
            ORG,
            "test",
            "test",
            "active",
            client_publish=False,
            anonymous=True,
            client_insecure=True,
            token_secret=b"",
        )


class Recorder:
    """A socket that keeps every line of what it is given, in order, replies and shared frames alike."""

    def __init__(self) -> None:
        self.wire = self
        self.lines: list[dict[str, Any]] = []
        self.unsent_bytes = 0
        self.codes: list[int] = []
        self.is_paused = False

    def send(self, payload: bytes) -> None:
        self.lines += [orjson.loads(line) for line in payload.split(b"\n")]

    def write(self, data: bytes) -> None:
        """Take a frame that is made already (RFC 6455 §5.2)."""
        assert data[0] == 0x81
        start = {126: 4, 127: 10}.get(data[1], 2)
        size = data[1] if start == 2 else int.from_bytes(data[2:start], "big")
        assert len(data) == start + size
        self.send(data[start:])

    def get_write_buffer_size(self) -> int:
        return self.unsent_bytes

    def close(self, code: int) -> None:
        self.codes.append(code)

    def pause(self) -> None:
        self.is_paused = True

    def resume(self) -> None:
        self.is_paused = False


class MemoryReplica:
    """One replica over a log in memory.

    Args:
        log: what it reads and hears.
        limits: in place of `LIMITS`.
    """

    def __init__(self, log: MemoryLog, **limits: int) -> None:
        self.clock = StoppedClock()
        self.tasks = Tasks("test")
        self.clients: list[Client] = []
        self.breaks = 0
        settings = Realtime(**{**LIMITS, **limits})
        store: Any = Everybody()
        behind: Any = log
        hub = Hub(behind, behind, self.clock, settings, self.tasks, self._broken)
        self.hub = hub
        self.parts = Replica(
            settings=settings,
            deadline_ms=1_000,
            version="test",
            namespaces=frozenset(),
            writer=behind,
            authenticator=Authenticator(store, self.clock, Api()),
            hub=hub,
            reader=Reader(behind, settings),
            channels=behind,
            wheel=Wheel(self.clock),
            clock=self.clock,
            entropy=SystemEntropy(),
            tasks=self.tasks,
        )

    def _broken(self, feed: Feed) -> None:
        self.breaks += 1
        for client in self.clients:
            client.broken(feed)

    def connect(self) -> tuple[Client, Recorder]:
        """Make one more client, whose connect command is sent."""
        socket = Recorder()
        client = Client(self.parts, socket, None)
        self.clients.append(client)
        client.receive(b'{"id":1,"connect":{}}')
        return client, socket

    def lose(self, client: Client) -> None:
        """Cut a client's connection."""
        self.clients.remove(client)
        client.lost()


_ids = itertools.count(2)


def say(client: Client, *commands: dict[str, Any]) -> Sequence[int]:
    """Send commands in one frame, and return their ids."""
    numbered = [{"id": next(_ids), **command} for command in commands]
    client.receive(b"\n".join(orjson.dumps(command) for command in numbered))
    return [command["id"] for command in numbered]


async def turns(count: int) -> None:
    """Let the loop go round."""
    for _ in range(count):
        await asyncio.sleep(0)

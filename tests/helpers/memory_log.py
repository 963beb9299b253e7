"""One organization's log in memory, its readers and the owner that announces it: all answer when told."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import msgspec

from adapters.postgres.channels import OFFSET_MAX, ChannelHead
from adapters.postgres.codec import Page
from core.channels.namespace import Options
from core.channels.visible import Stored, Visible, visible
from core.errors import Code, TidingsError
from core.ports import LiveListener
from core.streams.command import Command, Publish
from core.streams.event import (
    PUBLICATION_CREATED,
    ClientInfo,
    EphemeralPublication,
    Event,
    Head,
    LiveBatch,
)
from core.streams.outcome import Committed

ORG = b"o" * 16
EPOCH = "epochone"


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
        greets: whoever watches is told the head at once; else when the test announces it.
    """

    def __init__(self, expired: int = 0, *, greets: bool = True) -> None:
        self.greets = greets
        self.gate = Gate()
        self.log: list[Event] = []
        self.last: dict[str, int] = {}
        self.listeners: list[LiveListener] = []
        self.keys: dict[str, Committed] = {}
        self.epoch = EPOCH
        self.expired = expired

    def commit(
        self,
        *channels: str,
        data: bytes | None = None,
        info: ClientInfo | None = None,
        tags: dict[str, str] | None = None,
        flags: int = 0,
    ) -> Event:
        """Append one publication to the log; nobody is told. Without data it is the event's number."""
        for channel in channels:
            self.last[channel] = self.last.get(channel, 0) + 1
        entries = tuple((channel, self.last[channel]) for channel in channels)
        seq = len(self.log) + 1
        if data is None:
            data = b"%d" % seq
        event = Event(
            seq, seq.to_bytes(16, "big"), PUBLICATION_CREATED, seq, data, entries, info, tags, flags=flags
        )
        self.log.append(event)
        return event

    def publish(self, *channels: str, **of: Any) -> Event:
        """Append one publication, and tell everybody."""
        event = self.commit(*channels, **of)
        self.push(event.seq, event.seq)
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

    def whisper(self, publication: EphemeralPublication) -> None:
        """Tell everybody what is not in the log."""
        for listener in list(self.listeners):
            listener.on_ephemeral(publication)

    # `core.ports.StreamWriter`, whose owner takes everything at once.

    def submit(self, command: Command) -> Awaitable[Committed]:
        """Take a publication."""
        publish = command.operation
        assert isinstance(publish, Publish)
        settled: asyncio.Future[Committed] = asyncio.get_running_loop().create_future()
        settled.set_result(self._taken(command, publish))
        return settled

    def _taken(self, command: Command, publish: Publish) -> Committed:
        if publish.ephemeral:
            for channel in publish.channels:
                said = (publish.data, publish.info, publish.tags, publish.kind, publish.flags)
                self.whisper(EphemeralPublication(command.organization_id, channel, *said))
            return Committed("published", command.event_id, 0, self.epoch, 0)
        known = self.keys.get(command.key)
        if known is not None:
            return msgspec.structs.replace(known, replayed=True)
        event = self.publish(
            *publish.channels, data=publish.data, info=publish.info, tags=publish.tags, flags=publish.flags
        )
        offsets = tuple(offset for _, offset in event.entries)
        done = Committed("published", event.id, event.seq, self.epoch, 0, offsets)
        if command.key:
            self.keys[command.key] = done
        return done

    # `core.ports.LiveFeed`.

    def watch(self, _organization_id: bytes, listener: LiveListener) -> None:
        self.listeners.append(listener)
        if self.greets:
            listener.on_head(Head(ORG, self.epoch, len(self.log)))

    def unwatch(self, _organization_id: bytes, listener: LiveListener) -> None:
        self.listeners.remove(listener)

    # The methods of `LogReader` and `ChannelReader`.

    async def events(
        self, _organization_id: bytes, *, after_seq: int, up_to_seq: int, limit: int, bytes_max: int = 2**62
    ) -> list[Event]:
        await self.gate.passed()
        limit = min(limit, bytes_max)  # of one byte each
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
        await self.gate.passed()
        entries = self._entries(channel, up_to_seq)
        left = [event for offset, event in entries if after_offset < offset < before_offset]
        if reverse:
            left.reverse()
        return Page(left[: min(limit, bytes_max)], len(left) > limit)

    async def _channel_head(self, channel: str, up_to_seq: int) -> ChannelHead:
        await self.gate.passed()
        offsets = [o for e in self.log[:up_to_seq] for name, o in e.entries if name == channel]
        last = offsets[-1] if offsets else 0
        visible = self._entries(channel, up_to_seq)
        return ChannelHead(visible[0][0] if visible else last + 1, last)

    async def visible(
        self, _organization_id: bytes, channel: str, options: Options, *, up_to_seq: int
    ) -> Visible:
        head = await self._channel_head(channel, up_to_seq)
        return visible(options, Stored(head.first_offset, head.last_offset))

    async def _announced(self) -> Head:
        await self.gate.passed()
        return Head(ORG, self.epoch, len(self.log))

    def head(self, _organization_id: bytes, channel: str = "", *, up_to_seq: int = 0) -> Any:
        """Return the head of the log, or of one channel: both ports call it so."""
        return self._channel_head(channel, up_to_seq) if channel else self._announced()

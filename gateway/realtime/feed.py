"""One organization's live events on this replica: in order, without a hole, whatever happened to the link.

`next_seq` is what must come next. A lower event is a duplicate; a higher one means that something was
missed: then everything waits until the missing range has been read from the log, up to the announced head
and no further.
"""

import asyncio
from typing import Protocol

import structlog

from adapters.postgres.streams import LogReader
from adapters.telemetry.tasks import Tasks
from core.connections.frames import Joined, Left
from core.connections.orders import JOINED, ORDER
from core.errors import Code, TidingsError
from core.ports import Clock, LiveFeed
from core.streams.event import EphemeralPublication, Event, Head, LiveBatch
from gateway.realtime.channel import Channel
from gateway.realtime.congestion import Congestion
from gateway.realtime.lane import Subscriber
from gateway.realtime.recent import Recent
from settings import Realtime

HEARD_S = 5.0
"""Longer than an owner takes to be replaced."""
GAP_PAGE = 1_000
RETRY_S = 0.2
CROWD = 32
"""With fewer readers nobody is slowed down for them: those who can't follow are dropped."""


class Clients(Protocol):
    """The clients of this replica, as far as a feed knows them."""

    def find(self, client_id: str) -> Subscriber | None:
        """Return the client with an id, if it is connected here."""
        ...

    def broken(self, feed: "Feed") -> None:
        """The log lost continuity, or a hole can't be filled: every subscriber of the feed must be told."""
        ...

    def ordered(self, feed: "Feed", order: bytes) -> None:
        """Carry out an order about connections of the feed's organization."""
        ...


class Feed:
    """Satisfies `core.ports.LiveListener` for one organization and hands its events to channels and streams.

    Args:
        organization_id: whose log.
        live: where live events come from.
        log: reads what was missed.
        clock: for retries.
        settings: limits.
        tasks: owner of gap filling.
        clients: of this replica; told when the log lost continuity or a hole can't be filled, and of orders.
    """

    def __init__(
        self,
        organization_id: bytes,
        live: LiveFeed,
        log: LogReader,
        clock: Clock,
        settings: Realtime,
        tasks: Tasks,
        clients: "Clients",
    ) -> None:
        self.organization_id = organization_id
        self.epoch = ""
        self.next_seq = 0
        self.channels: dict[str, Channel] = {}
        self.users = 0
        self.keys: set[str] = set()
        """API keys that somebody connected with."""
        self.idle_since_s = 0.0
        self.recent = Recent(settings.recent_bytes_max)
        self.congestion = Congestion(settings.outbox_bytes_max, clock, tasks)
        self._live = live
        self._reader = log
        self._clock = clock
        self._settings = settings
        self._tasks = tasks
        self._clients = clients
        self._announced = 0
        self._is_heard = asyncio.Event()
        self._waiting: list[Event] = []
        self._filling = False
        self._touched: dict[str, Channel] = {}
        self._changed: asyncio.Future[None] | None = None
        self._log = structlog.get_logger()

    async def heard(self) -> None:
        """Return when what the owner says arrives here: what is in no log, as orders are, is said once.

        Raises:
            TidingsError: `unavailable`, it does not yet.
        """
        if self._is_heard.is_set():
            return
        try:
            async with asyncio.timeout(HEARD_S):
                await self._is_heard.wait()
        except TimeoutError:
            raise TidingsError(Code.UNAVAILABLE) from None

    async def fresh_head(self) -> Head:
        """Return a head that covers everything acknowledged before this call.

        Raises:
            TidingsError: no owner answers.
        """
        head = await self._live.head(self.organization_id)
        if head.epoch != self.epoch:
            # Before the first announcement as well: what is read up to this head is dispatched from here on.
            self._take_head(head)
        return head

    def channel(self, name: str) -> Channel:
        """Return the channel, made when nobody was there before."""
        channel = self.channels.get(name)
        if channel is None:
            channel = Channel(name, self._settings.frame_bytes_max, self._clients.find)
            self.channels[name] = channel
        return channel

    def leave(self, channel: Channel) -> None:
        """Forget a channel that nobody uses any more."""
        if channel.is_idle:
            self.channels.pop(channel.name, None)

    def reaches(self, head: Head) -> bool:
        """Say whether everything up to this head was dispatched here already."""
        return head.epoch == self.epoch and self.next_seq > head.seq

    async def reached(self, seq: int) -> None:
        """Return when the event `seq` was dispatched here, or the log broke."""
        epoch = self.epoch
        while self.next_seq <= seq and epoch in ("", self.epoch):
            if self._changed is None:
                self._changed = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._changed)

    # --- what the link says

    def on_head(self, head: Head) -> None:
        """Take an announced head: the beginning, a sign that nothing was missed, or that something was."""
        self._is_heard.set()
        self._take_head(head)

    def _take_head(self, head: Head) -> None:
        if head.epoch != self.epoch:
            known = self.epoch
            self.epoch, self.next_seq, self._announced = head.epoch, head.seq + 1, head.seq
            self._waiting.clear()
            self._forget()
            if known:
                self._log.warning("stream.broken", organization_id=self.organization_id.hex())
                self._broken()
            self._wake()
            return
        self._announced = max(self._announced, head.seq)
        if head.seq >= self.next_seq:
            self._fill()

    def on_live(self, batch: LiveBatch) -> None:
        """Take events of one commit; duplicates are dropped, a hole is filled first."""
        if not self.epoch or batch.epoch != self.epoch:
            return  # before the first head, or about to be told of another epoch by it
        events = batch.events
        self._announced = max(self._announced, events[-1].seq)
        if self._filling:
            self._hold(events)
        elif events[0].seq == self.next_seq:
            self._dispatch(events)
        elif events[-1].seq >= self.next_seq:
            if events[0].seq > self.next_seq:
                self._hold(events)
                self._fill()
            else:
                self._dispatch([event for event in events if event.seq >= self.next_seq])

    def on_ephemeral(self, publication: EphemeralPublication) -> None:
        """Take a publication that is not in the log, who joined or left, or an order."""
        if publication.kind == ORDER:
            self._clients.ordered(self, publication.data)
            return
        channel, info = self.channels.get(publication.channel), publication.info
        if channel is None:
            return
        if not publication.kind:
            channel.dispatch_ephemeral(publication)
            self._touch(channel)
        elif info is not None:
            made = Joined if publication.kind == JOINED else Left
            channel.announce(made(publication.channel, info))

    def _hold(self, events: tuple[Event, ...]) -> None:
        if len(self._waiting) + len(events) > self._settings.gap_events_max:
            self._waiting.clear()  # they are in the log: the filling goes on up to the announced head
            return
        self._waiting += events

    # --- dispatch

    def _dispatch(self, events: tuple[Event, ...] | list[Event]) -> None:
        channels, touched = self.channels, self._touched
        for event in events:
            self.recent.add(event)
            for name, offset in event.entries:
                channel = channels.get(name)
                if channel is not None:
                    if not channel.dispatch(offset, event):
                        self._log.error("channel.hole", channel=name, offset=offset, seq=event.seq)
                        self._broken()
                    if name not in touched:
                        self._touch(channel)
        self.next_seq = events[-1].seq + 1
        self._wake()

    def _touch(self, channel: Channel) -> None:
        if not self._touched:
            asyncio.get_running_loop().call_soon(self._flush)
        self._touched[channel.name] = channel

    def _flush(self) -> None:
        touched, self._touched = self._touched, {}
        for channel in touched.values():
            channel.flush()
            if channel.live_count >= CROWD:
                self.congestion.look(channel)

    def _wake(self) -> None:
        if self._changed is not None:
            self._changed.set_result(None)
            self._changed = None

    def _forget(self) -> None:
        """Keep nothing of what was dispatched: what comes next does not go on where it ended."""
        self.recent.clear()
        for channel in self.channels.values():
            channel.reset()

    def _broken(self) -> None:
        self._clients.broken(self)

    # --- gaps

    def _fill(self) -> None:
        if not self._filling:
            self._filling = True
            self._tasks.spawn("fill_gap", self._fill_gap(self.epoch))

    async def _fill_gap(self, epoch: str) -> None:
        """Read the missing range in order, dispatch it, and go on with what came meanwhile."""
        try:
            while self.epoch == epoch and self.next_seq <= self._announced:
                if not await self._fill_page(epoch):
                    break
        finally:
            self._filling = False
        waiting, self._waiting = self._waiting, []
        rest = [event for event in waiting if event.seq >= self.next_seq]
        if rest and rest[0].seq == self.next_seq:
            self._dispatch(rest)
        elif rest or self.next_seq <= self._announced:
            self._fill()

    async def _fill_page(self, epoch: str) -> bool:
        try:
            events = await self._reader.events(
                self.organization_id,
                after_seq=self.next_seq - 1,
                up_to_seq=self._announced,
                limit=GAP_PAGE,
                bytes_max=self._settings.recent_bytes_max,
            )
        except (TidingsError, OSError) as error:
            self._log.warning("gap.unread", error=str(error))
            await self._clock.sleep(RETRY_S)
            return True
        if self.epoch != epoch:
            return False  # what was read is of a log that is no more
        if not events or events[0].seq != self.next_seq:
            # The range is not retained any more: an honest break instead of a silent hole.
            self.next_seq = self._announced + 1
            self._forget()
            self._broken()
            self._wake()
            return False
        # Live events that came first and are part of the page would be dispatched twice otherwise.
        self._dispatch(events)
        return True

"""Tells what becomes of this replica's clients, so that it can be said later who got what.

A step costs whoever takes it one object in a list. Once a second what was gathered goes to the cache in round
trips of many clients; no client waits for it, and nothing is kept here of one that nothing happens to.

A word that is lost would make later answers wrong. So at any doubt (the cache does not answer or was emptied,
too much waits) everything is dropped, a new tag is taken, and under it all clients are told of anew, as they
are now.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Final, NamedTuple, Protocol

import structlog

from adapters.redis.client import CacheError
from adapters.redis.journeys import Entry, JourneyWriter
from adapters.telemetry.tasks import Tasks
from core.connections.connection import Connection
from core.connections.journey import (
    Came,
    Ended,
    Left,
    Paged,
    Refused,
    Step,
    Subscribed,
    WentLive,
    kept_filter,
)
from core.connections.subscription import Grant
from core.ports import Clock
from gateway.realtime.channel import Channel
from gateway.realtime.feed import Feed
from gateway.realtime.lane import Subscriber
from gateway.realtime.opening import Opening
from gateway.realtime.subscribing import Beginning
from settings import Journeys

RETELL_PAUSE_S: Final = 30.0
"""At least so long between two times at which all clients are told of anew."""
PROLONGATIONS: Final = 3
"""How often a connection is told of while it would be remembered, so that it is while it lasts."""


class Traveller(Subscriber, Protocol):
    """A client, as far as it is told of."""

    connection: Connection
    feed: Feed | None
    opening: Opening


class _Pending(NamedTuple):
    """What is to be told of one client."""

    organization_id: bytes
    user: str
    steps: list[Step]


class Chronicle:
    """Of one replica.

    Args:
        writer: takes what is told.
        settings: limits.
        node: this replica's name, which no other has or ever had.
        clients: all that are connected.
        clock: for pauses, and to say when something happened.
    """

    def __init__(
        self,
        writer: JourneyWriter,
        settings: Journeys,
        node: str,
        clients: Callable[[], Iterable[Traveller]],
        clock: Clock,
    ) -> None:
        self._writer = writer
        self._settings = settings
        self._node = node
        self._clients = clients
        self._clock = clock
        self._tasks = Tasks("chronicle")
        self._turn = asyncio.Lock()
        self._log = structlog.get_logger()
        self._tells = settings.enabled
        self._doubts = 0
        self._is_known = False
        """Whether something was told under the present tag."""
        self._pending: dict[str, _Pending] = {}
        self._count = 0
        self._untold: deque[Traveller] = deque()
        """Clients that are still to be told of anew."""
        self._retell_s = 0.0
        self._prolong_s = clock.monotonic() + settings.kept_s / PROLONGATIONS
        self.dropped = 0
        """Steps that were never written; what they would have said is made up for by telling anew."""

    # --- what happens

    def came(self, client: Traveller) -> None:
        """Its credential was good."""
        if self._tells and client.connection.asking is not None:
            self._add(client, self._came(client, self._clock.now(), is_retold=False))

    def subscribed(self, client: Traveller, channel: str, grant: Grant, begun: Beginning) -> None:
        """A subscribe was answered, or a server-side subscription is being told."""
        if not self._tells:
            return
        reply, start = begun.reply, begun.start
        recovered = reply.recovered if reply.was_recovering else None
        at = self._clock.now()
        self._add(
            client, _subscribed(at, channel, grant, reply.epoch, start, begun.offset, recovered=recovered)
        )

    def paged(self, client: Traveller, channel: str, sent: int) -> None:
        """One more page of what it had missed was sent, up to this offset."""
        if self._tells:
            self._add(client, Paged(self._clock.now(), channel, sent))

    def live(self, client: Traveller, channel: Channel) -> None:
        """From now on it gets what is dispatched."""
        if self._tells:
            self._add(client, WentLive(self._clock.now(), channel.name, channel.written_offset))

    def refused(self, client: Traveller, channel: str, code: int) -> None:
        """A subscribe, or without a channel the connect, is answered with this error."""
        if self._tells:
            self._add(client, Refused(self._clock.now(), channel, code))

    def left(self, client: Traveller, channel: str, code: int = 0) -> None:
        """A subscription is about to end; 0: its client wants it."""
        if self._tells and client.feed is not None and not self._is_leaving(client, channel):
            here = client.feed.channels.get(channel)
            offset = 0 if here is None else here.written_offset
            self._add(client, Left(self._clock.now(), channel, offset, code))

    def _is_leaving(self, client: Traveller, channel: str) -> bool:
        """Say whether it was told a moment ago that it leaves: whom the server sends away leaves as well."""
        pending = self._pending.get(client.client_id)
        last = None if pending is None else pending.steps[-1]
        return type(last) is Left and last.channel == channel

    def ended(self, client: Traveller, code: int = 0, reason: str = "") -> None:
        """The connection is about to end; 0: its client or the network did that."""
        feed, subscriptions = client.feed, client.connection.subscriptions
        if not self._tells or feed is None:
            return
        offsets = {}
        for name in subscriptions or ():
            here = feed.channels.get(name)
            if here is not None and here.is_live(client):
                offsets[name] = here.written_offset
        self._add(client, Ended(self._clock.now(), code, reason, offsets))

    def _add(self, client: Traveller, step: Step) -> None:
        feed, asking = client.feed, client.connection.asking
        if feed is None or asking is None:
            return  # whose it is nobody knows
        if self._count >= self._settings.pending_steps_max:
            self._doubt("too many steps wait")
            return
        pending = self._pending.get(client.client_id)
        if pending is None:
            pending = _Pending(feed.organization_id, asking.principal.id, [])
            self._pending[client.client_id] = pending
        pending.steps.append(step)
        if len(pending.steps) > self._settings.steps_max + 1:  # of so many only the newest would be kept
            del pending.steps[1 if type(pending.steps[0]) is Came else 0]
        else:
            self._count += 1

    def _came(self, client: Traveller, at: int, *, is_retold: bool) -> Came:
        asking = client.connection.asking
        user = "" if asking is None else asking.principal.id
        transport = client.opening.transport
        return Came(at, client.client_id, user, transport, self._node, self._tag, is_retold)

    @property
    def _tag(self) -> str:
        return f"{self._node}.{self._doubts}"

    # --- telling it

    def open(self) -> None:
        """Begin; a cache that does not answer is awaited in the background."""
        if self._settings.enabled:
            self._tasks.spawn("tell", self._keep_telling())

    async def close(self) -> None:
        """Tell the rest, as far as the cache takes it soon."""
        await self.flush()
        await self._tasks.close()
        await self._writer.close()

    async def _keep_telling(self) -> None:
        while True:
            await self._clock.sleep(self._settings.flush_s)
            await self.flush()

    async def flush(self) -> None:
        """Tell what was gathered, and whatever else is due; never raises for a cache that is away."""
        if self._settings.enabled:
            async with self._turn:
                await self._flush()

    async def _flush(self) -> None:
        now_s = self._clock.monotonic()
        if not self._tells:
            if now_s < self._retell_s:
                return
            self._begin_anew(now_s)
        until = self._clock.now()
        try:
            await self._write_pending()
            await self._tell_anew()
            if now_s >= self._prolong_s:
                self._prolong_s = now_s + self._settings.kept_s / PROLONGATIONS
                await self._prolong()
            if self._tells:  # nothing was dropped meanwhile
                was_known = await self._writer.tell(self._tag, until)
                if self._is_known and not was_known:
                    self._doubt("the cache was emptied")
                self._is_known = True
        except CacheError as error:
            self._doubt(str(error))

    def _doubt(self, reason: str) -> None:
        if self._tells:
            self._log.warning("chronicle.doubted", reason=reason, steps=self._count)
        self._tells = False
        self.dropped += self._count
        self._pending.clear()
        self._untold.clear()
        self._count = 0

    def _begin_anew(self, now_s: float) -> None:
        self._doubts += 1
        self._tells, self._is_known = True, False
        self._retell_s = now_s + RETELL_PAUSE_S
        self._untold = deque(self._clients())

    async def _write_pending(self) -> None:
        while self._pending:
            entries = []
            for client in list(islice(self._pending, self._settings.batch_connections_max)):
                organization_id, user, steps = self._pending.pop(client)
                self._count -= len(steps)
                entries.append(Entry(organization_id, user, client, type(steps[0]) is Came, steps))
            await self._write(entries)

    async def _write(self, entries: Sequence[Entry]) -> None:
        self.dropped += sum(len(entry.steps) for entry in entries)  # until it is known that they were not
        for entry, is_there in zip(entries, await self._writer.write(entries), strict=True):
            self.dropped -= len(entry.steps) if is_there else 0

    async def _tell_anew(self) -> None:
        """Tell of clients as they are now; those that are catching up are told of a little later."""
        catching = list[Traveller]()
        while self._untold:
            entries = []
            for _ in range(min(self._settings.batch_connections_max, len(self._untold))):
                client = self._untold.popleft()
                if _is_catching(client):
                    catching.append(client)
                elif (entry := self._whole(client)) is not None:
                    entries.append(entry)
            await self._write(entries)
        if self._tells:
            self._untold.extend(catching)

    def _whole(self, client: Traveller) -> Entry | None:
        """Return one client as it is, in place of everything that was known of it."""
        feed, asking, subscriptions = client.feed, client.connection.asking, client.connection.subscriptions
        if feed is None or asking is None or subscriptions is None:
            return None
        before = self._pending.pop(client.client_id, None)
        self._count -= 0 if before is None else len(before.steps)
        at = self._clock.now()
        steps: list[Step] = [self._came(client, at, is_retold=True)]
        for name in subscriptions:
            grant, channel = subscriptions.grant(name), feed.channels.get(name)
            if grant is not None and channel is not None and channel.is_live(client):
                offset = channel.written_offset
                steps.append(_subscribed(at, name, grant, feed.epoch, offset, offset))
                steps.append(WentLive(at, name, offset))
        return Entry(feed.organization_id, asking.principal.id, client.client_id, begins=True, steps=steps)

    async def _prolong(self) -> None:
        """Let everybody who is connected be remembered longer; who was forgotten is told of anew."""
        clients = iter(self._clients())
        while chunk := list(islice(clients, self._settings.batch_connections_max)):
            there = [(client, entry) for client in chunk if (entry := self._prolongation(client)) is not None]
            written = await self._writer.write([entry for _, entry in there])
            self._untold.extend(
                client for (client, _), is_there in zip(there, written, strict=True) if not is_there
            )

    def _prolongation(self, client: Traveller) -> Entry | None:
        feed, asking = client.feed, client.connection.asking
        if feed is None or asking is None or client.client_id in self._pending:
            return None
        return Entry(feed.organization_id, asking.principal.id, client.client_id, begins=False, steps=())


def _is_catching(client: Traveller) -> bool:
    feed, subscriptions = client.feed, client.connection.subscriptions
    if feed is None or subscriptions is None:
        return False
    found = (feed.channels.get(name) for name in subscriptions)
    return any(channel is not None and client in channel.catching for channel in found)


def _subscribed(
    at: int,
    channel: str,
    grant: Grant,
    epoch: str,
    start: int,
    sent: int,
    *,
    recovered: bool | None = None,
) -> Subscribed:
    """Return a subscription with its terms; `recovered` None: it did not want to recover."""
    return Subscribed(
        at,
        channel,
        epoch,
        start,
        sent,
        was_recovering=recovered is not None,
        recovered=bool(recovered),
        is_server_side=grant.is_server_side,
        delta=grant.delta,
        max_rate=grant.max_rate,
        has_filter=grant.filter is not None,
        filter=kept_filter(grant.filter),
    )

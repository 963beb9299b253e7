"""The gateway's side of the links: the way to every organization's single writer, wherever it lives."""

import asyncio
import itertools
import ssl
from collections.abc import Awaitable
from typing import Final

import structlog

from adapters.links.directory import PAUSE_S, Directory
from adapters.links.exchange import Exchange
from adapters.links.frames import Watch
from adapters.links.heads import HeadRequests
from adapters.links.lane import Lane
from adapters.links.link import LinkLostError, OwnerLink, QuestionFailedError
from adapters.links.liveness import Liveness
from adapters.links.pending import Pending
from adapters.links.routes import RouteBook, Routes
from adapters.links.watches import Watched
from adapters.telemetry.tasks import Tasks
from core.errors import Code, TidingsError
from core.ids import encode
from core.ports import Clock, Entropy, LiveListener
from core.streams.command import Command
from core.streams.event import EphemeralPublication, Head, LiveBatch
from core.streams.outcome import Outcome, Refused
from settings import Links

EXPIRE_S: Final = 0.1
"""How often deadlines are looked at."""


class LinkClient:
    """Satisfies `StreamWriter` and `LiveFeed` over all owners, from one process.

    A lost link, a moved partition and a dead owner are seen by callers as latency only, as long as the
    deadline lasts: what was outstanding is settled by rule R13. A dead owner is reported to a living one.

    Args:
        routes: reads which partition an organization has, and where the owners listen.
        process: this process's name, unique in the cluster: a new link of a name ends its older one.
        cluster_key: at least 32 bytes, the same on both sides.
        tasks: owner of the background work; closed with this client.
        tls: wraps the links of a cluster; None: plain, for one machine.
    """

    def __init__(
        self,
        routes: Routes,
        process: str,
        cluster_key: bytes,
        settings: Links,
        clock: Clock,
        entropy: Entropy,
        tasks: Tasks,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._tasks = tasks
        self._book = RouteBook(routes, tasks, self._compare)
        self._exchange = Exchange(
            self._book, process, cluster_key, settings, clock, entropy, tasks, self, tls
        )
        self._lanes: dict[int, Lane] = {}
        self._directory = Directory(
            routes, self._lane, tasks, clock, settings.organizations_max, settings.head_s
        )
        self._heads = HeadRequests(self._ask_head, tasks, settings.head_s)
        self._numbers = itertools.count(1)
        self._unplaced: dict[bytes, list[Pending]] = {}
        self._watched: dict[bytes, Watched] = {}
        self._watched_in: dict[bytes, Lane] = {}
        self._log = structlog.get_logger().bind(process=process)

    async def open(self) -> None:
        """Read the routes and begin; links are opened on first use. A database that is away is no error."""
        await self._book.refresh()
        self._tasks.spawn("beat", self._beat())
        self._tasks.spawn("expire", self._expire())
        self._tasks.spawn("refresh", self._refresh())

    async def close(self) -> None:
        """End every link. What is still outstanding is answered by what is known of it."""
        self._exchange.close()
        for pending in itertools.chain.from_iterable(self._unplaced.values()):
            pending.lapse(sent=False)
        for lane in self._lanes.values():
            lane.abandon()
        await self._tasks.close()

    # StreamWriter.

    def submit(self, command: Command) -> Awaitable[Outcome]:
        """Send a command in this tick's frame; see `core.ports.StreamWriter.submit`.

        Past the outstanding commands or bytes of a link: `capacity_reduced`.
        """
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        lane = self._directory.known(command.organization_id)
        budget = self._exchange.homeless if lane is None else lane.budget
        if not budget.has_room or self._exchange.closed:
            code = Code.UNAVAILABLE if self._exchange.closed else Code.CAPACITY_REDUCED
            future.set_result(Refused(code.value, retry_after_s=1))
            return future
        deadline = self._clock.monotonic() + command.left_ms / 1000
        pending = Pending(next(self._numbers), command, future, deadline, budget)
        if lane is None or command.organization_id in self._unplaced:
            self._place(command.organization_id, pending)
        else:
            lane.submit(pending)
        return future

    def _place(self, organization_id: bytes, pending: Pending) -> None:
        unplaced = self._unplaced.get(organization_id)
        if unplaced is not None:
            unplaced.append(pending)
            return
        self._unplaced[organization_id] = [pending]
        self._tasks.spawn("place", self._place_commands(organization_id))

    async def _place_commands(self, organization_id: bytes) -> None:
        try:
            lane = await self._directory.locate(organization_id)
        except TidingsError as error:
            for pending in self._unplaced.pop(organization_id):
                pending.settle(Refused(error.code.value, error.detail, retry_after_s=1))
            return
        for pending in self._unplaced.pop(organization_id):
            if not pending.settled:
                lane.submit(pending)

    # LiveFeed.

    def watch(self, organization_id: bytes, listener: LiveListener) -> None:
        """Begin to deliver; see `core.ports.LiveFeed.watch`."""
        watched = self._watched.get(organization_id)
        if watched is not None:
            if watched.join(listener):
                asyncio.get_running_loop().call_soon(watched.greet)
            return
        liveness = Liveness(self._settings.ping_s, self._settings.silence_s)
        watched = self._watched[organization_id] = Watched(organization_id, liveness)
        watched.join(listener)
        lane = self._directory.known(organization_id)
        if lane is None:
            self._tasks.spawn("watch", self._place_watch(organization_id, watched))
        else:
            self._watch(organization_id, lane)

    def _watch(self, organization_id: bytes, lane: Lane) -> None:
        # Kept here: the directory forgets organizations, and whoever is watched must be found again.
        self._watched_in[organization_id] = lane
        lane.watch(organization_id)

    async def _place_watch(self, organization_id: bytes, watched: Watched) -> None:
        while self._watched.get(organization_id) is watched:
            try:
                lane = await self._directory.locate(organization_id)
            except TidingsError as error:
                self._log.warning(
                    "watch.unplaced", organization_id=encode("org", organization_id), code=error.code.value
                )
                await self._clock.sleep(PAUSE_S)
            else:
                if self._watched.get(organization_id) is watched:
                    self._watch(organization_id, lane)
                return

    def unwatch(self, organization_id: bytes, listener: LiveListener) -> None:
        """Stop delivering; see `core.ports.LiveFeed.unwatch`."""
        watched = self._watched.get(organization_id)
        if watched is None:
            return
        watched.leave(listener)
        if not watched:
            del self._watched[organization_id]
            lane = self._watched_in.pop(organization_id, None)
            if lane is not None:
                lane.unwatch(organization_id)

    async def head(self, organization_id: bytes) -> Head:
        """Return a head that covers everything acknowledged before this call; see `core.ports.LiveFeed.head`.

        Raises:
            TidingsError: `unavailable` when no owner answers within `head_s`; `not_found`.
        """
        return await self._heads.head(organization_id)

    async def _ask_head(self, organization_id: bytes) -> Head:
        while True:
            lane = await self._directory.locate(organization_id)
            link = await lane.opened()
            try:
                return await link.ask_head(organization_id)
            except LinkLostError:
                continue
            except QuestionFailedError as error:
                if error.code != Code.PARTITION_MOVING.value:
                    raise error.as_tidings_error() from error
                if lane.link is link:
                    lane.close()

    # What the links tell (`link.Recipient`).

    def on_live(self, batch: LiveBatch) -> None:
        """Hand a batch to the organization's listeners."""
        watched = self._watched.get(batch.organization_id)
        if watched is not None:
            watched.on_live(batch)

    def on_head(self, head: Head) -> None:
        """Hand a head to the organization's listeners."""
        watched = self._watched.get(head.organization_id)
        if watched is not None:
            watched.on_head(head)

    def on_ephemeral(self, publication: EphemeralPublication) -> None:
        """Hand a publication to the organization's listeners."""
        watched = self._watched.get(publication.organization_id)
        if watched is not None:
            watched.on_ephemeral(publication)

    def on_moving(self) -> None:
        """Read the routes again: an owner released a partition."""
        self._tasks.spawn("reread", self._book.refresh())

    def on_lost(self, link: OwnerLink) -> None:
        """Let every lane of that link look for the present owner."""
        for lane in self._lanes.values():
            if lane.link is link:
                for organization_id in lane.watched:
                    if (watched := self._watched.get(organization_id)) is not None:
                        watched.interrupted()
            lane.lost(link)

    # What runs by itself.

    def _lane(self, partition_id: int) -> Lane:
        lane = self._lanes.get(partition_id)
        if lane is None:
            lane = self._lanes[partition_id] = Lane(partition_id, self._exchange)
        return lane

    def _compare(self) -> None:
        for lane in self._lanes.values():
            lane.compare(self._book.of(lane.partition_id))

    async def _refresh(self) -> None:
        while True:
            await self._clock.sleep(self._settings.route_refresh_s)
            await self._book.refresh()

    async def _expire(self) -> None:
        while True:
            await self._clock.sleep(EXPIRE_S)
            now = self._clock.monotonic()
            for link in self._exchange.links:
                link.expire(now)
            for lane in self._lanes.values():
                lane.expire(now)
            for pending in itertools.chain.from_iterable(self._unplaced.values()):
                if pending.deadline <= now:
                    pending.lapse(sent=False)

    async def _beat(self) -> None:
        while True:
            await self._clock.sleep(self._settings.ping_s)
            self._exchange.beat()
            for organization_id, watched in self._watched.items():
                lane = self._watched_in.get(organization_id)
                # An owner repeats the head each second: one that does not has perhaps lost the partition.
                if not watched.liveness.beat() and lane is not None and lane.link is not None:
                    watched.liveness.heard()
                    lane.link.say(Watch(organization_id))

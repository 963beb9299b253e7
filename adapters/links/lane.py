"""The commands of one partition, in the order of their submission, whichever owner they go to.

An open lane sends at once. When its link is lost, or its owner answers `partition_moving`, it closes, keeps
what comes in, and restores itself by rule R13: read the route, reach the present owner, ask him what became
of the commands whose fate is unknown and that carry no key, then send everything again in order.
"""

import asyncio
from typing import Final

import structlog

from adapters.links.exchange import Exchange
from adapters.links.frames import Unwatch, Watch
from adapters.links.link import LinkLostError, OwnerLink, QuestionFailedError, Unreachable
from adapters.links.pending import Budget, Pending
from adapters.links.routes import Route
from core.errors import Code
from core.streams.outcome import Refused, Unknown

PAUSE_FIRST_S: Final = 0.02
PAUSE_MAX_S: Final = 0.5
STEADY_S: Final = 1.0
"""A lane that stayed open this long starts again without a pause."""
ABANDON_S: Final = 1.0
"""How long an owner who has lost the partition, and whose link lives, may take to answer what he was sent."""
QUESTIONS_MAX: Final = 64
"""Questions about lost commands on their way at once."""


class Lane:
    """The way to one partition."""

    def __init__(self, partition_id: int, exchange: Exchange) -> None:
        self.partition_id = partition_id
        self.link: OwnerLink | None = None
        self.watched: set[bytes] = set()
        self._exchange = exchange
        self._leaving: OwnerLink | None = None
        self._held: list[Pending] = []
        self._waiting: list[asyncio.Future[OwnerLink]] = []
        self._restoring = False
        self._stale = False
        self._opened_at = float("-inf")
        self._closed_at = 0.0
        self._pause_s = PAUSE_FIRST_S
        self._log = structlog.get_logger().bind(partition=partition_id)

    @property
    def budget(self) -> Budget:
        """What new commands count against."""
        return self._exchange.homeless if self.link is None else self.link.budget

    def submit(self, pending: Pending) -> None:
        """Send a command, or keep it until the lane opens."""
        pending.home = self
        if self.link is None:
            self._held.append(pending)
            self.restore()
        else:
            self.link.submit(pending, pending.command)

    def watch(self, organization_id: bytes) -> None:
        """Hear an organization's live events, now and after each restoration."""
        self.watched.add(organization_id)
        if self.link is None:
            self.restore()
        else:
            self.link.say(Watch(organization_id))

    def unwatch(self, organization_id: bytes) -> None:
        """Hear them no more."""
        self.watched.discard(organization_id)
        for link in (self.link, self._leaving):
            if link is not None:
                link.say(Unwatch(organization_id))

    async def opened(self) -> OwnerLink:
        """Return the link to the present owner, when there is one."""
        if self.link is not None:
            return self.link
        future: asyncio.Future[OwnerLink] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self.restore()
        return await future

    # How it closes.

    def take_back(self, pending: Pending) -> None:
        """Keep a command that was sent on a link that is lost."""
        if pending.is_ephemeral:
            # At most once: it is not in the log, so nobody could tell whether it was delivered.
            pending.settle(Unknown("the link was lost"))
            return
        pending.doubtful = True
        self._keep(pending)

    def undecided(self, pending: Pending) -> None:
        """Keep a command whose fate its owner could not tell; close, and ask."""
        self.take_back(pending)
        self.close()

    def moved(self, pending: Pending, refusal: Refused) -> None:
        """Keep a command that its owner refused since the partition is not his; close."""
        pending.refusal = refusal
        self._keep(pending)
        self.close()

    def _keep(self, pending: Pending) -> None:
        pending.move(self._exchange.homeless)
        self._held.append(pending)

    def close(self) -> None:
        """Send no more on this link: the owner has changed. What was sent may still be answered."""
        if self.link is not None:
            self._leaving, self.link = self.link, None
            self._closed_at = self._exchange.clock.monotonic()
            self._stale = True
        self.restore()

    def compare(self, route: Route | None) -> None:
        """Close when the partition is no longer with the owner whom this lane sends to."""
        link = self.link
        if link is None or (route is not None and (route.owner, route.address) == (link.owner, link.address)):
            return
        self.close()

    def abandon(self) -> None:
        """Settle everything that is kept: the process ends."""
        for pending in self._held:
            pending.lapse(sent=False)
        self._held.clear()
        for future in self._waiting:
            future.cancel()

    def lost(self, link: OwnerLink) -> None:
        """Take note that a link has ended; it has already given back this lane's commands."""
        if self._leaving is link:
            self._leaving = None
        if self.link is link:
            self.link = None
            self._stale = True
            self.restore()

    def expire(self, now: float) -> None:
        """Settle what is past its deadline and not on a link."""
        for pending in self._held:
            if pending.deadline <= now:
                pending.lapse(sent=False)
        self._held = [pending for pending in self._held if not pending.settled]

    # How it opens again.

    def restore(self) -> None:
        """Begin to look for the present owner, unless that has begun."""
        if not self._restoring and not self._exchange.closed:
            self._restoring = True
            self._exchange.tasks.spawn(f"restore.{self.partition_id}", self._restore())

    async def _restore(self) -> None:
        try:
            if self._exchange.clock.monotonic() - self._opened_at < STEADY_S:
                await self._pause()
            else:
                self._pause_s = PAUSE_FIRST_S
            while not await self._attempt():
                await self._pause()
        finally:
            self._restoring = False

    async def _pause(self) -> None:
        await self._exchange.clock.sleep(self._pause_s * (0.5 + self._exchange.entropy.jitter() / 2))
        self._pause_s = min(PAUSE_MAX_S, self._pause_s * 2)

    async def _attempt(self) -> bool:
        book = self._exchange.book
        if self._stale or book.of(self.partition_id) is None:
            await book.refresh()
        self._stale = True
        route = book.of(self.partition_id)
        if route is None or not self._may_leave_for(route):
            return False
        link = await self._exchange.reach(route.owner, route.address)
        if isinstance(link, Unreachable):
            if link is Unreachable.REFUSED:
                self._exchange.suspect(route)
            return False
        if not await self._settle(link) or link.ended:
            return False
        self._open(link)
        return True

    def _may_leave_for(self, route: Route) -> bool:
        """Return whether nothing is on its way on the old link any more, so that order is kept."""
        leaving = self._leaving
        if leaving is None or not leaving.unanswered_of(self):
            return True
        if (leaving.owner, leaving.address) == (route.owner, route.address):
            return False
        if self._exchange.clock.monotonic() - self._closed_at < ABANDON_S:
            return False
        # Another owner has fenced him, so what he has not answered he cannot commit any more. A newer link to
        # him ends this one, unread bytes included.
        leaving.end("abandoned")
        return True

    async def _settle(self, link: OwnerLink) -> bool:
        """Ask the present owner what became of lost commands without a key; return whether all is known."""
        doubtful = [p for p in self._held if p.doubtful and not p.settled and not p.command.key]
        for start in range(0, len(doubtful), QUESTIONS_MAX):
            part = doubtful[start : start + QUESTIONS_MAX]
            if not all(await asyncio.gather(*(self._learn(link, pending) for pending in part))):
                return False
        return True

    async def _learn(self, link: OwnerLink, pending: Pending) -> bool:
        try:
            outcome = await link.find(pending.command)
        except LinkLostError:
            return False
        except QuestionFailedError as error:
            if error.code != Code.INTERNAL.value:
                return False
            # He will never be able to tell, and others must not wait for it.
            pending.settle(Unknown("the owner could not tell"))
            return True
        if outcome is None or (isinstance(outcome, Refused) and outcome.code == Code.PARTITION_MOVING.value):
            pending.doubtful = False
            pending.refusal = outcome or Refused(Code.PARTITION_MOVING.value, retry_after_s=1)
            return True
        if isinstance(outcome, Unknown):
            return False
        pending.settle(outcome)
        return True

    def _open(self, link: OwnerLink) -> None:
        now = self._exchange.clock.monotonic()
        self.link, self._opened_at = link, now
        if self._leaving is not None and self._leaving is not link and not self._leaving.ended:
            for organization_id in self.watched:
                self._leaving.say(Unwatch(organization_id))
        self._leaving = None
        for organization_id in self.watched:
            link.say(Watch(organization_id))
        held = sorted((p for p in self._held if not p.settled), key=lambda pending: pending.number)
        self._held = []
        for pending in held:
            pending.move(link.budget)
            link.submit(pending, pending.left(now))
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(link)
        self._log.debug("lane.opened", owner=link.owner, sent=len(held))

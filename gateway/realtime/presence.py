"""Who is in the channels, as far as this replica's clients are concerned; told to all replicas by Redis."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from itertools import islice
from typing import Any, Final, NamedTuple

import structlog

from adapters.redis.attendance import Attendance, Beat, Change
from adapters.redis.client import Cache, CacheError
from adapters.redis.presence import Members, Occupied, PresenceReader
from adapters.telemetry.tasks import Tasks
from core.connections.frames import PresenceCount
from core.ports import Clock, Entropy
from core.streams.event import ClientInfo
from settings import Presence

TAG_BYTES: Final = 8
RETRY_S: Final = 0.5
"""Between two tries to reach a cache that is away."""
REENTRY_PAUSE_S: Final = 30.0
"""At least so long between two re-entries for what the cache evicted."""
ORGANIZATIONS_MAX: Final = 100_000
"""That are known to be noted; past it all are noted again."""
RETIRED_MAX: Final = 16
"""Tags given up and not yet told; those before them are lost by their silence."""
CLOSE_S: Final = 3.0


class Member(NamedTuple):
    """One of this replica's clients in one channel."""

    organization_id: bytes
    channel: str
    info: ClientInfo


class _Batch:
    """Changes that go out together, and the future that all their callers wait for."""

    __slots__ = ("changes", "settled", "timer")

    def __init__(
        self, changes: list[Change], answer_s: float, on_deadline: Callable[["_Batch"], None]
    ) -> None:
        loop = asyncio.get_running_loop()
        self.changes = changes
        self.settled: asyncio.Future[None] = loop.create_future()
        self.timer = loop.call_later(answer_s, on_deadline, self)

    def settle(self) -> None:
        """Let the callers go on."""
        self.timer.cancel()
        if not self.settled.done():
            self.settled.set_result(None)


class Roster:
    """Enters this replica's clients, takes them out again, and keeps what Redis holds of them true.

    Its entries stand under a tag that lives as long as this replica is heard of. When there is any doubt
    about them (no answer in time, a lost connection, a flush, evicted keys), it takes a new tag, enters
    everybody again under it, and gives the old one up: what is left under a lost tag is swept by one of the
    replicas. So nothing has to be remembered here of what was written, and every doubt ends in the truth;
    also when this replica ends before it has given its tag up, since a tag that Redis knows is lost by its
    silence, and under one that it does not know nobody enters.

    Args:
        cache: Redis or Valkey.
        settings: limits.
        members: yields all who have begun to `enter` and not to `leave`. Each must be true at the moment at
            which it is yielded: between two of them others come and go.
        on_changed: told each organization and channel whose count may be another now by what was done here;
            rather too often: also where it is not known whether it took effect.
        clock: for pauses.
        entropy: of tags.
    """

    def __init__(
        self,
        cache: Cache,
        settings: Presence,
        members: Callable[[], Iterable[Member]],
        on_changed: Callable[[bytes, str], None],
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._settings = settings
        self._members = members
        self._on_changed = on_changed
        self._clock = clock
        self._entropy = entropy
        self._reader = PresenceReader(cache, settings, clock)
        self._attendance = Attendance(cache.line(), settings.answer_s, settings.silence_s)
        self._sweeper = Attendance(cache.line(), settings.answer_s, settings.silence_s)
        self._tasks = Tasks("presence")
        self._log = structlog.get_logger()
        self._turn = asyncio.Lock()
        self._batches: deque[_Batch] = deque()
        self._is_sending = self._is_sweeping = self._is_present = False
        self._tag = ""
        self._organizations: set[bytes] = set()
        self._retired: deque[tuple[str, frozenset[bytes]]] = deque(maxlen=RETIRED_MAX)
        self._ahead_ms = 0.0
        self._deadline_ms = self._doubt_until_ms = 0
        self._evicted = 0
        self._began_s = 0.0
        self.missed = 0
        """Changes that were not acknowledged in time; they are made up for by a re-entry."""

    # --- what clients do

    def enter(self, organization_id: bytes, channel: str, info: ClientInfo) -> Awaitable[None]:
        """Put a client into a channel; once that is acknowledged, every replica sees it.

        Starts at the call, not at the await, in the order of the calls. Never raises: without an
        acknowledgement within `answer_s` it is over all the same, and the client is entered again when Redis
        is back. Entering again replaces what is shown of it.
        """
        return self._change(Change(organization_id, channel, info.client, info))

    def leave(self, organization_id: bytes, channel: str, client: str) -> Awaitable[None]:
        """Take a client out of a channel, with the same guarantees."""
        return self._change(Change(organization_id, channel, client, None))

    async def members(
        self, organization_id: bytes, channel: str, *, limit: int, bytes_max: int, cursor: str = ""
    ) -> Members:
        """Return who is in a channel (`PresenceReader.members`)."""
        return await self._reader.members(
            organization_id, channel, limit=limit, bytes_max=bytes_max, cursor=cursor
        )

    async def count(self, organization_id: bytes, channel: str) -> PresenceCount:
        """Return how many are in a channel (`PresenceReader.count`)."""
        return await self._reader.count(organization_id, channel)

    async def channels(
        self, organization_id: bytes, pattern: str = "", *, limit: int, cursor: str = ""
    ) -> Occupied:
        """Return the channels that anybody is in (`PresenceReader.channels`)."""
        return await self._reader.channels(organization_id, pattern, limit=limit, cursor=cursor)

    # --- life

    async def open(self) -> None:
        """Begin; a cache that does not answer is awaited in the background."""
        await self._beat()
        self._tasks.spawn("beat", self._keep_beating())

    async def close(self) -> None:
        """Take out what is left of this replica, as far as Redis does it soon; others do the rest."""
        if self._batches:
            await asyncio.shield(self._batches[-1].settled)
        await self._tasks.close()
        was_present, self._is_present = self._is_present, False
        try:
            async with asyncio.timeout(CLOSE_S):
                if was_present:
                    await self._attendance.retire(self._tag, self._organizations)
                    await self._attendance.sweep(self._tag, self._on_changed)
        except (CacheError, TimeoutError):
            self._log.warning("presence.left", tag=self._tag)
        await self._attendance.close()
        await self._sweeper.close()

    def status(self) -> dict[str, Any]:
        """Return how it is, for people."""
        return {"is_present": self._is_present, "missed": self.missed}

    # --- changes on their way

    def _change(self, change: Change) -> Awaitable[None]:
        if len(self._batches) * self._settings.batch_changes_max > self._settings.pending_changes_max:
            self._lose("too many changes wait")
        if not self._is_present:
            self.missed += 1
            self._on_changed(change.organization_id, change.channel)
            return _over()
        last = self._batches[-1] if self._batches else None
        if last is None or len(last.changes) >= self._settings.batch_changes_max:
            last = self._new_batch([])
        last.changes.append(change)
        return asyncio.shield(last.settled)  # whoever waits may be cancelled, the others wait on

    def _new_batch(self, changes: list[Change]) -> _Batch:
        batch = _Batch(changes, self._settings.answer_s, self._overdue)
        self._batches.append(batch)
        if not self._is_sending:
            self._is_sending = True
            self._tasks.spawn(
                "send", self._send()
            )  # in the next turn of the loop: the rest of this one joins
        return batch

    def _overdue(self, batch: _Batch) -> None:
        if not batch.settled.done():
            self.missed += len(batch.changes)
        batch.settle()

    async def _send(self) -> None:
        try:
            while self._batches:
                async with self._turn:
                    batch = self._batches.popleft() if self._batches else None
                    if batch is not None:
                        await self._write(batch)
        finally:
            self._is_sending = False

    async def _write(self, batch: _Batch) -> None:
        new = {change.organization_id for change in batch.changes} - self._organizations
        try:
            if len(self._organizations) > ORGANIZATIONS_MAX:
                self._organizations.clear()
            self._organizations |= new  # however that ends: whoever gives the tag up must name them
            await self._attendance.hold(self._tag, new)
            self._deadline_ms = self._now_ms() + round(self._settings.answer_s * 1000)
            await self._attendance.write(self._tag, batch.changes, self._deadline_ms)
        except CacheError as error:
            self._overdue(batch)
            self._lose(str(error))
        batch.settle()
        self._tell(batch)

    def _tell(self, batch: _Batch) -> None:
        for change in batch.changes:
            self._on_changed(change.organization_id, change.channel)

    def _now_ms(self) -> int:
        """Return the cache's time: not before it, and after it by one round trip at most."""
        return round(self._clock.monotonic() * 1000 + self._ahead_ms)

    def _lose(self, reason: str) -> None:
        """Doubt what Redis holds: what waits is not sent, and all are entered again when it answers."""
        if self._is_present:
            self._log.warning("presence.doubted", reason=reason)
            self._is_present = False
            self._doubt_until_ms = self._deadline_ms
            self._tasks.spawn("return", self._beat())
        batches, self._batches = self._batches, deque()
        for batch in batches:
            self._overdue(batch)
            self._tell(batch)

    # --- the tag

    async def _keep_beating(self) -> None:
        while True:
            await self._clock.sleep(self._settings.beat_s if self._is_present else RETRY_S)
            await self._beat()

    async def _beat(self) -> None:
        async with self._turn:
            try:
                if not self._is_present:
                    await self._begin()
                    return
                beat = await self._heard(self._tag, begins=False)
                if not beat.is_alive or self._has_evicted(beat):
                    await self._begin()
            except CacheError as error:
                self._lose(str(error))

    async def _heard(self, tag: str, *, begins: bool) -> Beat:
        sent_s = self._clock.monotonic()
        beat = await self._attendance.beat(tag, begins=begins, sweeps=not self._is_sweeping)
        self._ahead_ms = beat.now_ms - sent_s * 1000
        if beat.lost_tag:
            self._is_sweeping = True
            self._tasks.spawn("sweep", self._sweep(beat.lost_tag))
        return beat

    def _has_evicted(self, beat: Beat) -> bool:
        return beat.evicted > self._evicted and self._clock.monotonic() - self._began_s >= REENTRY_PAUSE_S

    async def _begin(self) -> None:
        """Take a new tag, and enter everybody under it."""
        tag = self._entropy.token(TAG_BYTES).hex()
        beat = await self._heard(tag, begins=True)
        # What was sent and not answered may yet take effect until its deadline: nothing new may come before.
        # (A clock that was set back makes that look farther away than it can be.)
        left_s = min((self._doubt_until_ms - self._now_ms()) / 1000, 2 * self._settings.answer_s)
        if left_s >= 0:
            await self._clock.sleep(left_s + 0.001)
        if self._tag:
            self._retired.append((self._tag, frozenset(self._organizations)))
        self._tag, self._organizations = tag, set()
        self._evicted, self._began_s = beat.evicted, self._clock.monotonic()
        self._is_present = True
        self._tasks.spawn("reenter", self._reenter(tag))

    async def _reenter(self, tag: str) -> None:
        members = iter(self._members())
        while True:
            # Nobody is waited for from the moment a member is yielded until its change stands in the line, so
            # that it can't leave in between and be entered afterwards.
            chunk = [
                Change(member.organization_id, member.channel, member.info.client, member.info)
                for member in islice(members, self._settings.batch_changes_max)
            ]
            if self._tag != tag or not self._is_present:
                return
            if not chunk:
                break
            await asyncio.shield(self._new_batch(chunk).settled)
        await self._give_up_retired(tag)

    async def _give_up_retired(self, tag: str) -> None:
        async with self._turn:
            try:
                while self._retired and self._tag == tag and self._is_present:
                    await self._attendance.retire(*self._retired[0])
                    self._retired.popleft()
            except CacheError as error:
                self._lose(str(error))

    async def _sweep(self, tag: str) -> None:
        try:
            await self._sweeper.sweep(tag, self._on_changed)
        except CacheError as error:
            self._log.warning("presence.unswept", tag=tag, reason=str(error))
            return
        finally:
            self._is_sweeping = False
        self._log.info("presence.swept", tag=tag)
        await self._beat()  # there may be others


def _over() -> Awaitable[None]:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.set_result(None)
    return future

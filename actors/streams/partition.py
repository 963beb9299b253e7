"""The single writer of one partition: gathers, decides, commits, answers, and only then lets others see.

One loop runs everything that touches the commit connection, one thing after the other: batches, lease
renewals, heads of organizations that are not known yet, look-ups of events. Nothing here is ever
cancelled while a commit is on its way.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

from actors.streams.queue import FairQueue, Pending, size_of
from adapters.postgres.commit import (
    Appended,
    AppendResult,
    CommitConnection,
    Fenced,
    Rejected,
    Taken,
    Undecided,
)
from adapters.postgres.faults import UNREACHABLE
from core.errors import Code
from core.instants import Instant
from core.ports import Clock
from core.resources.schema import Catalog
from core.streams.append import Found, Needs
from core.streams.command import Command, Publish
from core.streams.event import EphemeralPublication, Head, LiveBatch
from core.streams.memory import Memory
from core.streams.needs import ROUNDS_MAX, needs_of
from core.streams.outcome import Outcome, Refused, Unknown
from core.streams.partition import Decision, decide
from core.streams.settled import settle
from settings import Log

RECONNECT_S = 0.2
CONFLICTS_MAX = 3


class Audience(Protocol):
    """Who hears of what a partition has committed."""

    def on_live(self, batch: LiveBatch) -> None:
        """Take one organization's share of an acknowledged batch."""
        ...

    def on_ephemeral(self, publication: EphemeralPublication) -> None:
        """Take a publication that is not in the log."""
        ...


class FencedError(Exception):
    """Somebody else owns the partition: this process must not write any more."""


class StreamPartition:
    """Owns one partition from `open` to `close`, or until it is fenced.

    Args:
        partition_id: which.
        owner: the name that the partition's row bears.
        address: where this owner's link listens; callers read it in the row.
        connect: opens a commit connection.
        settings: limits and times.
        catalog: resource types.
        clock: for deadlines; the time of events is the database's.
        audience: hears of acknowledged batches.
    """

    def __init__(
        self,
        partition_id: int,
        owner: str,
        address: str,
        connect: Callable[[], Awaitable[CommitConnection]],
        settings: Log,
        catalog: Catalog,
        clock: Clock,
        audience: Audience,
    ) -> None:
        self.partition_id = partition_id
        self.epoch = 0
        self._owner = owner
        self._address = address
        self._connect = connect
        self._settings = settings
        self._catalog = catalog
        self._clock = clock
        self._audience = audience
        self._connection: CommitConnection | None = None
        self._memory = Memory({}, settings.channel_heads_max)
        self._queue = FairQueue(settings.queue_commands_max, settings.queue_bytes_max)
        self._in_flight: dict[bytes, Pending] = {}
        self._keys: dict[tuple[bytes, str], Pending] = {}
        self._unknown_heads: dict[bytes, asyncio.Future[Head | None]] = {}
        self._searches: list[tuple[bytes, bytes, asyncio.Future[Outcome | None]]] = []
        self._wake = asyncio.Event()
        self._stopping = False
        self._renew_at = 0.0
        self._database_ahead_s = 0.0
        self._log = structlog.get_logger().bind(partition=partition_id, owner=owner)

    # --- what others ask

    def submit(self, command: Command, source: object) -> asyncio.Future[Outcome]:
        """Queue one command. A repeat of one in flight joins it; another request under its key is refused."""
        earlier = self._in_flight.get(command.event_id)
        if earlier is not None:
            return earlier.outcome
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        if self._stopping:
            future.set_result(_moving())
            return future
        if command.key and (command.organization_id, command.key) in self._keys:
            future.set_result(Refused(Code.IDEMPOTENCY_IN_FLIGHT.value, retry_after_s=1))
            return future
        deadline = self._clock.monotonic() + command.left_ms / 1000
        pending = Pending(command, future, source, deadline, size_of(command.operation))
        if not self._queue.put(pending):
            future.set_result(
                Refused(Code.CAPACITY_REDUCED.value, "The writer's queue is full.", retry_after_s=1)
            )
            return future
        self._in_flight[command.event_id] = pending
        if command.key:
            self._keys[command.organization_id, command.key] = pending
        self._wake.set()
        return future

    def forget(self, source: object) -> None:
        """Drop what a lost link has queued and what has not begun: its caller asks again (rule R13)."""
        for pending in self._queue.drop(source):
            self._answer(pending, Unknown("The link was lost before the command began."))

    def head(self, organization_id: bytes) -> Awaitable[Head | None]:
        """Return the announced head; None: there is no such organization here."""
        future: asyncio.Future[Head | None]
        state = self._memory.streams.get(organization_id)
        if state is not None:
            future = asyncio.get_running_loop().create_future()
            future.set_result(Head(organization_id, state.epoch, state.last_seq))
            return future
        waiting = self._unknown_heads.get(organization_id)
        if waiting is None:
            waiting = self._unknown_heads[organization_id] = asyncio.get_running_loop().create_future()
            self._wake.set()
        return asyncio.shield(waiting)

    def heads(self, organization_ids: set[bytes]) -> list[Head]:
        """Return the announced heads of those organizations that this partition knows."""
        streams = self._memory.streams
        known = ((organization_id, streams.get(organization_id)) for organization_id in organization_ids)
        return [
            Head(organization_id, state.epoch, state.last_seq) for organization_id, state in known if state
        ]

    async def find(self, organization_id: bytes, event_id: bytes) -> Outcome | None:
        """Return what became of a command; None: it has had no effect and will have none."""
        pending = self._in_flight.get(event_id)
        if pending is not None:
            return await asyncio.shield(pending.outcome)
        future: asyncio.Future[Outcome | None] = asyncio.get_running_loop().create_future()
        self._searches.append((organization_id, event_id, future))
        self._wake.set()
        return await future

    # --- owning

    async def open(self, *, force_epoch: int | None = None) -> bool:
        """Try once to take the partition: free, one's own, or by force from the owner of `force_epoch`.

        Returns:
            Whether it is ours now; then `run` must be started.
        """
        connection = await self._connect()
        try:
            if force_epoch is None:
                taken = await connection.take(
                    self.partition_id, self._owner, self._address, self._settings.lease_s
                )
            else:
                taken = await connection.force(
                    self.partition_id, self._owner, self._address, self._settings.lease_s, force_epoch
                )
            if taken is None:
                await connection.close()
                return False
            await self._begin(connection, taken)
        except UNREACHABLE:
            await connection.close()
            return False
        return True

    async def _begin(self, connection: CommitConnection, taken: Taken) -> None:
        self.epoch = taken.epoch
        self._learn_time(taken.database_now)
        self._renew_at = self._clock.monotonic() + self._settings.lease_renew_s
        # Read in a later statement than the take-over, whose commit is the barrier behind what is read.
        heads = await connection.heads_of_partition(self.partition_id)
        self._memory = Memory(heads, self._settings.channel_heads_max)
        self._connection = connection
        self._log.info("partition.taken", epoch=taken.epoch, organizations=len(heads))

    async def run(self) -> None:
        """Serve until `stop`; then the partition is released.

        Raises:
            FencedError: another owner has it.
        """
        try:
            while not self._stopping or len(self._queue):
                await self._round()
            if self._connection is not None and not self._connection.is_closed:
                await self._connection.release(self.partition_id, self.epoch)
            self._log.info("partition.released", epoch=self.epoch)
        finally:
            self._refuse_all()
            if self._connection is not None:
                await self._connection.close()
                await self._clock.sleep(0)  # the transport ends in the loop's next round

    def stop(self) -> None:
        """Take no more commands; `run` ends after the batches that are queued."""
        self._stopping = True
        self._wake.set()

    async def _round(self) -> None:
        if self._connection is None or self._connection.is_closed:
            await self._recover(None)
        try:
            if self._clock.monotonic() >= self._renew_at:
                await self._renew()
            if self._unknown_heads:
                await self._answer_heads()
            if self._searches:
                await self._answer_searches()
        except UNREACHABLE:
            return  # the next round recovers
        batch = self._next_batch()
        if batch:
            await self._commit(batch)
        elif not self._unknown_heads and not self._searches:
            await self._idle()

    async def _idle(self) -> None:
        self._wake.clear()
        if self._stopping:
            return
        timer = asyncio.get_running_loop().call_later(
            max(0.0, self._renew_at - self._clock.monotonic()), self._wake.set
        )
        await self._wake.wait()
        timer.cancel()

    def _next_batch(self) -> list[Pending]:
        now = self._clock.monotonic()
        batch = []
        for pending in self._queue.take(self._settings.batch_commands_max, self._settings.batch_bytes_max):
            if pending.deadline <= now:
                self._answer(pending, Refused(Code.DEADLINE_EXCEEDED.value))
            else:
                batch.append(pending)
        return batch

    # --- one batch

    async def _commit(self, batch: list[Pending]) -> None:
        """Bring a batch to its end, whatever it takes: every command in it is answered."""
        for _ in range(CONFLICTS_MAX):
            try:
                decision = await self._decide(batch)
            except UNREACHABLE:
                await self._recover(None)
                continue
            if self._only_ephemeral(batch):
                self._finish(batch, decision)
                return
            assert self._connection is not None  # noqa: S101 (it has just read)
            result: AppendResult = await self._connection.append(
                self.partition_id, self.epoch, decision.append
            )
            match result:
                case Appended():
                    self._finish(batch, decision)
                    return
                case Fenced():
                    raise FencedError
                case Undecided(reason=reason):
                    self._log.warning("append.undecided", reason=reason, epoch=self.epoch)
                    if await self._recover_or_tell(batch, decision):
                        self._finish(batch, decision)
                        return
                case Rejected(conflict=True):
                    self._log.error("append.conflicted", epoch=self.epoch)
                    await self._recover(None)
                case Rejected(error=error):
                    self._log.error("append.rejected", exc_info=error)
                    await self._divide(batch)
                    return
        await self._divide(batch)

    async def _divide(self, batch: list[Pending]) -> None:
        """Find the command that the database will not have: alone it fails alone."""
        if len(batch) == 1:
            self._answer(batch[0], Refused(Code.INTERNAL.value))
            return
        middle = len(batch) // 2
        await self._commit(batch[:middle])
        await self._commit(batch[middle:])

    async def _decide(self, batch: list[Pending]) -> Decision:
        commands = [pending.command for pending in batch]
        found = Found()
        for _ in range(ROUNDS_MAX):
            needs = needs_of(commands, self._memory, found, self._catalog)
            if not needs:
                decision = decide(commands, self._memory, found, self._catalog, self._now())
                if not decision.unread:
                    return decision
                needs = decision.unread
            await self._read(needs, found)
        return decide(commands, self._memory, found, self._catalog, self._now())

    async def _read(self, needs: Needs, found: Found) -> None:
        assert self._connection is not None  # noqa: S101 (`_round` made sure of it)
        found.add(needs, await self._connection.read(self.partition_id, needs))
        self._memory.streams.update(found.streams)

    @staticmethod
    def _only_ephemeral(batch: list[Pending]) -> bool:
        operations = (pending.command.operation for pending in batch)
        return all(isinstance(operation, Publish) and operation.ephemeral for operation in operations)

    def _finish(self, batch: list[Pending], decision: Decision) -> None:
        """The batch is durable: remember it, answer, and only now let others see it (rule R5)."""
        self._memory.commit(decision.append, decision.streams)
        for pending, outcome in zip(batch, decision.outcomes, strict=True):
            self._answer(pending, outcome)
        for live in decision.live:
            self._audience.on_live(live)
        for publication in decision.ephemeral:
            self._audience.on_ephemeral(publication)

    def _answer(self, pending: Pending, outcome: Outcome) -> None:
        command = pending.command
        self._in_flight.pop(command.event_id, None)
        if command.key:
            self._keys.pop((command.organization_id, command.key), None)
        if not pending.outcome.done():
            pending.outcome.set_result(outcome)

    # --- what else the connection does

    async def _renew(self) -> None:
        assert self._connection is not None  # noqa: S101 (`_round` made sure of it)
        if not await self._connection.renew(self.partition_id, self.epoch, self._settings.lease_s):
            raise FencedError
        self._renew_at = self._clock.monotonic() + self._settings.lease_renew_s

    async def _answer_heads(self) -> None:
        waiting, self._unknown_heads = self._unknown_heads, {}
        found = Found()
        try:
            await self._read(Needs(organizations=set(waiting)), found)
        except UNREACHABLE:
            self._unknown_heads = waiting | self._unknown_heads
            raise
        for organization_id, future in waiting.items():
            state = found.streams.get(organization_id)
            future.set_result(None if state is None else Head(organization_id, state.epoch, state.last_seq))

    async def _answer_searches(self) -> None:
        assert self._connection is not None  # noqa: S101 (`_round` made sure of it)
        while self._searches:
            organization_id, event_id, future = self._searches[0]
            event = await self._connection.find_event(organization_id, event_id)
            self._searches.pop(0)
            epoch = self._memory.streams[organization_id].epoch if event is not None else ""
            if not future.done():
                future.set_result(None if event is None else settle(event, epoch))

    async def _recover(self, decision: Decision | None) -> bool:
        """Take the partition from oneself, and find out whether an undecided batch is in the log (rule R6).

        The take-over waits for the row that the old transaction holds, and fences an append that is still
        on its way.

        Raises:
            FencedError: somebody else took it meanwhile.
        """
        if self._connection is not None:
            await self._connection.close()
        while True:
            try:
                connection = await self._connect()
            except UNREACHABLE:
                await self._clock.sleep(RECONNECT_S)
                continue
            try:
                taken = await connection.force(
                    self.partition_id, self._owner, self._address, self._settings.lease_s, self.epoch
                )
                if taken is None:
                    await connection.close()
                    raise FencedError
                await self._begin(connection, taken)
                return decision is not None and await self._is_in_log(connection, decision)
            except UNREACHABLE:
                await connection.close()
                await self._clock.sleep(RECONNECT_S)

    async def _recover_or_tell(self, batch: list[Pending], decision: Decision) -> bool:
        """Find out whether a batch is in the log; who is fenced before that does not know, and says so."""
        try:
            return await self._recover(decision)
        except FencedError:
            for pending in batch:
                self._answer(pending, Unknown("Another owner took the partition; it can tell."))
            raise

    @staticmethod
    async def _is_in_log(connection: CommitConnection, decision: Decision) -> bool:
        # An append is all or nothing: one of its events tells of all.
        for organization_id, _, event in decision.append.events[:1]:
            return await connection.find_event(organization_id, event.id) is not None
        return False

    # --- time and endings

    def _learn_time(self, database_now: Instant) -> None:
        self._database_ahead_s = database_now / 1_000_000 - self._clock.monotonic()

    def _now(self) -> Instant:
        """Return the database's time, carried on by the monotonic clock.

        The machine's wall clock decides nothing.
        """
        return Instant(round((self._clock.monotonic() + self._database_ahead_s) * 1_000_000))

    def _refuse_all(self) -> None:
        self._stopping = True
        for pending in list(self._in_flight.values()):
            self._answer(pending, _moving())
        for future in self._unknown_heads.values():
            future.set_result(None)
        for _, _, search in self._searches:
            search.set_exception(FencedError())


def _moving() -> Refused:
    return Refused(Code.PARTITION_MOVING.value, retry_after_s=1)

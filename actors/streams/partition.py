"""The single writer of one partition: gathers, decides, commits, answers, and only then lets others see.

One loop runs everything that touches the commit connection, one thing after the other: batches, lease
renewals, heads of organizations that are not known yet, look-ups of events. Nothing here is ever
cancelled while a commit is on its way.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import structlog

from actors.streams.questions import Questions
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
from adapters.postgres.faults import UNREACHABLE, is_definite, is_shortage
from core.errors import Code, TidingsError
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
        self._batch: list[Pending] = []
        """What may be on its way to the log: nobody can say that it had no effect."""
        self._wake = asyncio.Event()
        self._questions = Questions(self._wake.set, settings.queue_commands_max)
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
            self._settle(pending, Unknown("The link was lost before the command began."))

    def expire(self) -> None:
        """Tell callers in this process whose deadline has passed; those behind a link are told there."""
        now = self._clock.monotonic()
        late = [p for p in self._in_flight.values() if p.deadline <= now and p.source is None]
        for pending in late:
            if not pending.outcome.done():
                outcome = Unknown("Not decided before the deadline.") if pending.begun else _LATE
                pending.outcome.set_result(outcome)

    def head(self, organization_id: bytes) -> Awaitable[Head | None]:
        """Return a head that covers everything acknowledged before this call, by whomever.

        None: there is no such organization here. What memory holds is told only when the database has
        confirmed after this call that the partition is still ours: an owner that was replaced while it was
        cut off does not know what its successor has acknowledged.
        """
        if self._stopping:
            raise TidingsError(Code.PARTITION_MOVING)
        return self._questions.head(organization_id)

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
        if self._stopping:
            raise TidingsError(Code.PARTITION_MOVING)
        return await self._questions.find(organization_id, event_id)

    # --- owning

    async def open(self, *, force_epoch: int | None = None) -> bool:
        """Try once to take the partition: free, one's own, or by force from the owner of `force_epoch`.

        Returns:
            Whether it is ours now; then `run` must be started.
        """
        try:
            connection = await self._connect()
        except UNREACHABLE:
            return False
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
            await self._give_up()
        finally:
            self._refuse_all()
            if self._connection is not None:
                await self._connection.close()
                await self._clock.sleep(0)  # the transport ends in the loop's next round

    async def _give_up(self) -> None:
        if self._connection is not None and not self._connection.is_closed:
            try:
                await self._connection.release(self.partition_id, self.epoch)
            except UNREACHABLE as error:
                self._log.warning("partition.unreleased", error=str(error))  # its lease runs out
                return
        self._log.info("partition.released", epoch=self.epoch)

    def stop(self) -> None:
        """Take no more commands; `run` ends after the batches that are queued."""
        self._stopping = True
        self._wake.set()

    async def _round(self) -> None:
        if self._connection is None or self._connection.is_closed:
            await self._recover()
        asked = self._questions.heads
        batch = self._next_batch()
        is_proved = bool(batch) and await self._commit(batch)
        try:
            if self._clock.monotonic() >= self._renew_at:
                await self._renew()
                is_proved = True
            await self._answer(asked, is_proved=is_proved)
        except UNREACHABLE as error:
            self._log.warning("partition.unanswered", error=str(error))
            assert self._connection is not None  # noqa: S101 (recovered above)
            await self._connection.close()  # the next round recovers
            return
        if not (batch or asked or len(self._queue)):
            await self._idle()

    async def _answer(self, asked: int, *, is_proved: bool) -> None:
        assert self._connection is not None  # noqa: S101 (`_round` made sure of it)
        if asked and not await self._questions.answer_heads(
            self._connection, self.partition_id, self.epoch, self._memory, asked, is_proved=is_proved
        ):
            raise FencedError
        await self._questions.answer_searches(self._connection, self._memory)

    async def _idle(self) -> None:
        self._wake.clear()
        if self._stopping or self._questions:
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
            if pending.outcome.done():  # told that it is late
                self._settle(pending, _LATE)
                continue
            if pending.deadline <= now:
                self._settle(pending, _LATE)
            else:
                pending.begun = True
                batch.append(pending)
        return batch

    # --- one batch

    async def _commit(self, batch: list[Pending]) -> bool:
        """Bring a batch to its end, whatever it takes: every command in it is answered.

        Returns:
            Whether the database has confirmed that the partition is ours, by an append that began in here.
        """
        for _ in range(CONFLICTS_MAX):
            try:
                decision = await self._decide(batch)
            except UNREACHABLE as error:
                if is_definite(error) and not self._is_cut:
                    return await self._reject(batch, error)
                await self._recover()
                continue
            if self._only_ephemeral(batch):
                self._finish(batch, decision)
                return False
            match await self._append(batch, decision):
                case Appended():
                    self._finish(batch, decision)
                    return True
                case Fenced():
                    raise FencedError
                case Rejected(error=refusal, conflict=False):
                    return await self._reject(batch, refusal)
                case Rejected() | Undecided():  # once more, under the new epoch
                    continue
        return await self._divide(batch)

    async def _append(self, batch: list[Pending], decision: Decision) -> AppendResult:
        assert self._connection is not None  # noqa: S101 (it has just read)
        self._batch = batch
        result = await self._connection.append(self.partition_id, self.epoch, decision.append)
        if isinstance(result, Undecided):
            self._log.warning("append.undecided", reason=result.reason, epoch=self.epoch)
            result = Appended() if await self._is_in_log(decision) else result
        elif isinstance(result, Rejected) and result.conflict:
            self._log.error("append.conflicted", epoch=self.epoch)
            await self._recover()
        self._batch = []
        return result

    @property
    def _is_cut(self) -> bool:
        return self._connection is None or self._connection.is_closed

    async def _reject(self, batch: list[Pending], error: Exception) -> bool:
        """Answer a batch that the database refused: all, if it would refuse any; else those it is about."""
        self._log.error("batch.rejected", commands=len(batch), error=f"{type(error).__name__}: {error}")
        if not is_shortage(error):
            return await self._divide(batch)
        for pending in batch:
            self._settle(pending, Refused(Code.UNAVAILABLE.value, "The database is out of room."))
        return False

    async def _divide(self, batch: list[Pending]) -> bool:
        """Find the command that the database will not have: alone it fails alone."""
        if len(batch) == 1:
            self._settle(batch[0], Refused(Code.INTERNAL.value))
            return False
        middle = len(batch) // 2
        first = await self._commit(batch[:middle])
        return await self._commit(batch[middle:]) or first

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
        """Say whether a batch leaves nothing to be written: no event, and no answer under a key."""
        commands = (pending.command for pending in batch)
        return all(
            isinstance(command.operation, Publish) and command.operation.ephemeral and not command.key
            for command in commands
        )

    def _finish(self, batch: list[Pending], decision: Decision) -> None:
        """The batch is durable: remember it, answer, and only now let others see it (rule R5)."""
        self._batch = []
        self._memory.commit(decision.append, decision.streams)
        for pending, outcome in zip(batch, decision.outcomes, strict=True):
            self._settle(pending, outcome)
        for live in decision.live:
            self._audience.on_live(live)
        for publication in decision.ephemeral:
            self._audience.on_ephemeral(publication)

    def _settle(self, pending: Pending, outcome: Outcome) -> None:
        command = pending.command
        self._in_flight.pop(command.event_id, None)
        if command.key:
            self._keys.pop((command.organization_id, command.key), None)
        if not pending.outcome.done():
            pending.outcome.set_result(outcome)

    # --- what else the connection does

    async def _renew(self) -> None:
        assert self._connection is not None  # noqa: S101 (`_round` made sure of it)
        now = await self._connection.renew(self.partition_id, self.epoch, self._settings.lease_s)
        if now is None:
            raise FencedError
        self._learn_time(now)
        self._renew_at = self._clock.monotonic() + self._settings.lease_renew_s

    async def _recover(self) -> None:
        """Take the partition from oneself, so that an undecided append is decided or fenced (rule R6).

        The take-over waits for the row that the old transaction holds.

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
            except UNREACHABLE:
                await connection.close()
                await self._clock.sleep(RECONNECT_S)
            else:
                return

    async def _is_in_log(self, decision: Decision) -> bool:
        """Say whether an undecided batch took effect, after the take-over that decides it."""
        await self._recover()
        # An append is all or nothing: one of its events tells of all.
        for organization_id, _, event in decision.append.events[:1]:
            while True:
                assert self._connection is not None  # noqa: S101 (recovered)
                try:
                    return await self._connection.find_event(organization_id, event.id) is not None
                except UNREACHABLE:
                    await self._recover()
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
        for pending in self._batch:
            self._settle(pending, Unknown("Another owner takes the partition; it can tell."))
        for pending in list(self._in_flight.values()):
            self._settle(pending, _moving())
        self._questions.refuse_all()


_LATE: Final = Refused(Code.DEADLINE_EXCEEDED.value)


def _moving() -> Refused:
    return Refused(Code.PARTITION_MOVING.value, retry_after_s=1)

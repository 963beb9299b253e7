"""The one pen: takes partitions, reads what a batch needs, and appends it in one statement.

One connection a partition. It is never taken from a pool, has no command timeout, and is never cancelled:
whoever stops waiting for a COMMIT drops its socket and settles the outcome by reading (reliability rule
R6).
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

import asyncpg

from adapters.postgres.arguments import append_arguments, read_arguments, referrer_branches
from adapters.postgres.codec import event_of, from_timestamp, from_uuid, stream_state, to_uuid
from adapters.postgres.faults import UNREACHABLE, is_definite
from adapters.postgres.found import found_in
from adapters.postgres.pool import LOOK_UPS_BY_KEY
from adapters.postgres.queries import statements
from adapters.telemetry.tasks import Tasks
from core.instants import Instant
from core.streams.append import Append, Found, Needs, StreamState
from core.streams.event import Event

LOG_CONFLICT = "TD001"


@dataclass(frozen=True, slots=True)
class Taken:
    """A partition is ours, under this epoch; `database_now` is the only clock that leases know."""

    epoch: int
    database_now: Instant


@dataclass(frozen=True, slots=True)
class Appended:
    """The batch is durable."""


@dataclass(frozen=True, slots=True)
class Fenced:
    """Somebody else owns the partition: nothing was written, and nothing will be under this epoch."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The server rolled the batch back. `conflict`: a head was not where its owner believed it."""

    error: Exception
    conflict: bool


@dataclass(frozen=True, slots=True)
class Undecided:
    """Nobody knows yet whether the batch is durable, and the connection is gone.

    The caller must settle it by `force` and then `find_event`, on a new connection.
    """

    reason: str


AppendResult = Appended | Fenced | Rejected | Undecided


class CommitConnection:
    """One connection that commits, for one partition at a time.

    Not for concurrent use: its owner runs one call after the other.
    """

    def __init__(self, connection: Any, deadline_s: float) -> None:
        self._connection = connection
        self._deadline_s = deadline_s
        self._tasks = Tasks("commit")
        self._sql = statements("commit")
        self._append: Any = None
        self._read: Any = None

    @classmethod
    async def open(cls, dsn: str, *, deadline_s: float, lock_timeout_s: float = 2.0) -> Self:
        """Connect to the primary and prepare both statements of a batch.

        Args:
            dsn: where the database is.
            deadline_s: how long each call may take; then the socket is dropped.
            lock_timeout_s: how long a take-over waits for a transaction that still holds the row; it is
                tried again.

        Raises:
            Exception: one of `faults.UNREACHABLE`; no connection, or the server is a standby.
        """
        connection = await asyncpg.connect(
            dsn,
            timeout=deadline_s,
            target_session_attrs="primary",
            server_settings={
                **LOOK_UPS_BY_KEY,
                "application_name": "tidings-owner",
                "lock_timeout": f"{round(lock_timeout_s * 1000)}",
            },
        )
        opened = cls(connection, deadline_s)
        try:
            await opened._prepare()
        except BaseException:
            connection.terminate()
            raise
        return opened

    async def _prepare(self) -> None:
        # By their own names, so that a proxy that looks at the traffic can tell them.
        prepare = self._connection.prepare
        self._append = await self._bounded(prepare(self._sql["append"], name="append"))
        self._read = await self._bounded(prepare(self._sql["read"], name="read"))

    @property
    def is_closed(self) -> bool:
        """Say whether the connection is gone."""
        closed: bool = self._connection.is_closed()
        return closed

    async def close(self) -> None:
        """Drop the socket and send no cancellation: a commit on its way is decided by the server alone."""
        self._connection.terminate()

    async def take(self, partition_id: int, owner: str, address: str, lease_s: float) -> Taken | None:
        """Take the partition if its lease ran out or it bears the same owner's name; None otherwise."""
        lease = timedelta(seconds=lease_s)
        return _taken(await self._fetchrow("take_partition", partition_id, owner, address, lease))

    async def force(
        self, partition_id: int, owner: str, address: str, lease_s: float, epoch: int
    ) -> Taken | None:
        """Take the partition whatever its lease says, if its epoch is still `epoch`; None otherwise.

        Waits until a transaction that holds the row is decided: the commit of this call is the barrier
        behind it.

        Raises:
            asyncpg.LockNotAvailableError: not decided within the lock timeout; try again.
        """
        lease = timedelta(seconds=lease_s)
        return _taken(await self._fetchrow("force_partition", partition_id, owner, address, lease, epoch))

    async def renew(self, partition_id: int, epoch: int, lease_s: float) -> Instant | None:
        """Prolong the lease and return the database's time; None: fenced."""
        lease = timedelta(seconds=lease_s)
        row = await self._fetchrow("renew_partition", partition_id, epoch, lease)
        return None if row is None else from_timestamp(row["database_now"])

    async def owns(self, partition_id: int, epoch: int) -> bool:
        """Say whether the partition is still under this epoch: nobody else has acknowledged anything then."""
        return await self._fetchrow("own_partition", partition_id, epoch) is not None

    async def release(self, partition_id: int, epoch: int) -> None:
        """Give the partition up at once, so that another owner need not wait for the lease."""
        await self._fetchrow("release_partition", partition_id, epoch)

    async def heads_of_partition(self, partition_id: int) -> dict[bytes, StreamState]:
        """Return every stream of the partition.

        Call it after `take` or `force` has returned, for their commit is the barrier behind what is read.
        """
        rows = await self._bounded(self._connection.fetch(self._sql["heads_of_partition"], partition_id))
        return {
            from_uuid(organization_id): stream_state(epoch, last_seq, last_day, last_created_at)
            for organization_id, epoch, last_seq, last_day, last_created_at in rows
        }

    async def read(self, partition_id: int, needs: Needs) -> Found:
        """Return what a batch needs, in one round trip.

        It stays true until the batch is appended: only the partition's owner writes these rows, and one
        batch is in flight.
        """
        arguments = read_arguments(partition_id, needs)
        if needs.referrers:
            branches, more = referrer_branches(needs, len(arguments) + 1)
            query = f"{self._sql['read']}\n{branches}"
            rows = await self._bounded(self._connection.fetch(query, *arguments, *more))
        else:
            rows = await self._bounded(self._read.fetch(*arguments))
        return found_in(rows)

    async def find_event(self, organization_id: bytes, event_id: bytes) -> Event | None:
        """Return the event with this id, or None when the log does not hold it."""
        query = statements("streams")["event_by_id"]
        arguments = (to_uuid(organization_id), to_uuid(event_id))
        row = await self._bounded(self._connection.fetchrow(query, *arguments))
        return None if row is None else event_of(row)

    async def _fetchrow(self, name: str, *arguments: Any) -> Any:
        return await self._bounded(self._connection.fetchrow(self._sql[name], *arguments))

    async def _bounded(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Await one statement; at its deadline the socket is dropped, as with an append.

        No call hangs on a server that is gone, and none is cancelled in the middle of a commit.
        """
        result = await self._outcome_of("statement", work)
        if isinstance(result, BaseException):
            raise result
        return result

    async def _outcome_of(self, name: str, work: Coroutine[Any, Any, Any]) -> Any:
        """Return what the statement gave, or the error that it ended with."""
        task = self._tasks.spawn(name, _caught(work))
        done, _ = await asyncio.wait({task}, timeout=self._deadline_s)  # never cancels, unlike wait_for
        if not done:
            self._connection.terminate()  # drops the socket and sends no CancelRequest
            await asyncio.wait({task})
        return task.result()

    async def append(self, partition_id: int, epoch: int, append: Append) -> AppendResult:
        """Write one batch: all of it durable, or none of it.

        Runs to its end whatever happens to the caller. After `Undecided` the connection is closed.
        """
        warnings: list[str] = []

        def hear(_connection: Any, message: Any) -> None:
            if message.severity_en == "WARNING":
                warnings.append(str(message))

        connection = self._connection
        connection.add_log_listener(hear)
        try:
            arguments = append_arguments(partition_id, epoch, append)
            result = await self._outcome_of("append", self._append.fetchval(*arguments))
            return self._judge(result, warnings)
        finally:
            if not connection.is_closed():
                connection.remove_log_listener(hear)

    def _judge(self, result: int | BaseException, warnings: list[str]) -> AppendResult:
        if isinstance(result, BaseException):
            if is_definite(result) and not self._connection.is_closed():
                assert isinstance(result, asyncpg.PostgresError)  # noqa: S101 (is_definite says so)
                return Rejected(result, conflict=result.sqlstate == LOG_CONFLICT)
            self._connection.terminate()
            return Undecided(f"{type(result).__name__}: {result}")
        if warnings:  # "canceling wait for synchronous replication": committed here, perhaps nowhere else
            self._connection.terminate()
            return Undecided(warnings[0])
        return Appended() if result else Fenced()


async def _caught(work: Coroutine[Any, Any, Any]) -> Any:
    # An error is a value here: the task must not be reported as failed, since whoever spawned it judges it.
    try:
        return await work
    except (*UNREACHABLE, asyncio.CancelledError) as error:
        return error


def _taken(row: Any) -> Taken | None:
    return None if row is None else Taken(row["epoch"], from_timestamp(row["database_now"]))

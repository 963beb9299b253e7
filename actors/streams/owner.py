"""The owner of several partitions in one process: satisfies the gateways' ports directly, or behind links.

Takes the partitions that are free or bear its name, gives them up in order, and says so (`fenced`) when
another owner has taken one from it: then its process must end, since nobody can know what else it
believes.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import structlog

from actors.streams.partition import FencedError, StreamPartition
from actors.streams.watchers import Watchers
from adapters.postgres.commit import CommitConnection
from adapters.postgres.faults import UNREACHABLE
from adapters.telemetry.tasks import Tasks
from core.errors import Code, TidingsError
from core.ports import Clock, LiveListener
from core.resources.schema import Catalog
from core.streams.command import Command
from core.streams.event import Head
from core.streams.outcome import Outcome, Refused, Unknown
from settings import Log

HEAD_INTERVAL_S = 1.0
TAKE_INTERVAL_S = 0.5
EXPIRE_INTERVAL_S = 0.1


class Routes(Protocol):
    """What an owner asks about the partitions of the log."""

    async def partition_of(self, organization_id: bytes) -> int:
        """Return the partition of an organization; it never changes.

        Raises:
            TidingsError: `not_found`, there is no such organization.
        """
        ...

    async def orphans(self) -> list[int]:
        """Return the partitions whose owner has let its lease run out."""
        ...


class StreamOwner:
    """Holds partitions of the log and writes them.

    Args:
        name: unique among owners; a restart under it takes its partitions back at once.
        address: where its link listens; "" where gateway and owner share a process.
        routes: tells which partition writes an organization, and which ones nobody owns any more.
        connect: opens a commit connection.
        settings: limits and times.
        catalog: resource types.
        clock: for deadlines and intervals.
        on_released: hears of each partition that leaves this owner, so that callers look for it elsewhere.
    """

    def __init__(
        self,
        name: str,
        address: str,
        routes: Routes,
        connect: Callable[[], Awaitable[CommitConnection]],
        settings: Log,
        catalog: Catalog,
        clock: Clock,
        on_released: Callable[[int], None] | None = None,
    ) -> None:
        self.on_released = on_released
        self.name = name
        self.address = address
        self.fenced = asyncio.Event()
        self._places = routes
        self._routes: dict[bytes, int] = {}
        self._unrouted: dict[bytes, list[tuple[Command, object | None, asyncio.Future[Outcome]]]] = {}
        self._connect = connect
        self._settings = settings
        self._catalog = catalog
        self._clock = clock
        self._partitions: dict[int, StreamPartition] = {}
        self._runs: dict[int, asyncio.Task[None]] = {}
        self._wanted: set[int] = set()
        self._taking = asyncio.Lock()
        self._watchers = Watchers()
        self._tasks = Tasks(name)
        self._log = structlog.get_logger().bind(owner=name)

    # --- life

    async def open(self, wanted: set[int]) -> None:
        """Begin to own `wanted`; those that another owner holds are taken when their lease runs out."""
        self._wanted = set(wanted)
        await self._take_free()
        self._tasks.spawn("take", self._keep_taking(), on_end=self.fenced.set)
        self._tasks.spawn("heads", self._announce_heads(), on_end=self.fenced.set)
        self._tasks.spawn("expire", self._expire(), on_end=self.fenced.set)

    async def close(self) -> None:
        """Finish what is queued, release every partition, and stop."""
        self._wanted = set()
        async with self._taking:  # what is being taken is released like the others
            await self._tasks.close()
        for partition in self._partitions.values():
            partition.stop()
        if self._runs:
            await asyncio.wait(self._runs.values())

    async def rebalance(self, wanted: set[int]) -> None:
        """Own exactly these from now on: release the others, take the missing ones as they become free."""
        self._wanted = set(wanted)
        for partition_id in set(self._partitions) - wanted:
            await self._release(partition_id)
        await self._take_free()

    async def suspect(self, partition_id: int, epoch: int) -> None:
        """Take a partition over at once whose owner under `epoch` refuses connections.

        Harmless when the suspicion is wrong: the fence moves, and the other owner finds out at its next
        append.
        """
        async with self._taking:
            if partition_id not in self._partitions:
                self._log.warning("owner.suspected", partition=partition_id, epoch=epoch)
                await self._take(partition_id, force_epoch=epoch)

    async def _keep_taking(self) -> None:
        while True:
            await self._clock.sleep(TAKE_INTERVAL_S)
            await self._take_free()
            await self._adopt_orphans()

    async def _adopt_orphans(self) -> None:
        """Take what a silent owner has left behind, whoever was meant to have it.

        Placement spreads it later.
        """
        try:
            orphans = await self._places.orphans()
        except (TidingsError, *UNREACHABLE):
            return  # without the database nothing can be taken either
        async with self._taking:
            for partition_id in set(orphans) - set(self._partitions):
                self._log.warning("partition.adopted", partition=partition_id)
                await self._take(partition_id)

    async def _expire(self) -> None:
        while True:
            await self._clock.sleep(EXPIRE_INTERVAL_S)
            for partition in list(self._partitions.values()):
                partition.expire()

    async def _take_free(self) -> None:
        async with self._taking:
            missing = sorted(self._wanted - set(self._partitions))
            await asyncio.gather(*(self._take(partition_id) for partition_id in missing))

    async def _take(self, partition_id: int, *, force_epoch: int | None = None) -> None:
        partition = StreamPartition(
            partition_id,
            self.name,
            self.address,
            self._connect,
            self._settings,
            self._catalog,
            self._clock,
            self._watchers,
        )
        if await partition.open(force_epoch=force_epoch):
            self._partitions[partition_id] = partition
            # Not among the tasks that are cancelled: a commit is never cut short.
            run = asyncio.get_running_loop().create_task(partition.run(), name=f"{self.name}.{partition_id}")
            self._runs[partition_id] = run
            run.add_done_callback(lambda ended: self._ended(partition_id, ended))

    def _ended(self, partition_id: int, run: asyncio.Task[None]) -> None:
        self._partitions.pop(partition_id, None)
        self._runs.pop(partition_id, None)
        if self.on_released is not None:
            self.on_released(partition_id)
        error = run.exception()
        if error is None:
            return
        if isinstance(error, FencedError):
            self._log.warning("owner.fenced", partition=partition_id)
        else:
            self._log.error("partition.failed", partition=partition_id, exc_info=error)
        self.fenced.set()

    async def _release(self, partition_id: int) -> None:
        partition, run = self._partitions[partition_id], self._runs[partition_id]
        partition.stop()
        await asyncio.wait({run})

    # --- the ports

    def submit(self, command: Command, source: object | None = None) -> asyncio.Future[Outcome]:
        """Hand one write to its partition (`core.ports.StreamWriter`)."""
        organization_id = command.organization_id
        partition_id = self._routes.get(organization_id)
        line = self._unrouted.get(organization_id)
        if partition_id is not None and line is None:
            return self._submit(partition_id, command, source)
        # Until the route is known commands wait in line: none may overtake another of its organization.
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        if line is None:
            line = self._unrouted[organization_id] = []
            self._tasks.spawn("route", self._submit_line(organization_id))
        line.append((command, source, future))
        return future

    def _submit(self, partition_id: int, command: Command, source: object | None) -> asyncio.Future[Outcome]:
        partition = self._partitions.get(partition_id)
        if partition is not None:
            return partition.submit(command, source)
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        future.set_result(Refused(Code.PARTITION_MOVING.value, retry_after_s=1))
        return future

    async def _submit_line(self, organization_id: bytes) -> None:
        refusal: Refused | None = None
        partition_id = -1
        try:
            partition_id = await self._route(organization_id)
        except TidingsError as error:
            refusal = Refused(error.code.value, error.detail)
        except UNREACHABLE:
            refusal = Refused(Code.UNAVAILABLE.value)
        for command, source, future in self._unrouted.pop(organization_id):
            if refusal is not None:
                _give(future, refusal)
            else:
                settled = self._submit(partition_id, command, source)
                settled.add_done_callback(functools.partial(_pass_on, future))

    async def _route(self, organization_id: bytes) -> int:
        partition_id = self._routes.get(organization_id)
        if partition_id is None:
            partition_id = self._routes[organization_id] = await self._places.partition_of(organization_id)
        return partition_id

    async def _owned(self, organization_id: bytes) -> StreamPartition:
        partition = self._partitions.get(await self._route(organization_id))
        if partition is None:
            raise TidingsError(Code.PARTITION_MOVING)
        return partition

    def forget(self, source: object) -> None:
        """Drop what a lost link has queued: it will never take effect (rule R13)."""
        for line in self._unrouted.values():
            for _, _, future in [waiting for waiting in line if waiting[1] is source]:
                _give(future, Unknown("The link was lost before the command began."))
            line[:] = [waiting for waiting in line if waiting[1] is not source]
        for partition in self._partitions.values():
            partition.forget(source)

    def watch(self, organization_id: bytes, listener: LiveListener) -> None:
        """Begin to deliver (`core.ports.LiveFeed`)."""
        self._watchers.add(organization_id, listener)
        self._tasks.spawn("watch", self._welcome(organization_id, listener))

    async def _welcome(self, organization_id: bytes, listener: LiveListener) -> None:
        try:
            head = await self.head(organization_id)
        except TidingsError:
            return  # the head of each second tells as soon as the partition is here
        if self._watchers.has(organization_id, listener):
            listener.on_head(head)

    def unwatch(self, organization_id: bytes, listener: LiveListener) -> None:
        """Stop delivering."""
        self._watchers.remove(organization_id, listener)

    async def head(self, organization_id: bytes) -> Head:
        """Return a head that covers everything acknowledged before this call (`core.ports.LiveFeed`)."""
        try:
            async with asyncio.timeout(self._settings.request_deadline_ms / 1000):
                head = await (await self._owned(organization_id)).head(organization_id)
        except TimeoutError:
            raise TidingsError(Code.UNAVAILABLE) from None
        if head is None:
            raise TidingsError(Code.NOT_FOUND)
        return head

    async def find(self, organization_id: bytes, event_id: bytes) -> Outcome | None:
        """Return what became of a command; None only when it surely never takes effect (rule R13)."""
        return await (await self._owned(organization_id)).find(organization_id, event_id)

    async def _announce_heads(self) -> None:
        while True:
            await self._clock.sleep(HEAD_INTERVAL_S)
            watched = self._watchers.organizations
            for partition in list(self._partitions.values()):
                for head in partition.heads(watched):
                    self._watchers.on_head(head)

    def status(self) -> dict[str, Any]:
        """Return what this owner holds, for people."""
        partitions = {str(number): partition.epoch for number, partition in sorted(self._partitions.items())}
        return {"name": self.name, "address": self.address, "partitions": partitions}


def _pass_on(waiting: asyncio.Future[Outcome], settled: asyncio.Future[Outcome]) -> None:
    _give(waiting, settled.result())


def _give(waiting: asyncio.Future[Outcome], outcome: Outcome) -> None:
    if not waiting.done():  # its caller may have gone away
        waiting.set_result(outcome)

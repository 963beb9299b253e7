"""Owners that answer as a test tells them, behind real links; and what a process has to reach them."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from adapters.clock import SystemClock
from adapters.entropy import SystemEntropy
from adapters.links.exchange import Exchange
from adapters.links.lane import Lane
from adapters.links.link import OwnerLink
from adapters.links.pending import Pending
from adapters.links.routes import RouteBook
from adapters.links.server import LinkServer
from adapters.postgres.streams import Route
from adapters.telemetry.tasks import Tasks
from core.errors import Code, TidingsError
from core.ports import LiveListener
from core.streams.command import Command, Publish
from core.streams.event import EphemeralPublication, Head, LiveBatch
from core.streams.outcome import Committed, Outcome, Refused
from settings import Links
from tests.helpers.links import KEY, QUICK

ORG, OTHER = b"1" * 16, b"2" * 16
ENTROPY = SystemEntropy()
MOVING = Refused(Code.PARTITION_MOVING.value, retry_after_s=1)


def one_command(
    data: bytes = b"{}", *, key: str = "", ephemeral: bool = False, left_ms: int = 5_000
) -> Command:
    return Command(ORG, ENTROPY.id(), Publish(("room:1",), data, ephemeral=ephemeral), left_ms, key)


def effect(command: Command, seq: int = 1) -> Committed:
    return Committed("published", command.event_id, seq, "epoch", 1, (seq,))


class Desk:
    """Satisfies `Handler`: commits what comes, or holds it until it is told the outcome."""

    def __init__(self, *, holds: bool = False) -> None:
        self.holds = holds
        self.commands: list[Command] = []
        self.held: dict[bytes, asyncio.Future[Outcome]] = {}
        self.outcomes: dict[bytes, Outcome] = {}
        self.failures: dict[bytes, Exception] = {}
        self.found: list[bytes] = []
        self.finds: Callable[[bytes], Outcome | None] = lambda _: None
        self.forgotten: list[object] = []
        self.suspects: list[tuple[int, int]] = []
        self.listeners: dict[bytes, LiveListener] = {}
        self.heads: asyncio.Queue[Head | Exception] = asyncio.Queue()

    @property
    def ids(self) -> list[bytes]:
        return [command.event_id for command in self.commands]

    def submit(self, command: Command, source: object | None = None) -> asyncio.Future[Outcome]:  # noqa: ARG002 (a handler's)
        self.commands.append(command)
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        told = self.outcomes.get(command.event_id)
        if (failure := self.failures.get(command.event_id)) is not None:
            future.set_exception(failure)
        elif told is not None or not self.holds:
            future.set_result(told or effect(command, len(self.commands)))
        else:
            self.held[command.event_id] = future
        return future

    def forget(self, source: object) -> None:
        self.forgotten.append(source)

    def watch(self, organization_id: bytes, listener: LiveListener) -> None:
        self.listeners[organization_id] = listener
        listener.on_head(Head(organization_id, "epoch", 0))

    def unwatch(self, organization_id: bytes, listener: LiveListener) -> None:
        assert self.listeners.pop(organization_id) is listener

    async def head(self, organization_id: bytes) -> Head:  # noqa: ARG002 (a handler's)
        told = await self.heads.get()
        if isinstance(told, Exception):
            raise told
        return told

    async def find(self, organization_id: bytes, event_id: bytes) -> Outcome | None:
        assert organization_id == ORG
        self.found.append(event_id)
        return self.finds(event_id)

    async def suspect(self, partition_id: int, epoch: int) -> None:
        self.suspects.append((partition_id, epoch))


@asynccontextmanager
async def served(
    desk: Desk, name: str = "owner-0", *, links: Links = QUICK
) -> AsyncIterator[tuple[LinkServer, str]]:
    """Give the server of a desk and its address."""
    server = LinkServer(desk, name, KEY, links, SystemClock(), SystemEntropy())
    address = await server.open()
    try:
        yield server, address
    finally:
        await server.close()


class Table:
    """Satisfies `Routes`: rows that a test changes; `away` when the database is."""

    def __init__(self, *rows: Route) -> None:
        self.rows = list(rows)
        self.partitions = {ORG: 0, OTHER: 1}
        self.reads = 0
        self.away = False
        self.asked: list[bytes] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def partition_of(self, organization_id: bytes) -> int:
        self.asked.append(organization_id)
        await self.gate.wait()
        if self.away:
            raise ConnectionError
        if organization_id not in self.partitions:
            raise TidingsError(Code.NOT_FOUND)
        return self.partitions[organization_id]

    async def routes(self) -> Sequence[Route]:
        self.reads += 1
        await self.gate.wait()
        if self.away:
            raise ConnectionError
        return list(self.rows)


class Office:
    """What one process has: an exchange, its lanes, and a note of everything that links tell it."""

    def __init__(self, table: Table, process: str, links: Links, key: bytes) -> None:
        self.tasks = Tasks(process)
        self.clock = SystemClock()
        self.book = RouteBook(table, self.tasks, self._compare)
        self.exchange = Exchange(
            self.book, process, key, links, self.clock, SystemEntropy(), self.tasks, self, None
        )
        self.lanes: dict[int, Lane] = {}
        self.lost: list[OwnerLink] = []
        self.told: list[LiveBatch | Head | EphemeralPublication] = []
        self.moves = 0
        self._numbers = itertools.count(1)

    def lane(self, partition_id: int = 0) -> Lane:
        return self.lanes.setdefault(partition_id, Lane(partition_id, self.exchange))

    def submit(self, command: Command, lane: Lane | None = None) -> asyncio.Future[Outcome]:
        lane = lane or self.lane()
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        deadline = self.clock.monotonic() + command.left_ms / 1000
        lane.submit(Pending(next(self._numbers), command, future, deadline, lane.budget))
        return future

    def on_live(self, batch: LiveBatch) -> None:
        self.told.append(batch)

    def on_head(self, head: Head) -> None:
        self.told.append(head)

    def on_ephemeral(self, publication: EphemeralPublication) -> None:
        self.told.append(publication)

    def on_moving(self) -> None:
        self.moves += 1

    def on_lost(self, link: OwnerLink) -> None:
        self.lost.append(link)
        for lane in self.lanes.values():
            lane.lost(link)

    def _compare(self) -> None:
        for lane in self.lanes.values():
            lane.compare(self.book.of(lane.partition_id))


@asynccontextmanager
async def office(
    table: Table, process: str = "gateway", *, links: Links = QUICK, key: bytes = KEY
) -> AsyncIterator[Office]:
    """Give an office that pings its owners, and close it as a client does."""
    given = Office(table, process, links, key)

    async def beat() -> None:
        while True:
            await given.clock.sleep(links.ping_s)
            given.exchange.beat()

    given.tasks.spawn("beat", beat())
    try:
        yield given
    finally:
        given.exchange.close()
        for lane in given.lanes.values():
            lane.abandon()
        await given.tasks.close()

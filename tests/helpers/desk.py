"""A partition that runs over a real database, and somebody who hears what it commits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from actors.streams.partition import StreamPartition
from adapters.clock import SystemClock
from adapters.postgres.commit import CommitConnection
from adapters.schemas import load_catalog
from core.streams.command import Command
from core.streams.event import EphemeralPublication, Event, LiveBatch
from core.streams.outcome import Outcome
from settings import Log
from tests.helpers.owners import SCHEMAS

CATALOG = load_catalog(SCHEMAS)
WAITING = """
    SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()
"""


class Hall:
    """Hears what is committed; notes for each command that it had its answer before anybody heard of it."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.ephemeral: list[EphemeralPublication] = []
        self.unanswered: dict[bytes, asyncio.Future[Outcome]] = {}

    def on_live(self, batch: LiveBatch) -> None:
        self.events += batch.events
        assert all(self.unanswered[event.id].done() for event in batch.events if event.id in self.unanswered)

    def on_ephemeral(self, publication: EphemeralPublication) -> None:
        self.ephemeral.append(publication)


class Desk:
    """A partition that runs, its hall, and a connection beside it."""

    def __init__(self, partition: StreamPartition, hall: Hall, admin: asyncpg.Connection) -> None:
        self.partition = partition
        self.hall = hall
        self.admin = admin
        self.running: asyncio.Task[None] | None = None

    def start(self) -> asyncio.Task[None]:
        self.running = asyncio.create_task(self.partition.run())
        return self.running

    def submit(self, one: Command, source: object = "link") -> asyncio.Future[Outcome]:
        future = self.partition.submit(one, source)
        self.hall.unanswered[one.event_id] = future
        return future

    async def seqs_in_log(self) -> list[int]:
        rows = await self.admin.fetch("SELECT seq FROM events ORDER BY organization_id, seq")
        return [row["seq"] for row in rows]

    async def until_it_waits(self, backends: int = 1) -> None:
        """Return once an append waits for a lock, or so many do."""
        async with asyncio.timeout(10):
            while await self.admin.fetchval(WAITING) < backends:
                await self.admin.execute("SELECT pg_stat_clear_snapshot()")  # a transaction looks only once
                await asyncio.sleep(0.01)


def partition_of(
    database_url: str, hall: Hall, *, owner: str = "owner", log: Log | None = None
) -> StreamPartition:
    settings = log or Log()
    return StreamPartition(
        0,
        owner,
        "127.0.0.1:1",
        lambda: CommitConnection.open(database_url, deadline_s=settings.commit_deadline_s),
        settings,
        CATALOG,
        SystemClock(),
        hall,
    )


@asynccontextmanager
async def desk(database_url: str, *, log: Log | None = None, starts: bool = True) -> AsyncIterator[Desk]:
    """Give a partition that was taken; it runs unless it is to be started later."""
    hall = Hall()
    partition = partition_of(database_url, hall, log=log)
    admin = await asyncpg.connect(database_url)
    given = Desk(partition, hall, admin)
    try:
        assert await partition.open()
        if starts:
            given.start()
        yield given
    finally:
        partition.stop()
        await asyncio.wait({given.running or given.start()})
        await admin.close()

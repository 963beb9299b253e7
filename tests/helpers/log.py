"""Organizations, events and appends for tests that write to a log without its owner."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from adapters.entropy import SystemEntropy
from adapters.postgres.codec import to_date
from adapters.postgres.commit import Appended, CommitConnection
from adapters.postgres.maintenance import PARENTS
from adapters.postgres.pool import Database
from adapters.postgres.queries import statements
from core.instants import DAY, Instant, day_number
from core.streams.append import Append, KeyRow, ResourceRow, StreamMove
from core.streams.event import PUBLICATION_CREATED, Event

EPOCH = "kQzVbRtp"
OWNER = "streams-1"
ADDRESS = "127.0.0.1:4000"

_entropy = SystemEntropy()


def new_id() -> bytes:
    return _entropy.id()


def now() -> Instant:
    return Instant(time.time_ns() // 1000)


async def make_organization(url: str, partition_id: int = 0) -> bytes:
    """Return the id of a new organization with an empty log."""
    organization_id = new_id()
    row = uuid.UUID(bytes=organization_id)
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            "INSERT INTO organizations (organization_id, name, token_secret_sealed) VALUES ($1, 'Test', '')",
            row,
        )
        await connection.execute(
            "INSERT INTO stream_heads (organization_id, partition_id, epoch) VALUES ($1, $2, $3)",
            row,
            partition_id,
            EPOCH,
        )
    finally:
        await connection.close()
    return organization_id


@asynccontextmanager
async def database_at(url: str, connections_max: int = 4) -> AsyncIterator[Database]:
    database = await Database.open(url, connections_max)
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def commit_connection(
    url: str, *, deadline_s: float = 5.0, lock_timeout_s: float = 2.0
) -> AsyncIterator[CommitConnection]:
    connection = await CommitConnection.open(url, deadline_s=deadline_s, lock_timeout_s=lock_timeout_s)
    try:
        yield connection
    finally:
        await connection.close()


class LogWriter:
    """Appends to one organization's log as its owner would, with numbers of its own."""

    def __init__(self, organization_id: bytes, *, days_back: int = 0) -> None:
        self.organization_id = organization_id
        self.at = Instant(now() - days_back * DAY)
        self.seq = 0
        self.offsets: dict[str, int] = {}

    def event(self, *channels: str, data: bytes = b'{"text":"hi"}', type: str = PUBLICATION_CREATED) -> Event:  # noqa: A002 (the event's own name)
        """Return the next event, numbered in each of its channels."""
        self.seq += 1
        for channel in channels:
            self.offsets[channel] = self.offsets.get(channel, 0) + 1
        entries = tuple((channel, self.offsets[channel]) for channel in channels)
        return Event(self.seq, new_id(), type, self.at, data, entries)

    def batch(self, *events: Event, keys: tuple[KeyRow, ...] = ()) -> Append:
        """Return the append of events that were just made."""
        day = day_number(self.at)
        first, last = events[0].seq, events[-1].seq
        return Append(
            streams=[StreamMove(self.organization_id, first - 1, last, day)],
            channels={(self.organization_id, c): o for event in events for c, o in event.entries},
            events=[(self.organization_id, day, event) for event in events],
            keys=[(day, key) for key in keys],
        )

    async def write(self, url: str, *events: Event) -> None:
        """Append in one batch, as whoever owns the partition now."""
        async with commit_connection(url) as connection:
            taken = await connection.take(0, OWNER, ADDRESS, 10)
            assert taken is not None
            assert await connection.append(0, taken.epoch, self.batch(*events)) == Appended()


def resource(
    organization_id: bytes, kind: str, data: bytes, external_id: str = "", created_at: int = 0
) -> ResourceRow:
    at = Instant(created_at or now())
    return ResourceRow(organization_id, kind, new_id(), external_id, data, 1, at, at)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Return once the condition holds; fail after 10 s."""
    async with asyncio.timeout(10):
        while not await condition():  # noqa: ASYNC110 (what is waited for happens in the database)
            await asyncio.sleep(0.01)


async def until_waiting(connection: Any) -> None:
    """Return once another session waits for a lock."""
    query = """
        SELECT count(*) > 0 FROM pg_stat_activity
         WHERE wait_event_type = 'Lock' AND datname = current_database()
    """
    await until(lambda: connection.fetchval(query))


async def make_days(url: str, *days_back: int) -> None:
    """Make the tables of days that lie back, which maintenance would not make any more."""
    template = statements("maintenance")["make_day_table"]
    today = day_number(now())
    async with database_at(url, 1) as database:
        for back in days_back:
            day, after = to_date(today - back), to_date(today - back + 1)
            for parent in PARENTS:
                name = f"{parent}_{day:%Y%m%d}"
                await database.execute(template.format(name=name, parent=parent, first=day, last=after))

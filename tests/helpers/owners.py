"""A real owner over a real database, joined as a single process joins them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from actors.streams.owner import StreamOwner
from adapters.clock import SystemClock
from adapters.entropy import SystemEntropy
from adapters.postgres.commit import CommitConnection
from adapters.postgres.pool import Database
from adapters.postgres.streams import RouteReader
from adapters.schemas import load_catalog
from core.streams.command import Command, Operation, Publish
from settings import Log

SCHEMAS = Path(__file__).parents[2] / "schemas"
ENTROPY = SystemEntropy()


@asynccontextmanager
async def owner_of(
    database_url: str,
    *,
    name: str = "owner",
    partitions: frozenset[int] = frozenset({0}),
    settings: Log | None = None,
    schemas: Path = SCHEMAS,
) -> AsyncIterator[StreamOwner]:
    """Give an open owner of the partitions."""
    database = await Database.open(database_url, 2)
    log = settings or Log()
    owner = StreamOwner(
        name,
        "",
        RouteReader(database),
        lambda: CommitConnection.open(database_url, deadline_s=log.commit_deadline_s),
        log,
        load_catalog(schemas),
        SystemClock(),
    )
    await owner.open(set(partitions))
    try:
        yield owner
    finally:
        await owner.close()
        await database.close()


def command(
    organization_id: bytes, operation: Operation, *, key: str = "", fingerprint: bytes = b"f"
) -> Command:
    """Return a command with a new event id and ten seconds left."""
    return Command(organization_id, ENTROPY.id(), operation, 10_000, key, fingerprint if key else b"")


def publish(organization_id: bytes, channel: str, data: bytes = b"{}", *, key: str = "") -> Command:
    """Return a command that publishes to one channel."""
    return command(organization_id, Publish((channel,), data), key=key)

"""Reading the log, and finding out who writes it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from adapters.postgres.codec import Page, event_of, from_timestamp, from_uuid, page_of, to_uuid
from adapters.postgres.pool import Database
from adapters.postgres.queries import statements
from core.errors import Code, TidingsError
from core.instants import Instant
from core.streams.event import Event

BYTES_MAX: Final = 2**62


@dataclass(frozen=True, slots=True)
class StreamHead:
    """Where a stream stands in the database: not announced, so nothing may be shown up to it (rule R5)."""

    epoch: str
    last_seq: int
    partition_id: int


@dataclass(frozen=True, slots=True)
class Route:
    """Who owns a partition under which epoch, and where its link listens. Empty: nobody at the moment."""

    partition_id: int
    owner: str
    address: str
    epoch: int


class LogReader:
    """Reads events of one organization at a time, never past the announced head that the caller names.

    Events older than the retention are hidden, whether their day was dropped or not; the database's clock
    decides. An event is visible for `retention_days` at least, and for less than a day more.
    """

    def __init__(self, database: Database, *, retention_days: int) -> None:
        self._database = database
        self._retention_days = retention_days
        self._sql = statements("streams")

    async def stream_head(self, organization_id: bytes) -> StreamHead:
        """Return the stream of an organization.

        Raises:
            TidingsError: `not_found`, there is no such organization.
        """
        row = await _stream_head(self._database, organization_id)
        return StreamHead(row["epoch"], row["last_seq"], row["partition_id"])

    async def events(
        self,
        organization_id: bytes,
        *,
        after_seq: int,
        up_to_seq: int,
        limit: int,
        types: Sequence[str] = (),
        bytes_max: int = BYTES_MAX,
    ) -> list[Event]:
        """Return the events of a page, as `page` does."""
        page = await self.page(
            organization_id,
            after_seq=after_seq,
            up_to_seq=up_to_seq,
            limit=limit,
            types=types,
            bytes_max=bytes_max,
        )
        return page.events

    async def page(
        self,
        organization_id: bytes,
        *,
        after_seq: int,
        up_to_seq: int,
        limit: int,
        types: Sequence[str] = (),
        bytes_max: int = BYTES_MAX,
    ) -> Page:
        """Return at most `limit` events after `after_seq` and not above `up_to_seq`, oldest first.

        Without `types` the list is contiguous from its first event on; it begins after `after_seq + 1` only
        when what lies between is past its retention. A type `a.*` stands for all that begin with `a.`. With
        `bytes_max`, no event is added after that many bytes of data and envelopes.
        """
        where = (
            to_uuid(organization_id),
            *(after_seq, up_to_seq, limit, bytes_max, self._retention_days),
        )
        if types:
            exact = [name for name in types if not name.endswith(".*")]
            prefixes = [_like(name[:-1]) + "%" for name in types if name.endswith(".*")]
            rows = await self._database.fetch(self._sql["events_after_of_types"], *where, exact, prefixes)
        else:
            rows = await self._database.fetch(self._sql["events_after"], *where)
        return page_of(rows)

    async def first_seq(self, organization_id: bytes) -> int | None:
        """Return the oldest `seq` that can be read, or None when nothing can."""
        first: int | None = await self._database.fetchval(
            self._sql["first_seq"], to_uuid(organization_id), self._retention_days
        )
        return first

    async def event(self, organization_id: bytes, event_id: bytes) -> Event | None:
        """Return one event by its id, or None when the log does not hold it or it is past its retention."""
        row = await self._database.fetchrow(
            self._sql["visible_event_by_id"],
            to_uuid(organization_id),
            to_uuid(event_id),
            self._retention_days,
        )
        return None if row is None else event_of(row)


class RouteReader:
    """Tells which partition writes an organization, and where its owner listens."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = statements("streams")

    async def partition_of(self, organization_id: bytes) -> int:
        """Return the partition of an organization; it never changes.

        Raises:
            TidingsError: `not_found`, there is no such organization.
        """
        partition_id: int = (await _stream_head(self._database, organization_id))["partition_id"]
        return partition_id

    async def orphans(self) -> list[int]:
        """Return the partitions whose owner has let its lease run out, by the database's clock."""
        rows = await self._database.fetch(self._sql["orphans"])
        return [row["partition_id"] for row in rows]

    async def routes(self) -> list[Route]:
        """Return every partition's present owner."""
        rows = await self._database.fetch(self._sql["routes"])
        return [Route(r["partition_id"], r["owner"] or "", r["address"] or "", r["epoch"]) for r in rows]


@dataclass(frozen=True, slots=True)
class PartitionStatus:
    """One partition, for people. `lease_left_s` below zero: nobody renews it."""

    route: Route
    lease_left_s: float
    organizations: int
    events: int


class StatusReader:
    """Tells an operator where the log stands, over all organizations."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = statements("streams")

    async def partitions(self) -> list[PartitionStatus]:
        """Return every partition."""
        rows = await self._database.fetch(self._sql["partition_status"])
        return [
            PartitionStatus(
                Route(r["partition_id"], r["owner"] or "", r["address"] or "", r["epoch"]),
                r["lease_left_s"],
                r["organizations"],
                r["events"],
            )
            for r in rows
        ]

    async def now(self) -> Instant:
        """Return the database's clock."""
        return from_timestamp(await self._database.fetchval(self._sql["now"]))

    async def busiest(self, limit: int) -> list[tuple[bytes, int]]:
        """Return the organizations with the longest logs, and the `seq` that the database stands at."""
        rows = await self._database.fetch(self._sql["busiest_streams"], limit)
        return [(from_uuid(row["organization_id"]), row["last_seq"]) for row in rows]


async def _stream_head(database: Database, organization_id: bytes) -> Any:
    row = await database.fetchrow(statements("streams")["stream_head"], to_uuid(organization_id))
    if row is None:
        raise TidingsError(Code.NOT_FOUND)
    return row


def _like(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")

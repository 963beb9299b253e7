"""Reading channels: where they stand, and what stands in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from adapters.postgres.coalesced import Coalesced
from adapters.postgres.codec import event_of, to_date, to_uuid
from adapters.postgres.pool import Database
from adapters.postgres.queries import statements
from adapters.telemetry.tasks import Tasks
from core.instants import day_number
from core.ports import Clock
from core.streams.event import Event


@dataclass(frozen=True, slots=True)
class ChannelHead:
    """A channel up to an announced head: its newest offset (0: none).

    And the oldest that can be read (newest + 1: none).
    """

    first_offset: int
    last_offset: int


EMPTY = ChannelHead(1, 0)


class ChannelReader:
    """Reads channels of one organization at a time, never past the announced head that the caller names."""

    def __init__(self, database: Database, clock: Clock, tasks: Tasks, retention_days: int) -> None:
        self._database = database
        self._clock = clock
        self._retention_days = retention_days
        self._sql = statements("channels")
        self._heads: Coalesced[tuple[bytes, int, str], ChannelHead] = Coalesced(self._read_heads, tasks)

    def _oldest_day(self) -> Any:
        return to_date(day_number(self._clock.now()) - self._retention_days)

    async def head(self, organization_id: bytes, channel: str, *, up_to_seq: int) -> ChannelHead:
        """Return where a channel stands; entries above `up_to_seq` do not count.

        Calls of the same tick for the same organization and head share one statement.
        """
        return await self._heads.get((organization_id, up_to_seq, channel)) or EMPTY

    async def _read_heads(
        self, keys: Sequence[tuple[bytes, int, str]]
    ) -> dict[tuple[bytes, int, str], ChannelHead]:
        groups: dict[tuple[bytes, int], list[str]] = {}
        for organization_id, up_to_seq, channel in keys:
            groups.setdefault((organization_id, up_to_seq), []).append(channel)
        found = {}
        for (organization_id, up_to_seq), channels in groups.items():
            rows = await self._database.fetch(
                self._sql["channel_heads"], to_uuid(organization_id), channels, up_to_seq, self._oldest_day()
            )
            for row in rows:
                last = row["last_offset"] - row["above"]
                first = row["first_offset"]
                head = ChannelHead(last + 1 if first is None or first > last else first, last)
                found[organization_id, up_to_seq, row["channel"]] = head
        return found

    async def publications(
        self, organization_id: bytes, channel: str, *, after_offset: int, up_to_seq: int, limit: int
    ) -> list[Event]:
        """Return at most `limit` events of a channel after `after_offset`, oldest first.

        Contiguous by offset.
        """
        rows = await self._database.fetch(
            self._sql["publications_after"],
            to_uuid(organization_id),
            channel,
            after_offset,
            up_to_seq,
            limit,
            self._oldest_day(),
        )
        return [event_of(row) for row in rows]

    async def publications_before(
        self, organization_id: bytes, channel: str, *, before_offset: int, up_to_seq: int, limit: int
    ) -> list[Event]:
        """Return at most `limit` events of a channel before `before_offset`, newest first."""
        rows = await self._database.fetch(
            self._sql["publications_before"],
            to_uuid(organization_id),
            channel,
            before_offset,
            up_to_seq,
            limit,
            self._oldest_day(),
        )
        return [event_of(row) for row in rows]

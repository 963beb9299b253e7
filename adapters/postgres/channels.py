"""Reading channels: where they stand, and what stands in them."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from adapters.postgres.coalesced import Coalesced
from adapters.postgres.codec import Page, from_uuid, page_of, to_uuid
from adapters.postgres.pool import Database
from adapters.postgres.queries import statements
from adapters.telemetry.tasks import Tasks
from core.channels.namespace import Options
from core.channels.visible import Stored, Visible, visible

OFFSET_MAX: Final = 2**62
BYTES_MAX: Final = 2**62

HeadKey = tuple[bytes, str, int, bool]
"""(organization id, channel, announced head, whether its age and what was removed of it are wanted)."""


@dataclass(frozen=True, slots=True)
class ChannelHead:
    """A channel up to an announced head.

    `last_offset` is its newest offset, 0 when nothing was ever published; `first_offset` the oldest that can
    still be read, `last_offset + 1` when none can.
    """

    first_offset: int
    last_offset: int


EMPTY: Final = ChannelHead(1, 0)
NOTHING_STORED: Final = Stored(1, 0)


class ChannelReader:
    """Reads channels of one organization at a time, never past the announced head that the caller names.

    Entries older than the retention are hidden, whether their day was dropped or not; the database's clock
    decides.
    """

    def __init__(self, database: Database, *, retention_days: int) -> None:
        self._database = database
        self._retention_days = retention_days
        self._sql = statements("channels")
        self._tasks = Tasks("channels")
        self._heads: Coalesced[HeadKey, Stored] = Coalesced(self._read_heads, self._tasks)

    async def heads(
        self, organization_id: bytes, channels: Iterable[str], *, up_to_seq: int
    ) -> dict[str, ChannelHead]:
        """Return where each of the channels stands; entries above `up_to_seq` do not count.

        A channel in which nothing was published stands at `EMPTY`. Calls of one tick share a statement,
        whatever organization they are for.
        """
        names = list(dict.fromkeys(channels))
        found = await asyncio.gather(*(self.head(organization_id, n, up_to_seq=up_to_seq) for n in names))
        return dict(zip(names, found, strict=True))

    async def head(self, organization_id: bytes, channel: str, *, up_to_seq: int) -> ChannelHead:
        """Return where one channel stands, as `heads` does."""
        stored = await self._heads.get((organization_id, channel, up_to_seq, False))
        return EMPTY if stored is None else ChannelHead(stored.first_offset, stored.last_offset)

    async def visible(
        self, organization_id: bytes, channel: str, options: Options, *, up_to_seq: int
    ) -> Visible:
        """Return what the channel's options show of it; entries above `up_to_seq` do not count.

        Says the same of `last_offset` as `head`. Calls of one tick share a statement with each other and
        with those for heads.
        """
        stored = await self._heads.get((organization_id, channel, up_to_seq, True))
        return visible(options, stored or NOTHING_STORED)

    async def _read_heads(self, keys: Sequence[HeadKey]) -> dict[HeadKey, Stored]:
        rows = await self._database.fetch(
            self._sql["channel_heads"],
            [to_uuid(organization_id) for organization_id, _, _, _ in keys],
            [channel for _, channel, _, _ in keys],
            [up_to_seq for _, _, up_to_seq, _ in keys],
            [with_age for _, _, _, with_age in keys],
            self._retention_days,
        )
        found = {}
        for organization_id, channel, up_to_seq, with_age, last, first, removed, age_s in rows:
            stored = Stored(last + 1 if first is None else first, last, removed, age_s)
            found[from_uuid(organization_id), channel, up_to_seq, with_age] = stored
        return found

    async def page(
        self,
        organization_id: bytes,
        channel: str,
        *,
        after_offset: int = 0,
        before_offset: int = OFFSET_MAX,
        up_to_seq: int,
        limit: int,
        bytes_max: int = BYTES_MAX,
        reverse: bool = False,
    ) -> Page:
        """Return the events of a channel: after `after_offset`, oldest first, or else newest first.

        Contiguous by offset from the first one on. At most `limit`, and never so many that all but the last
        hold `bytes_max` bytes: a page may be short without being the last, so go on while it has more.

        Args:
            organization_id: whose channel.
            channel: its name.
            after_offset: forward: those above it.
            before_offset: with `reverse`: those below it.
            up_to_seq: the announced head; nothing above it is returned.
            limit: most events.
            bytes_max: bytes of data and envelopes after which no further event is added.
            reverse: newest first, down from `before_offset`.
        """
        rows = await self._database.fetch(
            self._sql["publications_before" if reverse else "publications_after"],
            to_uuid(organization_id),
            channel,
            before_offset if reverse else after_offset,
            up_to_seq,
            limit,
            bytes_max,
            self._retention_days,
        )
        return page_of(rows)


class ChannelFloors:
    """Takes what channels hold out of sight; the log itself keeps it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = statements("channels")

    async def remove(self, organization_id: bytes, channel: str, *, up_to_offset: int) -> None:
        """Hide the publications up to this offset from `ChannelReader.visible`, for good.

        Durable when it returns; idempotent; a lower offset than before changes nothing.
        """
        await self._database.execute(
            self._sql["raise_floor"], to_uuid(organization_id), channel, up_to_offset
        )

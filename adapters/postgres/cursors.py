"""How far users are in channels: what reached them, what they have read, and what is left to read."""

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from uuid import UUID

from adapters.postgres.coalesced import Coalesced
from adapters.postgres.codec import from_timestamp, from_uuid, to_uuid
from adapters.postgres.pool import Database
from adapters.postgres.queries import statements
from adapters.telemetry.tasks import Tasks
from core.errors import Code, TidingsError
from core.instants import Instant

BATCH_MAX: Final = 500
"""Acknowledgements in one statement."""
WAITING_MAX: Final = 5_000
"""Of one organization in one process; past it they are refused, so that others' are not held up by them."""
SWEEP_PAGE: Final = 5_000
"""Cursors that one statement of a sweep looks at."""


class Acknowledgement(NamedTuple):
    """What a user says of a channel: up to which offset it was delivered, and read. Read means delivered."""

    organization_id: bytes
    channel: str
    user: str
    delivered: int
    read: int


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a user is in a channel.

    `unread`: publications above `read_offset` that can still be read. `updated_at`: when it last moved; None
    when it never did.
    """

    channel: str
    user: str
    delivered_offset: int
    read_offset: int
    unread: int
    updated_at: Instant | None


_Waiting = tuple[Acknowledgement, asyncio.Future[Cursor | None]]
_Key = tuple[bytes, str, str]


class CursorStore:
    """Reads and moves cursors. They never go back, but begin at 0 again with the stream's epoch.

    Channels and users are texts without control characters: the database has no place for some of these.
    """

    def __init__(self, database: Database, *, retention_days: int) -> None:
        self._database = database
        self._retention_days = retention_days
        self._sql = statements("cursors")
        self._tasks = Tasks("cursors")
        self._found: Coalesced[_Key, Cursor] = Coalesced(self._find, self._tasks)
        self._waiting: deque[_Waiting] = deque()
        self._waiting_of: Counter[bytes] = Counter()
        self._is_writing = False

    async def acknowledge(self, acknowledgement: Acknowledgement) -> Cursor | None:
        """Move a cursor and return where it stands then; None: the channel does not have that offset yet.

        Durable when it returns; idempotent. What comes while a statement is on its way shares the next one,
        whoever it is from. An offset of 0 moves nothing and makes nothing.

        Raises:
            TidingsError: `capacity_reduced`, too many of this organization wait; `unavailable`.
        """
        organization_id, channel, user, delivered, read = acknowledgement
        if not max(delivered, read):
            return await self.find(organization_id, channel, user)
        if self._waiting_of[organization_id] >= WAITING_MAX:
            raise TidingsError(Code.CAPACITY_REDUCED)
        settled: asyncio.Future[Cursor | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((acknowledgement, settled))
        self._waiting_of[organization_id] += 1
        if not self._is_writing:
            self._is_writing = True
            self._tasks.spawn("acknowledge", self._write())  # in the next turn: the rest of this one joins
        return await settled

    async def find(self, organization_id: bytes, channel: str, user: str) -> Cursor | None:
        """Return where a user stands, at 0 without any acknowledgement; None: no such organization."""
        return await self._found.get((organization_id, channel, user))

    async def of_channel(self, organization_id: bytes, channel: str, after: str, limit: int) -> list[Cursor]:
        """Return those who have acknowledged anything in a channel, behind a user, by their bytes."""
        return await self._page("cursors_of_channel", organization_id, channel, after, limit)

    async def of_user(self, organization_id: bytes, user: str, after: str, limit: int) -> list[Cursor]:
        """Return the channels in which a user has acknowledged anything, behind a channel, by name."""
        return await self._page("cursors_of_user", organization_id, user, after, limit)

    async def _page(
        self, statement: str, organization_id: bytes, name: str, after: str, limit: int
    ) -> list[Cursor]:
        rows = await self._database.fetch(
            self._sql[statement], to_uuid(organization_id), name, after, limit, self._retention_days
        )
        return [_cursor_of(row["channel"], row["user"], row) for row in rows]

    async def _find(self, keys: Sequence[_Key]) -> dict[_Key, Cursor]:
        rows = await self._database.fetch(
            self._sql["cursors"],
            [to_uuid(organization_id) for organization_id, _, _ in keys],
            [channel for _, channel, _ in keys],
            [user for _, _, user in keys],
            self._retention_days,
        )
        return {
            (from_uuid(row["organization_id"]), row["channel"], row["user"]): _cursor_of(
                row["channel"], row["user"], row
            )
            for row in rows
        }

    async def _write(self) -> None:
        try:
            while self._waiting:
                size = min(BATCH_MAX, len(self._waiting))
                await self._write_batch([self._waiting.popleft() for _ in range(size)])
        finally:
            self._is_writing = False

    async def _write_batch(self, batch: list[_Waiting]) -> None:
        self._waiting_of -= Counter(asked.organization_id for asked, _ in batch)
        try:
            moved = await self._move([asked for asked, _ in batch])
        except Exception as error:  # noqa: BLE001 (whatever it is belongs to every caller who waits)
            for _, settled in batch:
                if not settled.done():
                    settled.set_exception(error)
            return
        for (_, settled), cursor in zip(batch, moved, strict=True):
            if not settled.done():
                settled.set_result(cursor)

    async def _move(self, asked: list[Acknowledgement]) -> list[Cursor | None]:
        async with self._database.transaction() as connection:
            rows = await connection.fetch(
                self._sql["acknowledge"],
                [to_uuid(one.organization_id) for one in asked],
                [one.channel for one in asked],
                [one.user for one in asked],
                [one.delivered for one in asked],
                [one.read for one in asked],
                self._retention_days,
            )
        moved: list[Cursor | None] = [None] * len(asked)
        for row in rows:
            if row["exists"]:
                place = row["place"] - 1
                moved[place] = _cursor_of(asked[place].channel, asked[place].user, row)
        return moved


def _cursor_of(channel: str, user: str, row: Any) -> Cursor:
    at = row["updated_at"]
    return Cursor(
        channel,
        user,
        row["delivered_offset"],
        row["read_offset"],
        row["unread"],
        None if at is None else from_timestamp(at),
    )


async def sweep_cursors(database: Database, *, retention_days: int, page: int = SWEEP_PAGE) -> None:
    """Delete what counts like no cursor: nothing of its channel can be read any more, or its epoch is over.

    At any time, and by several processes; page by page, so that no statement takes long.
    """
    statement = statements("cursors")["sweep"]
    place: tuple[Any, ...] | None = (UUID(int=0), "", "")
    while place is not None:
        async with database.transaction() as connection:
            place = await connection.fetchrow(statement, *place, page, retention_days)

"""Reads who is where, as the replicas have written it down."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

import msgspec

from adapters.redis.client import CONNECTIONS_MAX, TIMEOUT_S, Cache, CacheError, Command
from adapters.redis.entries import (
    ALIVE,
    CLIENTS,
    LOST,
    USERS,
    channel_key,
    client_field,
    clients_key,
    held_field,
    index_key,
    unpack,
)
from core.channels.pattern import beginning, matcher
from core.connections.frames import PresenceCount
from core.errors import Code, TidingsError
from core.ports import Clock
from core.streams.event import ClientInfo
from settings import Presence

MEMBER_BYTES: Final = 100
"""What a member takes in any list besides its texts."""
HIDDEN: Final = "\x00"
"""What begins with it is counted like a channel, and is none."""
BEHIND_HIDDEN: Final = "\x01"
"""Names in their order begin with it at the earliest, but for the hidden ones."""
PAGE: Final = 1_000
"""Names that are read at a time."""
PAGES_MAX: Final = 20
"""Of channels that are looked at for one answer, whether they fit a pattern or not."""
QUESTIONS_MAX: Final = CONNECTIONS_MAX // 4
"""Of one organization at a time; more wait for one to end, and others' do not wait for them."""
LOST_S: Final = 1.0
"""How long the replicas that were found lost are believed to be the only ones."""

_JSON: Final = msgspec.json.Encoder()


class Members(NamedTuple):
    """Some of those in a channel, and where the next page begins ("": nowhere)."""

    clients: dict[str, ClientInfo]
    next_cursor: str


class Occupied(NamedTuple):
    """Some occupied channels with how many clients each has, and where the next page begins ("": nowhere)."""

    channels: dict[str, int]
    next_cursor: str


class PresenceReader:
    """Who is in which channel of an organization, on whatever replica.

    Sees everything whose `enter` or `leave` was acknowledged before the call. What a lost replica left behind
    is not shown from the moment on that its silence counts; only the number of users is exact again when it
    has been swept. Every method raises `TidingsError`, `unavailable`, when the cache does not answer.
    """

    def __init__(self, cache: Cache, settings: Presence, clock: Clock) -> None:
        self._cache = cache
        self._silence_ms = settings.silence_s * 1000
        self._clock = clock
        self._lost: frozenset[str] = frozenset()
        self._lost_until_s = 0.0
        self._turns: dict[bytes, asyncio.Semaphore] = {}
        self._askers: Counter[bytes] = Counter()

    async def members(
        self, organization_id: bytes, channel: str, *, limit: int, bytes_max: int, cursor: str = ""
    ) -> Members:
        """Return those in a channel, at most `limit`, whose list takes about `bytes_max` in JSON.

        Args:
            organization_id: whose channel it is.
            channel: its name.
            limit: the most members; there may be fewer, even though a page follows.
            bytes_max: the most bytes.
            cursor: the `next_cursor` of the page before. Page by page, whoever is there from the first to the
                last is given once.
        """
        async with self._turn(organization_id):
            return await self._members(organization_id, channel, limit, bytes_max, cursor)

    async def _members(
        self, organization_id: bytes, channel: str, limit: int, bytes_max: int, cursor: str
    ) -> Members:
        lost, page = await self.lost_tags(), min(limit + 1, PAGE)
        found: dict[str, ClientInfo] = {}
        while True:
            clients = await self._names(clients_key(organization_id, channel), cursor, "", page)
            for client, info in await self._entered(organization_id, channel, clients, lost):
                bytes_max -= _size_of(info)
                if len(found) == limit or (found and bytes_max < 0):
                    return Members(found, next(reversed(found)))
                found[client] = info
            if len(clients) < page:
                return Members(found, "")
            cursor = clients[-1]

    async def _entered(
        self, organization_id: bytes, channel: str, clients: Sequence[str], lost: frozenset[str]
    ) -> list[tuple[str, ClientInfo]]:
        if not clients:
            return []
        fields = map(client_field, clients)
        (packed,) = await self._ask([("HMGET", channel_key(organization_id, channel), *fields)])
        entries = [unpack(client, entry) for client, entry in zip(clients, packed, strict=True) if entry]
        return [(entry.info.client, entry.info) for entry in entries if entry.tag not in lost]

    async def count(self, organization_id: bytes, channel: str) -> PresenceCount:
        """Return how many are in a channel; costs the same however many they are."""
        key = channel_key(organization_id, channel)
        async with self._turn(organization_id):
            lost = sorted(await self.lost_tags())
            fields = (CLIENTS, USERS, *map(held_field, lost))
            (counts,) = await self._ask([("HMGET", key, *fields)])
        clients, users, *gone = (int(count or 0) for count in counts)
        clients -= sum(gone)
        return PresenceCount(clients, min(users, clients))

    async def channels(
        self, organization_id: bytes, pattern: str = "", *, limit: int, cursor: str = ""
    ) -> Occupied:
        """Return channels in which anybody is, by name, with their numbers of clients.

        Args:
            organization_id: whose channels they are.
            pattern: that their names fit (`core.channels.pattern`).
            limit: the most channels; there may be fewer, even though a page follows.
            cursor: the `next_cursor` of the page before.
        """
        async with self._turn(organization_id):
            return await self._channels(organization_id, pattern, limit, cursor)

    async def _channels(self, organization_id: bytes, pattern: str, limit: int, cursor: str) -> Occupied:
        fits, begin = matcher(pattern), beginning(pattern)
        found: dict[str, int] = {}
        for _ in range(PAGES_MAX):
            names = await self._names(index_key(organization_id), cursor, begin, PAGE)
            mine = [name for name in names if name.startswith(begin)]
            shown = [name for name in mine if fits(name) and not name.startswith(HIDDEN)]
            counts = await self._counts(organization_id, shown)
            for name, clients in counts.items():
                if len(found) == limit:
                    return Occupied(found, next(reversed(found)))
                if clients > 0:
                    found[name] = clients
            if len(mine) < PAGE:
                return Occupied(found, "")
            cursor = mine[-1]
        return Occupied(found, cursor)

    async def _names(self, key: str, after: str, begin: str, count: int) -> list[str]:
        start = f"({after}" if after else f"[{begin or BEHIND_HIDDEN}"
        (names,) = await self._ask([("ZRANGE", key, start, "+", "BYLEX", "LIMIT", 0, count)])
        return [name.decode() for name in names]

    async def _counts(self, organization_id: bytes, names: Sequence[str]) -> dict[str, int]:
        if not names:
            return {}
        fields = (CLIENTS, *map(held_field, sorted(await self.lost_tags())))
        asked: list[Command] = [("HMGET", channel_key(organization_id, name), *fields) for name in names]
        counts = {}
        for name, (clients, *gone) in zip(names, await self._ask(asked), strict=True):
            counts[name] = int(clients or 0) - sum(int(count or 0) for count in gone)
        return counts

    async def lost_tags(self) -> frozenset[str]:
        """Return the tags whose entries do not count, as they were a second ago at most."""
        now_s = self._clock.monotonic()
        if now_s >= self._lost_until_s:
            time, alive, lost = await self._ask(
                [("TIME",), ("ZRANGE", ALIVE, 0, -1, "WITHSCORES"), ("ZRANGE", LOST, 0, -1)]
            )
            since_ms = int(time[0]) * 1000 + int(time[1]) / 1000 - self._silence_ms
            silent = [tag for tag, at in zip(alive[::2], alive[1::2], strict=True) if float(at) <= since_ms]
            self._lost = frozenset(tag.decode() for tag in (*silent, *lost))
            self._lost_until_s = now_s + LOST_S
        return self._lost

    @asynccontextmanager
    async def _turn(self, organization_id: bytes) -> AsyncIterator[None]:
        """Wait until an organization may ask one more question."""
        turns = self._turns.setdefault(organization_id, asyncio.Semaphore(QUESTIONS_MAX))
        self._askers[organization_id] += 1
        try:
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    await turns.acquire()
            except TimeoutError:
                raise TidingsError(Code.UNAVAILABLE, "Presence is asked for too often.") from None
            try:
                yield
            finally:
                turns.release()
        finally:
            self._askers[organization_id] -= 1
            if not self._askers[organization_id]:
                del self._askers[organization_id], self._turns[organization_id]

    async def _ask(self, commands: Sequence[Command]) -> list[Any]:
        try:
            return await self._cache.run(commands)
        except CacheError as error:
            raise TidingsError(Code.UNAVAILABLE, "Presence can't be read now.") from error


def _size_of(info: ClientInfo) -> int:
    texts = 2 * len(info.client) + len(_JSON.encode(info.user))
    return MEMBER_BYTES + texts + len(info.connection_info) + len(info.channel_info)

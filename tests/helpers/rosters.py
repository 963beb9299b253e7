"""Replicas as far as presence goes: each a roster, and the set of those who are really there."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

from adapters.clock import SystemClock
from adapters.entropy import SystemEntropy
from adapters.redis.client import Cache
from adapters.redis.presence import PresenceReader
from core.connections.frames import PresenceCount
from core.streams.event import ClientInfo
from gateway.realtime.presence import Member, Roster
from settings import Presence
from tests.helpers.cache import Server, cache_of

ORG, OTHER = b"o" * 16, b"x" * 16
QUICK: dict[str, Any] = {"beat_s": 0.1, "silence_s": 0.6, "answer_s": 0.3}
EVERYTHING = 1 << 30


def info_of(client: str, user: str = "", **infos: bytes) -> ClientInfo:
    """Return what others see of a client; by default each is a user of its own."""
    return ClientInfo(user or f"user of {client}", client, **infos)


def nobody_listens(_organization_id: bytes, _channel: str) -> None:
    """Take word of a change, and do nothing."""


class Crowd:
    """A replica and its clients."""

    def __init__(self, cache: Cache, settings: Presence) -> None:
        self.live: dict[tuple[bytes, str, str], ClientInfo] = {}
        self.reentries = 0
        """How often all have been entered again, from the first to the last."""
        self.on_changed: Callable[[bytes, str], None] = nobody_listens
        """Told where others may be counted than before."""
        self.roster = Roster(cache, settings, self._members, self._changed, SystemClock(), SystemEntropy())

    def _changed(self, organization_id: bytes, channel: str) -> None:
        self.on_changed(organization_id, channel)

    def _members(self) -> Iterator[Member]:
        for key in list(self.live):
            if (info := self.live.get(key)) is not None:
                yield Member(key[0], key[1], info)
        self.reentries += 1

    def enter(
        self, client: str, channel: str = "news", *, user: str = "", organization_id: bytes = ORG
    ) -> Awaitable[None]:
        """Let a client come."""
        info = info_of(client, user)
        self.live[organization_id, channel, client] = info
        return self.roster.enter(organization_id, channel, info)

    def leave(self, client: str, channel: str = "news", *, organization_id: bytes = ORG) -> Awaitable[None]:
        """Let a client go."""
        self.live.pop((organization_id, channel, client), None)
        return self.roster.leave(organization_id, channel, client)

    async def kill(self) -> None:
        """End it as `kill -9` does: nothing more is said, and nothing is taken back."""
        await self.roster._tasks.close()  # noqa: SLF001 (a process can't be killed within this one)
        self.live.clear()


@asynccontextmanager
async def crowd_of(server: Server, **settings: Any) -> AsyncIterator[Crowd]:
    """Give a replica that is running."""
    async with cache_of(server) as cache:
        crowd = Crowd(cache, Presence(**{**QUICK, **settings}))
        await crowd.roster.open()
        try:
            yield crowd
        finally:
            await crowd.roster.close()


@asynccontextmanager
async def reader_of(server: Server, **settings: Any) -> AsyncIterator[PresenceReader]:
    """Give a reader as a process has it that has no clients."""
    async with cache_of(server) as cache:
        yield PresenceReader(cache, Presence(**{**QUICK, **settings}), SystemClock())


async def clients_in(
    reader: PresenceReader | Roster, channel: str = "news", organization_id: bytes = ORG
) -> set[str]:
    """Return the ids of those in a channel."""
    page = await reader.members(organization_id, channel, limit=10_000, bytes_max=EVERYTHING)
    assert not page.next_cursor
    return set(page.clients)


def truth_of(crowds: list[Crowd], channel: str = "news", organization_id: bytes = ORG) -> set[str]:
    """Return the ids of those who are really there."""
    return {
        client
        for crowd in crowds
        for organization, name, client in crowd.live
        if (organization, name) == (organization_id, channel)
    }


async def becomes(told: Callable[[], Awaitable[Any]], wanted: Any, *, within_s: float = 5.0) -> None:
    """Return as soon as the answer is the wanted one; fail when it is not by the deadline."""
    deadline = time.monotonic() + within_s
    while (answer := await told()) != wanted:
        assert time.monotonic() < deadline, f"{answer} instead of {wanted}"
        await asyncio.sleep(0.02)


def both(count: int) -> PresenceCount:
    """Return the numbers where each client is a user of its own."""
    return PresenceCount(count, count)

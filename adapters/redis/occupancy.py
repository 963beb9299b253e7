"""What was told last of how many are in each channel, and who may tell it next."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, NamedTuple

from adapters.redis.client import TIMEOUT_S, Cache, Command
from adapters.redis.entries import channel_key
from adapters.redis.presence import PresenceReader
from adapters.redis.scripts import call
from core.channels.occupancy import Level, Watched

ORGANIZATIONS: Final = "tidings:occupancy:{organizations}"
EMPTY_KEPT_MS: Final = 3_600_000
"""For how long it is known of an empty channel that this was told; then it may be told once more."""
PAGE: Final = 100
"""Organizations that are looked through together."""
HINT: Final = 10
"""Channels of each of them in one round trip, about."""

_TELL: Final = -1


class Claim(NamedTuple):
    """What to do about a channel: tell `level`; or ask again after `wait_ms`; or, with 0, nothing."""

    wait_ms: int
    level: Level | None


class OccupancyBoard:
    """Compares what is told with what presence counts, in one step, so that no level is told twice in a row.

    Its loss costs a repetition: what is not known is told again. Every call raises `CacheError`, `claim` also
    `TidingsError`, and may have had its effect then.

    Args:
        cache: Redis or Valkey, the one of presence.
        presence: knows which replicas are lost.
    """

    def __init__(self, cache: Cache, presence: PresenceReader) -> None:
        self._line = cache.line()
        self._presence = presence
        self._turn = asyncio.Lock()

    async def claim(
        self, holder: str, channels: Sequence[Watched], *, interval_ms: int, held_ms: int
    ) -> list[Claim]:
        """Return for each channel what to do about it now.

        A level that is to be told is the caller's alone to tell for `held_ms`: until then it must have called
        `told` or `failed`, or be certain that nothing of it can still take effect. At least `interval_ms` lie
        between two tellings of one channel.
        """
        lost = sorted(await self._presence.lost_tags())
        asked = [
            call("occupancy", _keys(watched), "claim", holder, interval_ms, held_ms, *lost)
            for watched in channels
        ]
        return [
            Claim(max(wait_ms, 0), Level(clients, users) if wait_ms == _TELL else None)
            for wait_ms, clients, users in await self._ask(asked)
        ]

    async def told(self, holder: str, watched: Watched, level: Level) -> None:
        """Note that the claimed level was told."""
        organization_id, channel = watched
        said = call("occupancy", _keys(watched), "told", holder, channel, *level, EMPTY_KEPT_MS)
        await self._ask([("SADD", ORGANIZATIONS, organization_id.hex()), said])

    async def failed(self, holder: str, watched: Watched) -> None:
        """Note that the claimed level was not told, and that somebody else may."""
        await self._ask([call("occupancy", _keys(watched), "failed", holder)])

    async def forget(self, watched: Watched) -> None:
        """Forget what was told of a channel: it is not told of any more."""
        await self._ask([call("occupancy", _keys(watched), "forget", watched[1])])

    async def occupied(self) -> AsyncIterator[list[Watched]]:
        """Yield all channels of which was told that somebody is there, page by page, some of them twice."""
        cursor = b""
        while cursor != b"0":
            ((cursor, names),) = await self._ask([("SSCAN", ORGANIZATIONS, cursor or 0, "COUNT", PAGE)])
            places = {bytes.fromhex(name.decode()): b"" for name in names}
            while places:
                found: list[Watched] = []
                asked: list[Command] = [
                    ("SSCAN", _occupied_key(organization_id), at or 0, "COUNT", HINT)
                    for organization_id, at in places.items()
                ]
                reached = dict(zip(places, await self._ask(asked), strict=True))
                for organization_id, (_, channels) in reached.items():
                    found += [(organization_id, channel.decode()) for channel in channels]
                yield found
                places = {organization_id: at for organization_id, (at, _) in reached.items() if at != b"0"}

    async def _ask(self, commands: Sequence[Command]) -> list[Any]:
        async with self._turn:
            return await self._line.run(commands, TIMEOUT_S)

    async def close(self) -> None:
        """Close the connection."""
        await self._line.close()


def _keys(watched: Watched) -> tuple[str, ...]:
    organization_id, channel = watched
    told = f"tidings:occupancy:{{{organization_id.hex()}}}:channel:{channel}"
    return (told, channel_key(organization_id, channel), _occupied_key(organization_id))


def _occupied_key(organization_id: bytes) -> str:
    return f"tidings:occupancy:{{{organization_id.hex()}}}:channels"

"""What each replica tells of itself: how much of an organization is connected there.

For people who look; nothing is decided by it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from adapters.redis.client import Cache, CacheError, Command
from core.errors import Code, TidingsError
from core.instants import Instant
from core.ports import Clock

SILENCE_S: Final = 30
"""A replica that told nothing for this long is not shown."""
BATCH: Final = 500
"""Organizations in one round trip."""
_SECOND: Final = 1_000_000


class Counts(msgspec.Struct, frozen=True, array_like=True):
    """What one organization has on one replica."""

    clients: int
    users: int
    channels: int
    subscriptions: int


class _Told(msgspec.Struct, frozen=True, array_like=True):
    at: int
    began_at: int
    name: str
    counts: Counts


@dataclass(frozen=True, slots=True)
class Node:
    """A replica, as it last told of itself."""

    uid: str
    name: str
    uptime_s: int
    counts: Counts


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(_Told)


class NodeBoard:
    """Where replicas tell of themselves, and others read it."""

    def __init__(self, cache: Cache, clock: Clock) -> None:
        self._cache = cache
        self._clock = clock

    async def tell(self, uid: str, name: str, began_at: Instant, counts: Mapping[bytes, Counts]) -> None:
        """Write down what a replica has, by organization; to be repeated more often than `SILENCE_S`.

        Organizations that are not named any more are forgotten by themselves.

        Raises:
            CacheError: it may be written in part.
        """
        commands: list[Command] = []
        now = self._clock.now()
        for organization_id, count in counts.items():
            key = _key(organization_id)
            commands.append(("HSET", key, uid, _ENCODER.encode(_Told(now, began_at, name, count))))
            commands.append(("EXPIRE", key, 2 * SILENCE_S))
        for start in range(0, len(commands), 2 * BATCH):
            await self._cache.run(commands[start : start + 2 * BATCH])

    async def leave(self, uid: str, organizations: Iterable[bytes]) -> None:
        """Take a replica that stops off the board.

        Raises:
            CacheError: it may be done in part; the rest is forgotten by itself.
        """
        commands: list[Command] = [("HDEL", _key(organization_id), uid) for organization_id in organizations]
        for start in range(0, len(commands), BATCH):
            await self._cache.run(commands[start : start + BATCH])

    async def nodes(self, organization_id: bytes) -> list[Node]:
        """Return the replicas on which an organization has connections, by their ids.

        Raises:
            TidingsError: `unavailable`.
        """
        try:
            (fields,) = await self._cache.run([("HGETALL", _key(organization_id))])
        except CacheError as error:
            raise TidingsError(Code.UNAVAILABLE, "What replicas told can't be read now.") from error
        now = self._clock.now()
        found = []
        for uid, raw in sorted(zip(fields[::2], fields[1::2], strict=True)):
            told = _DECODER.decode(raw)
            if now - told.at < SILENCE_S * _SECOND:
                uptime_s = max(now - told.began_at, 0) // _SECOND
                found.append(Node(uid.decode(), told.name, uptime_s, told.counts))
        return found


def _key(organization_id: bytes) -> str:
    return f"tidings:nodes:{{{organization_id.hex()}}}"

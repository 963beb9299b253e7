"""What is remembered of connections, as it lies in Redis: written by each replica, read by whoever asks.

Nobody waits for it and nothing is decided by it. What is lost makes an answer `unknown`
(`core.connections.verdict`).
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

from adapters.redis.client import Cache, CacheError, Command, Line
from adapters.redis.scripts import call
from core.connections.journey import Came, Journey, Step, decode_step, encode_step
from core.errors import Code, TidingsError
from core.instants import MICROSECONDS, Instant
from core.ports import Clock
from settings import Journeys

WRITE_S: Final = 2.0
SILENCE_S: Final = 10.0
"""A replica that has told nothing for this long, and three flushes, is silent."""
PAGES_MAX: Final = 20
"""Of names that are looked at for one answer, whether they are still remembered or not."""
TOLD: Final = "tidings:journeys:{replicas}:told"


class Entry(NamedTuple):
    """What is to be added about one connection; `begins`: its first step is `Came`."""

    organization_id: bytes
    user: str
    client: str
    begins: bool
    steps: Sequence[Step]


class JourneyWriter:
    """Writes down what a replica tells.

    Args:
        line: a connection of its own.
        settings: limits.
    """

    def __init__(self, line: Line, settings: Journeys) -> None:
        self._line = line
        self._limits = (
            round(settings.kept_s * 1000),
            settings.connections_max,
            settings.steps_max,
        )
        self._forgotten_us = round(2 * settings.kept_s * MICROSECONDS)

    async def write(self, entries: Sequence[Entry]) -> list[bool]:
        """Add to what is remembered, and say of each whether it was.

        It is not when it goes on and its beginning is not there, or when it begins and there is no room. What
        begins replaces what was known of the connection. Without steps it is only remembered longer.

        Raises:
            CacheError: any of it may be written, or may yet be.
        """
        commands = [
            call(
                "journey",
                _keys(entry.organization_id, entry.client, entry.user),
                *self._limits,
                entry.client,
                int(entry.begins),
                *map(encode_step, entry.steps),
            )
            for entry in entries
        ]
        return [answer == 1 for answer in await self._line.run(commands, WRITE_S)]

    async def tell(self, tag: str, until: Instant) -> bool:
        """Say that under this tag everything that happened until then is written.

        Returns whether anything was known of the tag; if it should have been, the cache was emptied.

        Raises:
            CacheError: it may be said.
        """
        gone = ("ZREMRANGEBYSCORE", TOLD, "-inf", until - self._forgotten_us)
        added, _ = await self._line.run([("ZADD", TOLD, until, tag), gone], WRITE_S)
        return bool(added == 0)

    async def close(self) -> None:
        """Close the connection."""
        await self._line.close()


class Remembered(NamedTuple):
    """Some connections, the newest first, and where the next page begins ("": nowhere)."""

    journeys: list[Journey]
    next_cursor: str


class JourneyReader:
    """Reads what is remembered of an organization's connections.

    Sees what was written before the call. Every method raises `TidingsError`, `unavailable`, when the cache
    does not answer.
    """

    def __init__(self, cache: Cache, settings: Journeys, clock: Clock) -> None:
        self._cache = cache
        self._steps_max = settings.steps_max
        self._silence_us = round((SILENCE_S + 3 * settings.flush_s) * MICROSECONDS)
        self._clock = clock

    async def of_client(self, organization_id: bytes, client: str) -> Journey | None:
        """Return what is remembered of one connection, if anything is."""
        found = await self._journeys(organization_id, [client])
        return found[0] if found else None

    async def of_user(self, organization_id: bytes, user: str, *, limit: int, cursor: str = "") -> Remembered:
        """Return the connections of one user.

        Args:
            organization_id: whose user it is.
            user: its id; "" is everybody who has none.
            limit: the most connections; there may be fewer, even though a page follows.
            cursor: the `next_cursor` of the page before.
        """
        key, found = _user_key(organization_id, user), list[Journey]()
        for _ in range(PAGES_MAX):
            start = f"({cursor}" if cursor else "+"
            (names,) = await self._ask([("ZRANGE", key, start, "-", "BYLEX", "REV", "LIMIT", 0, limit + 1)])
            clients = [name.decode() for name in names]
            for journey in await self._journeys(organization_id, clients):
                if len(found) == limit:
                    return Remembered(found, found[-1].came.client)
                found.append(journey)
            if len(clients) <= limit:
                return Remembered(found, "")
            cursor = clients[-1]
        return Remembered(found, cursor)

    async def _journeys(self, organization_id: bytes, clients: Sequence[str]) -> list[Journey]:
        if not clients:
            return []
        lists = await self._ask([("LRANGE", _key(organization_id, one), 0, -1) for one in clients])
        read = [_read(steps) for steps in lists if steps]
        told = await self._told([came.tag for came, _, _ in read if came is not None])
        silent_since = self._clock.now() - self._silence_us
        journeys = []
        for came, steps, is_whole in read:
            if came is None:
                continue
            last = steps[-1].at if steps else came.at
            until = Instant(told.get(came.tag, last))
            is_cut = not is_whole or len(steps) + 1 >= self._steps_max
            journeys.append(Journey(came, steps, until, is_alive=until > silent_since, is_cut=is_cut))
        return journeys

    async def _told(self, tags: Sequence[str]) -> dict[str, int]:
        """Return up to when each of these tags has told everything; a tag may be forgotten."""
        if not tags:
            return {}
        names = sorted(set(tags))
        (scores,) = await self._ask([("ZMSCORE", TOLD, *names)])
        return {tag: int(float(score)) for tag, score in zip(names, scores, strict=True) if score is not None}

    async def _ask(self, commands: Sequence[Command]) -> list[Any]:
        try:
            return await self._cache.run(commands)
        except CacheError as error:
            raise TidingsError(Code.UNAVAILABLE, "What is remembered can't be read now.") from error


def _read(raw: Sequence[bytes]) -> tuple[Came | None, tuple[Step, ...], bool]:
    """Return the beginning and the steps of a record, and whether all of it could be read."""
    steps: list[Step] = []
    for one in raw:
        try:
            steps.append(decode_step(one))
        except msgspec.DecodeError:
            continue  # of another release
    came = steps[0] if steps else None
    if not isinstance(came, Came):
        return None, (), False
    return came, tuple(steps[1:]), len(steps) == len(raw)


def _keys(organization_id: bytes, client: str, user: str) -> tuple[str, str, str]:
    everybody = f"tidings:journeys:{{{organization_id.hex()}}}:clients"
    return _key(organization_id, client), everybody, _user_key(organization_id, user)


def _key(organization_id: bytes, client: str) -> str:
    return f"tidings:journeys:{{{organization_id.hex()}}}:client:{client}"


def _user_key(organization_id: bytes, user: str) -> str:
    return f"tidings:journeys:{{{organization_id.hex()}}}:user:{user}"

"""The cache: nothing in it matters, so that its loss costs latency only."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final, Self

from redis.asyncio.connection import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from adapters.redis.scripts import NAMES, source

TIMEOUT_S: Final = 2.0
CONNECTIONS_MAX: Final = 8
"""Of one process; more callers wait, for as long as an answer may take."""

Command = tuple[str | bytes | int | float, ...]


class CacheError(Exception):
    """It does not answer, or not as it should."""


class Cache:
    """Connections to Valkey or Redis.

    A call that fails is not repeated here: whether what it asked for took effect, nobody knows.
    """

    def __init__(self, pool: Any, timeout_s: float) -> None:
        self._pool = pool
        self._timeout_s = timeout_s

    @classmethod
    def open(cls, url: str) -> Self:
        """Return a client that connects when it is first used; `url` is `redis://…` or `unix://…`."""
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS_MAX,
            timeout=TIMEOUT_S,
            socket_timeout=None,  # each call has a deadline as a whole
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
        return cls(pool, TIMEOUT_S)

    async def ping(self) -> None:
        """Return once it has answered.

        Raises:
            CacheError: it did not, within two seconds.
        """
        await self.run([("PING",)])

    async def run(self, commands: Sequence[Command]) -> list[Any]:
        """Return the answers to commands that are sent together, each as bytes, int, list or None.

        Raises:
            CacheError: one was refused, or they were not all answered within two seconds.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                connection = await self._pool.get_connection()
                try:
                    return await _answers(connection, commands)
                finally:
                    await self._pool.release(connection)
        except (RedisError, OSError) as error:
            raise CacheError(str(error)) from error

    def line(self) -> "Line":
        """Return a connection of its own, to be closed by the caller."""
        return Line(self._pool.make_connection())

    def ear(self, channel: str) -> "Ear":
        """Return a connection that hears what is published to a channel, to be closed by the caller."""
        return Ear(self._pool.make_connection(), channel, self._timeout_s)

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.aclose()


class Line:
    """One connection, on which commands take effect in the order in which they were given, or not at all.

    For one caller at a time. It knows the scripts of `adapters/redis/lua/`. After a failure it is closed, and
    opened anew by the next call: only then may what was sent before still take effect.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def run(self, commands: Sequence[Command], within_s: float) -> list[Any]:
        """Return the answers to commands that are sent together.

        Raises:
            CacheError: one was refused, or they were not all answered in time; any of them may have taken
                effect, or may yet.
        """
        try:
            async with asyncio.timeout(within_s):
                if not self._connection.is_connected:
                    loading = [("SCRIPT", "LOAD", source(name)) for name in NAMES]
                    await _answers(self._connection, loading)
                return await _answers(self._connection, commands)
        except (RedisError, OSError) as error:
            raise CacheError(str(error)) from error

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.disconnect(nowait=True)


class Ear:
    """One connection that hears one channel of Redis. What is published while it is away is lost."""

    def __init__(self, connection: Any, channel: str, timeout_s: float) -> None:
        self._connection = connection
        self._channel = channel
        self._timeout_s = timeout_s

    async def open(self) -> None:
        """Begin to hear: everything that is published after the return.

        Raises:
            CacheError: it does not answer.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                await _answers(self._connection, [("SUBSCRIBE", self._channel)])
        except (RedisError, OSError) as error:
            raise CacheError(str(error)) from error

    async def hear(self) -> bytes:
        """Return what was published next, however long that takes.

        Raises:
            CacheError: the connection is lost, or silent for twice its time even when it is asked something.
        """
        asked = False
        while True:
            try:
                message = await self._connection.read_response(disable_decoding=True, timeout=self._timeout_s)
                if message is None:
                    if asked:
                        raise TimeoutError("no answer")
                    asked = True
                    await self._connection.send_packed_command(self._connection.pack_command("PING"))
                    continue
            except (RedisError, OSError) as error:
                await self.close()
                raise CacheError(str(error)) from error
            asked = False
            if message[0] == b"message":
                heard: bytes = message[2]
                return heard

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.disconnect(nowait=True)


async def _answers(connection: Any, commands: Sequence[Command]) -> list[Any]:
    try:
        await connection.connect()
        await connection.send_packed_command(connection.pack_commands(commands))
        return [await connection.read_response(disable_decoding=True) for _ in commands]
    except BaseException:
        await connection.disconnect(nowait=True)  # the answers still to come belong to nobody
        raise

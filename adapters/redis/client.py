"""The cache: nothing in it matters, so that its loss costs latency only."""

from typing import Any, Final, Self

import redis.asyncio
from redis.exceptions import RedisError

TIMEOUT_S: Final = 2.0


class CacheError(Exception):
    """It does not answer."""


class Cache:
    """A connection to Valkey or Redis."""

    def __init__(self, client: Any) -> None:
        self._client = client

    @classmethod
    def open(cls, url: str) -> Self:
        """Return a client that connects when it is first used; `url` is `redis://…` or `unix://…`."""
        return cls(redis.asyncio.from_url(url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S))

    async def ping(self) -> None:
        """Return once it has answered.

        Raises:
            CacheError: it did not, within two seconds.
        """
        try:
            await self._client.ping()
        except (RedisError, OSError) as error:
            raise CacheError(str(error)) from error

    async def close(self) -> None:
        """Close the connection."""
        await self._client.aclose()

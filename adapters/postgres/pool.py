"""Connections for reading, and for the writes outside any log."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, Self

import asyncpg

LOOK_UPS_BY_KEY: Final = {
    # Every statement looks rows up by their keys, so its plan is made once, and not from the statistics of
    # tables that were empty when it was made.
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}


class Database:
    """A bounded pool of connections to the primary.

    Callers past `connections_max` wait for their turn. Never used for appends: those need a connection
    that nobody cancels (reliability rule R6).
    """

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    @classmethod
    async def open(cls, dsn: str, connections_max: int) -> Self:
        """Open the pool with one connection; the others follow on demand.

        Args:
            dsn: `postgresql://…`, also with `?host=/socket/folder`.
            connections_max: the most connections at any time.
        """
        pool = await asyncpg.create_pool(
            dsn,
            min_size=1,
            max_size=connections_max,
            max_inactive_connection_lifetime=300.0,
            server_settings={**LOOK_UPS_BY_KEY, "application_name": "tidings"},
        )
        return cls(pool)

    async def close(self) -> None:
        """Close every connection after its running statement."""
        await self._pool.close()

    async def ping(self) -> None:
        """Return once the database has answered.

        Raises:
            OSError, asyncpg.PostgresError: it does not answer.
        """
        await self._pool.fetchval("SELECT 1", timeout=5)

    async def fetch(self, statement: str, *arguments: Any) -> list[Any]:
        """Return all rows of one statement."""
        rows: list[Any] = await self._pool.fetch(statement, *arguments)
        return rows

    async def fetchrow(self, statement: str, *arguments: Any) -> Any:
        """Return the first row of one statement, or None."""
        return await self._pool.fetchrow(statement, *arguments)

    async def fetchval(self, statement: str, *arguments: Any) -> Any:
        """Return the first value of the first row of one statement, or None."""
        return await self._pool.fetchval(statement, *arguments)

    async def execute(self, statement: str, *arguments: Any) -> str:
        """Run one statement in a transaction of its own and return its tag."""
        tag: str = await self._pool.execute(statement, *arguments)
        return tag

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Any]:
        """Give one connection, for what must not run in a transaction or needs locks of a session."""
        async with self._pool.acquire() as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        """Give one connection inside a transaction that commits when the block ends well."""
        async with self._pool.acquire() as connection, connection.transaction():
            yield connection

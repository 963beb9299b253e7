"""Connections for reading, and for the writes outside any log."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final, Self

import asyncpg

from adapters.clock import SystemClock
from adapters.postgres.queries import statements
from core.errors import Code, TidingsError
from core.ports import Clock

LOOK_UPS_BY_KEY: Final = {
    # Every statement looks rows up by their keys, so its plan is made once, and not from the statistics of
    # tables that were empty when it was made.
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}
READ_TIMEOUT_S: Final = 10.0
# A server that restarts is back within seconds.
RETRY_PAUSES_S: Final = (0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 1.6, 1.6)

_LOST: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # it is stopping, starting, or an operator ended the session
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a call on a connection that broke in the middle of the one before
    OSError,
)
_FULL: Final = asyncpg.InsufficientResourcesError  # connections, memory or disk: the session lives on


class Database:
    """A bounded pool of connections to the primary.

    Callers past `connections_max` wait for their turn. Never used for appends: those need a connection
    that nobody cancels (reliability rule R6). A server that this process has not met serves its first read
    only after it has acknowledged a commit: what was visible before is durable then (rule R5).
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pool: Any = None
        self._met: set[datetime] = set()

    @classmethod
    async def open(cls, dsn: str, connections_max: int, *, clock: Clock | None = None) -> Self:
        """Open the pool with one connection; the others follow on demand.

        Args:
            dsn: `postgresql://…`, also with `?host=/socket/folder`.
            connections_max: the most connections at any time.
            clock: what pauses between two tries to read from a server that restarts.

        Raises:
            OSError, asyncpg.PostgresError: no connection.
        """
        database = cls(clock or SystemClock())
        database._pool = await asyncpg.create_pool(
            dsn,
            min_size=1,
            max_size=connections_max,
            max_inactive_connection_lifetime=300.0,
            init=database._meet,
            reset=_as_it_is,
            server_settings={**LOOK_UPS_BY_KEY, "application_name": "tidings"},
        )
        return database

    async def _meet(self, connection: Any) -> None:
        sql = statements("pool")
        server: datetime = await connection.fetchval(sql["server"])
        if server not in self._met:
            await connection.execute(sql["barrier"])
            self._met.add(server)

    async def close(self) -> None:
        """Close every connection after its running statement."""
        await self._pool.close()

    async def ping(self) -> None:
        """Return once the database has answered.

        Raises:
            TidingsError: `unavailable`.
        """
        await self.fetchval(statements("pool")["ping"])

    async def fetch(self, statement: str, *arguments: Any) -> list[Any]:
        """Return all rows of one statement that only reads.

        Asked again for some seconds while the server restarts, or has no connection or memory to give.

        Raises:
            TidingsError: `unavailable`, it did not answer.
        """
        rows: list[Any] = await self._read("fetch", statement, arguments)
        return rows

    async def fetchrow(self, statement: str, *arguments: Any) -> Any:
        """Return the first row of one statement that only reads, or None; otherwise as `fetch`."""
        return await self._read("fetchrow", statement, arguments)

    async def fetchval(self, statement: str, *arguments: Any) -> Any:
        """Return the first value of the first row of one statement that only reads; otherwise as `fetch`."""
        return await self._read("fetchval", statement, arguments)

    async def execute(self, statement: str, *arguments: Any) -> str:
        """Run one statement that writes, in a transaction of its own, and return its tag.

        Raises:
            TidingsError: `unavailable`; whether it took effect is not known then.
        """
        async with self._writing() as connection:
            tag: str = await connection.execute(statement, *arguments)
        return tag

    async def returning(self, statement: str, *arguments: Any) -> Any:
        """Run one statement that writes, as `execute` does, and return the first row it gives, or None."""
        async with self._writing() as connection:
            return await connection.fetchrow(statement, *arguments)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Any]:
        """Give one connection, for what must not run in a transaction or needs locks of a session."""
        async with self._pool.acquire() as connection:
            try:
                yield connection
            finally:
                if not connection.is_closed():
                    await connection.reset()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        """Give one connection inside a transaction that commits when the block ends well.

        Raises:
            TidingsError: `unavailable`; whether it took effect is not known then.
        """
        async with self._writing() as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[Any]:
        try:
            async with self._pool.acquire() as connection:
                try:
                    yield connection
                except _LOST:
                    connection.terminate()  # as in `_ask`
                    raise
        except (*_LOST, _FULL) as error:
            raise TidingsError(Code.UNAVAILABLE, "The database does not answer.") from error

    async def _read(self, how: str, statement: str, arguments: tuple[Any, ...]) -> Any:
        lost: Exception | None = None
        for pause_s in RETRY_PAUSES_S:
            if pause_s:
                await self._clock.sleep(pause_s)
            try:
                async with self._pool.acquire() as connection:
                    return await self._ask(connection, how, statement, arguments)
            except TimeoutError as error:
                lost = error
                break
            except (*_LOST, _FULL) as error:
                lost = error
                if self._pool.is_closing():
                    break
        raise TidingsError(Code.UNAVAILABLE, "The database does not answer.") from lost

    @staticmethod
    async def _ask(connection: Any, how: str, statement: str, arguments: tuple[Any, ...]) -> Any:
        try:
            return await getattr(connection, how)(statement, *arguments, timeout=READ_TIMEOUT_S)
        except _LOST:
            # The driver may not have noticed yet that the connection is broken, and would give it out again.
            connection.terminate()
            raise


async def _as_it_is(connection: Any) -> None:
    """Take a connection back without a round trip: only `session` leaves anything behind, and cleans up."""

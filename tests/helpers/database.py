"""One embedded server a test run, and a fresh copy of a migrated database for each test."""

import asyncio
import itertools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from adapters.embedded.postgres import EmbeddedPostgres
from adapters.postgres.migrate import migrate

PARTITIONS = 4
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """Give a running server whose database `tidings` is migrated: the template of all others."""
    with tempfile.TemporaryDirectory(prefix="tidings-") as folder:
        root = Path(folder)
        root.chmod(0o755)
        server = EmbeddedPostgres(root / "data", root / "socket", root / "postgres.log")
        try:
            dsn = asyncio.run(server.start())
            asyncio.run(migrate(dsn, partitions=PARTITIONS, ahead_days=2))
            yield server
        finally:
            asyncio.run(server.stop())


@pytest.fixture
def database_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """Give the URL of a fresh database, dropped after the test."""
    with fresh_database(postgres) as url:
        yield url


@contextmanager
def fresh_database(postgres: EmbeddedPostgres) -> Iterator[str]:
    """Give the URL of a fresh database, for as long as the block lasts."""
    name = f"test_{next(_numbers)}"
    admin = postgres.dsn.replace("/tidings?", "/postgres?")
    asyncio.run(_execute(admin, f"CREATE DATABASE {name} TEMPLATE tidings STRATEGY file_copy"))
    try:
        yield postgres.dsn.replace("/tidings?", f"/{name}?")
    finally:
        asyncio.run(_execute(admin, f"DROP DATABASE {name} WITH (FORCE)"))


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()

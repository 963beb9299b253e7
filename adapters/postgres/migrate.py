"""The schema of this release: brought up to date before anything else starts."""

import asyncio
from importlib.resources import files
from typing import Any, Final

import asyncpg

from adapters.postgres.maintenance import ensure_days
from adapters.postgres.pool import Database
from adapters.postgres.queries import statements

DATA_FORMAT: Final = 1
HEAD: Final = "0007"


class DataFormatError(Exception):
    """The data belongs to another release; the message says which."""


async def migrate(dsn: str, *, partitions: int, ahead_days: int) -> bool:
    """Bring the database to this release's schema, with its partitions and days; True if the schema changed.

    Idempotent, and safe when several processes do it at once. Costs a connection and a few reads when there
    is nothing to do.

    Raises:
        DataFormatError: a newer release wrote this database.
    """
    database = await Database.open(dsn, 2)
    try:
        async with database.session() as connection:
            await connection.execute(statements("migrate")["one_migration"])
            revision = await _revision(connection)
            await _check_format(connection, revision)
            if revision != HEAD:
                # In a thread: Alembic is not async, and its import takes half a second.
                await asyncio.to_thread(upgrade_to, dsn, HEAD)
            await connection.execute(statements("maintenance")["ensure_partition_rows"], partitions)
        await ensure_days(database, ahead_days=ahead_days)
    finally:
        await database.close()
    return revision != HEAD


async def _revision(connection: Any) -> str | None:
    try:
        revision: str | None = await connection.fetchval(statements("migrate")["revision"])
    except asyncpg.UndefinedTableError:
        return None
    return revision


async def _check_format(connection: Any, revision: str | None) -> None:
    if revision is None:
        return
    try:
        data_format = await connection.fetchval(statements("maintenance")["installation"])
    except asyncpg.UndefinedTableError:  # every migration was undone
        return
    if data_format > DATA_FORMAT or revision > HEAD:
        raise DataFormatError(
            f"This database has data format {data_format} and schema {revision}, this release knows "
            f"{DATA_FORMAT} and {HEAD}: start the newer release, or restore a backup from before it."
        )


def upgrade_to(dsn: str, revision: str) -> None:
    """Run the migrations up to `revision` (or `head`), blocking."""
    _alembic(dsn, revision, down=False)


def downgrade_to(dsn: str, revision: str) -> None:
    """Undo the migrations down to `revision` (or `base`), blocking. For tests and for a failed deployment."""
    _alembic(dsn, revision, down=True)


def _alembic(dsn: str, revision: str, *, down: bool) -> None:
    from alembic import command  # noqa: PLC0415 (half a second that most starts save)
    from alembic.config import Config  # noqa: PLC0415 (the same)

    config = Config()
    config.set_main_option("script_location", str(files("adapters.postgres").joinpath("migrations")))
    config.attributes["dsn"] = dsn
    (command.downgrade if down else command.upgrade)(config, revision)

"""The schema of this release: brought up to date before anything else starts."""

from importlib.resources import files
from typing import Final

import asyncpg

from adapters.postgres.maintenance import ensure_days
from adapters.postgres.pool import Database
from adapters.postgres.queries import statements

DATA_FORMAT: Final = 1
HEAD: Final = "0001"


class DataFormatError(Exception):
    """The data belongs to another release; the message says which."""


async def migrate(dsn: str, *, partitions: int, ahead_days: int) -> bool:
    """Bring the database to this release's schema, with its partitions and days; True if the schema changed.

    Idempotent. Costs a connection and a few reads when there is nothing to do.

    Raises:
        DataFormatError: a newer release wrote this database.
    """
    changed = await _revision(dsn) != HEAD
    if changed:
        await _check_format(dsn)
        await _upgrade(dsn)
    database = await Database.open(dsn, 1)
    try:
        await database.execute(statements("maintenance")["ensure_partition_rows"], partitions)
        await ensure_days(database, ahead_days=ahead_days)
    finally:
        await database.close()
    return changed


async def _revision(dsn: str) -> str | None:
    connection = await asyncpg.connect(dsn)
    try:
        revision: str | None = await connection.fetchval(statements("migrations")["revision"])
    except asyncpg.UndefinedTableError:
        return None
    else:
        return revision
    finally:
        await connection.close()


async def _check_format(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        found = await connection.fetchval(statements("maintenance")["installation"])
    except asyncpg.UndefinedTableError:
        return
    finally:
        await connection.close()
    if found is not None and found > DATA_FORMAT:
        raise DataFormatError(
            f"This database has data format {found}, and this release writes {DATA_FORMAT}: "
            "start the newer release."
        )


async def _upgrade(dsn: str) -> None:
    # Alembic takes half a second to import, and most starts have nothing to migrate.
    import asyncio  # noqa: PLC0415

    await asyncio.to_thread(upgrade_to, dsn, "head")


def upgrade_to(dsn: str, revision: str) -> None:
    """Run the migrations up to `revision` (or `head`), blocking."""
    _alembic(dsn, revision, down=False)


def downgrade_to(dsn: str, revision: str) -> None:
    """Undo the migrations down to `revision` (or `base`), blocking. For tests and for a failed deployment."""
    _alembic(dsn, revision, down=True)


def _alembic(dsn: str, revision: str, *, down: bool) -> None:
    from alembic import command  # noqa: PLC0415 (see _upgrade)
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(files("adapters.postgres").joinpath("migrations")))
    config.attributes["dsn"] = dsn
    (command.downgrade if down else command.upgrade)(config, revision)

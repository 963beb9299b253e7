"""Days of the log: made before they are needed, dropped whole after their retention (reliability rule R12).

Which day it is, the database's clock says. Days are attached and detached without stopping readers or
writers.
"""

from datetime import date, timedelta
from typing import Any, Final

from adapters.postgres.pool import Database
from adapters.postgres.queries import statements

PARENTS: Final = ("events", "channel_entries", "idempotency_keys")
KEYS: Final = "idempotency_keys"


class MissingDayError(Exception):
    """The log has no table for today, so nothing could be written; the message says what to do."""


async def ensure_days(database: Database, *, ahead_days: int) -> date:
    """Make the tables of yesterday, today and the days ahead; return the database's today.

    Yesterday too: an owner whose `created_at` may not fall writes into it for a moment after midnight. All
    or nothing; safe to run at any time and by several processes.
    """
    sql = statements("maintenance")
    async with database.transaction() as connection:
        await connection.execute(sql["one_maker_of_days"])
        today: date = await connection.fetchval(sql["today"])
        existing = {row["name"] for row in await connection.fetch(sql["day_tables"])}
        for parent in PARENTS:
            for offset in range(-1, ahead_days + 1):
                day = today + timedelta(days=offset)
                name = f"{parent}_{day:%Y%m%d}"
                if name not in existing:
                    bounds = {"first": day, "last": day + timedelta(days=1)}
                    await connection.execute(sql["make_day_table"].format(name=name, parent=parent, **bounds))
    return today


async def require_today(database: Database) -> None:
    """Return if the log can be written today.

    Raises:
        MissingDayError: a table of today is missing, so maintenance has not run for a week.
    """
    sql = statements("maintenance")
    today: date = await database.fetchval(sql["today"])
    existing = {row["name"] for row in await database.fetch(sql["day_tables"])}
    missing = [name for parent in PARENTS if (name := f"{parent}_{today:%Y%m%d}") not in existing]
    if missing:
        raise MissingDayError(
            f"The log has no table for today ({', '.join(missing)}): run `tidings migrate`, then start again."
        )


async def drop_expired_days(
    database: Database, *, retention_days: int, slack_days: int, key_days: int
) -> list[str]:
    """Drop the days that nobody may read any more, and return the names of their tables.

    A day is dropped when it lies `retention_days + slack_days` back; a day of idempotency keys when more
    than `key_days` whole days have passed since. Reads hide expired rows by themselves, so this may be
    late, but it is never early. Safe at any time, after a crash in the middle, and by several processes,
    of which one works and the others return at once.
    """
    sql = statements("maintenance")
    async with database.session() as connection:
        # The lock goes with the session: when it is given back to the pool, or lost.
        if not await connection.fetchval(sql["only_dropper_of_days"]):
            return []
        for row in await connection.fetch(sql["pending_detaches"]):
            await connection.execute(sql["finish_detach"].format(parent=row["parent"], name=row["name"]))
        today: date = await connection.fetchval(sql["today"])
        for row in await connection.fetch(sql["day_tables"]):
            kept_days = key_days + 1 if row["parent"] == KEYS else retention_days + slack_days
            if (today - date.fromisoformat(row["day"])).days >= kept_days:
                await connection.execute(
                    sql["detach_day_table"].format(parent=row["parent"], name=row["name"])
                )
        return await _drop_detached(connection)


async def _drop_detached(connection: Any) -> list[str]:
    """Drop what was detached, now or before a crash."""
    sql = statements("maintenance")
    names = [row["name"] for row in await connection.fetch(sql["detached_day_tables"])]
    for name in names:
        await connection.execute(sql["drop_day_table"].format(name=name))
    return names

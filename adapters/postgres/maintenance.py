"""Days of the log: made before they are needed.

Dropped whole after their retention (reliability rule R12).
"""

from datetime import date, timedelta
from typing import Final

from adapters.postgres.pool import Database
from adapters.postgres.queries import statements

KEPT_BY_RETENTION: Final = ("events", "channel_entries")
KEYS: Final = "idempotency_keys"


async def ensure_days(database: Database, *, ahead_days: int) -> date:
    """Make the tables of yesterday, today and the days ahead; return the database's today.

    Yesterday too: an owner whose `created_at` may not fall writes into it for a moment after midnight.
    """
    sql = statements("maintenance")
    today: date = (await database.fetchrow(sql["today"]))[0]
    existing = {row["name"] for row in await database.fetch(sql["day_tables"])}
    for parent in (*KEPT_BY_RETENTION, KEYS):
        for offset in range(-1, ahead_days + 1):
            day = today + timedelta(days=offset)
            name = f"{parent}_{day:%Y%m%d}"
            if name not in existing:
                await database.execute(
                    sql["make_day_table"].format(
                        name=name, parent=parent, first=day, last=day + timedelta(days=1)
                    )
                )
    return today


async def drop_expired_days(
    database: Database, *, retention_days: int, slack_days: int, key_days: int
) -> list[str]:
    """Drop the days that nobody may read any more, and return the names of their tables.

    Reads hide expired rows by themselves, so this may be late, but it is never early. Safe to run at any
    time, by several processes, and after a crash in the middle.
    """
    sql = statements("maintenance")
    for row in await database.fetch(sql["pending_detaches"]):
        await database.execute(sql["finish_detach"].format(parent=row["parent"], name=row["name"]))
    today: date = (await database.fetchrow(sql["today"]))[0]
    dropped = []
    for row in await database.fetch(sql["day_tables"]):
        kept_days = key_days if row["parent"] == KEYS else retention_days + slack_days
        if (today - date.fromisoformat(row["day"])).days <= kept_days:
            continue
        await database.execute(sql["detach_day_table"].format(parent=row["parent"], name=row["name"]))
        await database.execute(sql["drop_day_table"].format(name=row["name"]))
        dropped.append(row["name"])
    return dropped

"""`tidings migrate`: the schema of this release, without starting anything else."""

from adapters.postgres.migrate import migrate as bring_up_to_date
from cli.installation import running_settings
from cli.screen import Screen


async def migrate() -> None:
    """Bring the database up to date; nothing happens when it is."""
    settings = await running_settings()
    log = settings.log
    changed = await bring_up_to_date(
        settings.installation.database_url, partitions=log.partitions, ahead_days=log.partitions_ahead_days
    )
    Screen().say("The schema was brought up to date." if changed else "The schema is up to date.")

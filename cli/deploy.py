"""`tidings deploy`: run by a cluster's head after Ray: waits for the database, migrates, starts the rest."""

import asyncio

import ray

import wiring
from actors.remote import ensure_placement, hand_over, owner_names
from adapters.clock import SystemClock
from adapters.embedded.errors import StartError
from adapters.postgres.migrate import migrate
from adapters.schemas import load_catalog
from cli.installation import absolute
from cli.joining import join
from cli.screen import Screen
from cli.serving import start_serve
from cli.stores import SilentError, await_database, reach_cache
from settings import Settings, read_settings


def deploy() -> None:
    """Bring a cluster to this release; run again, it changes only what differs.

    Raises:
        StartError: and the other errors of `cli.verb.KNOWN`.
    """
    settings, screen = absolute(read_settings()), Screen()
    where = settings.installation
    if not where.database_url:
        raise StartError("DATABASE_URL is not set: a cluster needs a PostgreSQL that all its nodes reach.")
    catalog = load_catalog(where.schemas_dir)
    screen.say(f"  Resource types: {', '.join(sorted(catalog.names)) or 'none'}")
    asyncio.run(_stores(settings, screen))
    with screen.step("Schema"):
        asyncio.run(_migrate(settings))
    with screen.step("Ray"):
        join(where.ray_address or "auto")
    try:
        with screen.step("Owners"):
            asyncio.run(_place(settings))
        with screen.step("REST and sockets"):
            start_serve(settings)
    finally:
        ray.shutdown()


async def _stores(settings: Settings, screen: Screen) -> None:
    with screen.step("PostgreSQL"):
        await await_database(settings.installation.database_url, screen.warn, SystemClock())
    if settings.installation.redis_url:
        try:
            await reach_cache(settings.installation.redis_url)
        except SilentError as error:
            screen.warn(str(error))  # its loss costs latency only


async def _migrate(settings: Settings) -> None:
    log = settings.log
    await migrate(
        settings.installation.database_url, partitions=log.partitions, ahead_days=log.partitions_ahead_days
    )


async def _place(settings: Settings) -> None:
    await hand_over(owner_names(settings))
    await ensure_placement(wiring.open_stream_owner, wiring.open_upkeep, settings)

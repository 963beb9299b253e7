"""`tidings deploy`: what a cluster's head runs after Ray: waits for the database, migrates.

Starts the rest.
"""

import asyncio
from pathlib import Path

import ray
import typer

import wiring
from actors.remote import NAMESPACE, ensure_placement, hand_over, owner_names
from adapters.clock import SystemClock
from adapters.postgres.faults import UNREACHABLE
from adapters.postgres.migrate import migrate
from adapters.schemas import load_catalog
from cli.installation import absolute
from cli.screen import Screen
from cli.serving import start_serve
from core.errors import TidingsError
from settings import Settings, load_environment

DATABASE_TRIES = 60
DATABASE_PAUSE_S = 2.0


def deploy(env_file: Path | None) -> None:
    """Bring a cluster to this release; run again, it changes only what differs."""
    if env_file is not None:
        load_environment(env_file)
    settings, screen = absolute(Settings()), Screen()
    where = settings.installation
    if not where.database_url:
        screen.fail("DATABASE_URL is not set: a cluster needs a PostgreSQL that all its nodes reach.")
        raise typer.Exit(1)
    load_catalog(where.schemas_dir)
    with screen.step("Schema"):
        asyncio.run(_migrate(settings))
    with screen.step("Ray"):
        ray.init(address=where.ray_address or "auto", namespace=NAMESPACE, log_to_driver=False)
    with screen.step("Owners"):
        asyncio.run(_place(settings))
    with screen.step("REST and sockets"):
        start_serve(settings)
    ray.shutdown()


async def _migrate(settings: Settings) -> None:
    log, clock = settings.log, SystemClock()
    for left in range(DATABASE_TRIES, -1, -1):
        try:
            await migrate(
                settings.installation.database_url,
                partitions=log.partitions,
                ahead_days=log.partitions_ahead_days,
            )
            break
        except (TidingsError, *UNREACHABLE):
            if not left:
                raise
            await clock.sleep(DATABASE_PAUSE_S)


async def _place(settings: Settings) -> None:
    await hand_over(owner_names(settings))
    await ensure_placement(wiring.open_stream_owner, wiring.open_upkeep, settings)

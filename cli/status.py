"""`tidings status`: what runs where, where each partition stands, and how far its owner is."""

from rich.table import Table

import wiring
from adapters.embedded.folder import DataFolder
from cli.installation import running_settings
from cli.ready import answers
from cli.screen import Screen
from core.errors import TidingsError
from core.ids import encode
from settings import Settings

BUSIEST = 10


async def status() -> None:
    """Print it."""
    settings = running_settings()
    where, screen = settings.installation, Screen()
    screen.say(f"Data       {where.data_dir}")
    screen.say(f"Database   {where.database_url.partition('@')[2] or where.database_url}")
    for what, port, path in (
        ("Edge", where.port, "/readyz"),
        ("REST", where.api_port, "/healthz"),
        ("WebSocket", where.websocket_port, "/healthz"),
        ("Streams", where.streams_port, "/healthz"),
    ):
        state = "serves" if await answers(port, path)() else "does not answer"
        screen.say(f"{what:<10} port {port} {state}")
    for record in sorted(DataFolder(where.data_dir).run.glob("*.pid")):
        screen.say(f"Process    {record.stem}: {record.read_text()}")
    await _partitions(settings, screen)


async def _partitions(settings: Settings, screen: Screen) -> None:
    async with wiring.open_status(settings) as look:
        table = Table("partition", "owner", "address", "epoch", "lease", "organizations", "events")
        partitions = await look.status.partitions()
        for one in partitions:
            route = one.route
            lease = f"{one.lease_left_s:.0f} s" if route.owner else "-"
            counts = f"{one.organizations}", f"{one.events}"
            table.add_row(
                f"{route.partition_id}",
                route.owner or "nobody",
                route.address,
                f"{route.epoch}",
                lease,
                *counts,
            )
        heads = Table("organization", "in the database", "announced", "lag")
        for organization_id, last_seq in await look.status.busiest(BUSIEST):
            if not any(one.route.address for one in partitions):  # a single process: nothing is announced
                heads.add_row(encode("org", organization_id), f"{last_seq}", "-", "-")
                continue
            try:
                announced = (await look.links.head(organization_id)).seq
            except TidingsError as error:
                heads.add_row(encode("org", organization_id), f"{last_seq}", error.code.value, "?")
                continue
            # The head was asked for later than the database, so it can only be ahead.
            lag = f"{max(0, last_seq - announced)}"
            heads.add_row(encode("org", organization_id), f"{last_seq}", f"{announced}", lag)
    screen.table(table)
    screen.table(heads)

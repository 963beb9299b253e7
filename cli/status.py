"""`tidings status`: what runs where, where each partition stands, and whether its owner keeps up."""

from rich.table import Table

import wiring
from adapters.clock import SystemClock
from adapters.embedded.folder import DataFolder
from cli.installation import running_settings
from cli.ready import answers
from cli.screen import Screen
from cli.stores import shown
from core.errors import TidingsError
from core.ids import encode
from settings import Settings

BUSIEST = 10


async def status() -> None:
    """Print it."""
    settings = await running_settings()
    where, screen = settings.installation, Screen()
    screen.say(f"Data       {where.data_dir}")
    own = shown(where.database_url).startswith("/")  # no host: it has a socket of its own
    screen.say(f"Database   {where.data_dir / 'postgres' if own else shown(where.database_url)}")
    backend = "127.0.0.1" if where.bind in {"node", "0.0.0.0"} else where.bind  # noqa: S104 (a name)
    for what, host, port, path in (
        ("Edge", where.edge_address, where.port, "/readyz"),
        ("REST", backend, where.api_port, "/healthz"),
        ("WebSocket", backend, where.websocket_port, "/healthz"),
        ("Streams", backend, where.streams_port, "/healthz"),
    ):
        state = "serves" if await answers(port, path, host)() else "does not answer"
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
        heads = Table("organization", "in the database", "announced", "lag", "answered in")
        for organization_id, last_seq in await look.status.busiest(BUSIEST):
            public, stored = encode("org", organization_id), f"{last_seq}"
            if not any(one.route.address for one in partitions):  # a single process: nothing is announced
                heads.add_row(public, stored, "-", "-", "-")
                continue
            clock = SystemClock()
            began = clock.monotonic()
            try:
                announced = (await look.links.head(organization_id)).seq
            except TidingsError as error:
                heads.add_row(public, stored, error.code.value, "?", "-")
                continue
            took = f"{1_000 * (clock.monotonic() - began):.0f} ms"
            heads.add_row(public, stored, f"{announced}", lag(last_seq, announced), took)
    screen.table(table)
    screen.table(heads)


def lag(stored: int, announced: int) -> str:
    """Return how many durable events an owner does not announce.

    The database is asked first: a healthy owner announces all of that, or more, so it shows 0 under any load.
    One that is behind has lost its partition and not noticed yet; its clients wait for the next owner.
    """
    return f"{max(0, stored - announced)}"

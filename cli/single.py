"""The child of `tidings up --single-process`: the same rooms joined without Ray, Serve and links."""

import asyncio
import sys

import uvloop

import wiring
from adapters.embedded.child import input_ended
from adapters.embedded.ports import shared_listener
from adapters.telemetry.logging import configure_logging
from adapters.telemetry.tasks import Tasks
from settings import Settings

EXIT_FENCED = 71


def main() -> None:
    """Run until standard input ends."""
    configure_logging("json")
    sys.exit(uvloop.run(_serve(Settings())))


async def _serve(settings: Settings) -> int:
    where, tasks = settings.installation, Tasks("single")
    listeners = [
        shared_listener(where.bind, port)
        for port in (where.api_port, where.websocket_port, where.streams_port)
    ]
    async with (
        wiring.open_upkeep(settings) as upkeep,
        wiring.open_single_process(settings, *listeners) as process,
    ):
        tasks.spawn("upkeep", upkeep.run())
        ended = tasks.spawn("input", input_ended())
        fenced = tasks.spawn("fence", process.owner.fenced.wait())
        await asyncio.wait({ended, fenced}, return_when=asyncio.FIRST_COMPLETED)
        code = EXIT_FENCED if process.owner.fenced.is_set() else 0
        await tasks.close()
        return code


if __name__ == "__main__":
    main()

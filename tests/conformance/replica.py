"""A second realtime replica beside a running system, on ports of its own.

`python -m tests.conformance.replica` finds the system as every process of it does, by its variables; prints
its two ports (sockets, streams), and ends with its standard input.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop

import wiring
from adapters.embedded.child import input_ended
from adapters.embedded.folder import DataFolder
from adapters.embedded.ports import shared_listener
from adapters.telemetry.logging import configure_logging
from settings import Settings
from tests.helpers.running import ROOT

NAME = "realtime-conformance"


@contextmanager
def second_replica(data_dir: Path, environment: dict[str, str]) -> Iterator[tuple[int, int]]:
    """Run one beside the system of this folder; give the ports of its sockets and of its streams."""
    variables = DataFolder(data_dir).running()
    with (data_dir / "second-replica.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.conformance.replica"],
            cwd=ROOT,
            env={**os.environ, **environment, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    with process:
        assert process.stdout is not None
        sockets, streams = json.loads(process.stdout.readline())
        yield sockets, streams
        # Leaving the block closes its input.


async def _serve() -> None:
    settings = Settings()
    listeners = [shared_listener(settings.installation.bind, 0) for _ in range(2)]
    async with wiring.open_realtime(settings, NAME, *listeners):
        print(json.dumps([listener.getsockname()[1] for listener in listeners]), flush=True)  # noqa: T201 (how it tells its ports)
        await input_ended()


if __name__ == "__main__":
    configure_logging("json")
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.run(_serve())

"""The child of `tidings up` that holds the Ray driver: owners, Serve applications, placement.

It begins at once, since Ray takes longest to start, and waits for the line `go` on its standard input
before it needs the database. The end of that input ends it, in order; the end of Ray ends it, too, and
then `tidings up` starts both again.
"""

import asyncio
import os
import shutil
import sys
from pathlib import Path

import psutil
import ray
from ray import serve

import wiring
from actors.placement import Placement
from actors.remote import NAMESPACE, RemoteOwner, ensure_owner, owner_names
from adapters.clock import SystemClock
from adapters.embedded.child import input_ended
from adapters.embedded.errors import StartError
from adapters.embedded.folder import DataFolder
from adapters.telemetry.logging import configure_logging
from adapters.telemetry.tasks import Tasks
from cli.joining import join, nodes
from cli.serving import start_serve
from core.streams.placement import wanted
from settings import Settings

OBJECT_STORE_BYTES = 80_000_000
EXIT_RAY_ENDED = 70
WATCH_S = 0.5
RAY_PROGRAMS = ("gcs_server", "raylet")


def main() -> None:
    """Run until standard input ends."""
    configure_logging("json")
    settings = Settings()
    folder = DataFolder(settings.installation.data_dir)
    progress = folder.run / "cluster.progress"
    try:
        _init(settings, folder)
    except StartError as error:
        sys.exit(str(error))
    _note(progress, "ray")
    if sys.stdin.readline().strip() != "go":
        ray.shutdown()
        return
    owners = start_owners(settings)
    start_serve(settings)
    _note(progress, "serve")
    try:
        asyncio.run(_control(settings, owners))
    finally:
        ray.shutdown()


def _note(progress: Path, step: str) -> None:
    with progress.open("a") as out:
        out.write(f"{step}\n")


def _init(settings: Settings, folder: DataFolder) -> None:
    address = settings.installation.ray_address
    if address:
        join(address)
        if nodes() > 1:
            raise StartError(
                f"The Ray at {address} has nodes on other machines, which can't reach what `tidings up` "
                "starts here: use `tidings deploy` with a DATABASE_URL that every node reaches."
            )
        return
    shutil.rmtree(folder.ray, ignore_errors=True)  # sessions of earlier starts; the folder's lock is ours
    folder.ray.mkdir(mode=0o700)
    (folder.logs / "ray").unlink(missing_ok=True)
    (folder.logs / "ray").symlink_to(folder.ray / "session_latest" / "logs")
    ray.init(
        address="local",
        namespace=NAMESPACE,
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=OBJECT_STORE_BYTES,
        log_to_driver=False,
        _temp_dir=str(folder.ray),
        _node_ip_address="127.0.0.1",
    )


def start_owners(settings: Settings) -> dict[str, RemoteOwner]:
    """Return the owners of the log, started where they do not run yet."""
    shares = wanted(settings.log.partitions, owner_names(settings))
    return {
        name: ensure_owner(wiring.open_stream_owner, settings, name, share) for name, share in shares.items()
    }


async def _control(settings: Settings, owners: dict[str, RemoteOwner]) -> None:
    tasks, clock = Tasks("cluster"), SystemClock()
    async with wiring.open_upkeep(settings) as upkeep:
        placement = Placement(owners, upkeep.holders, settings.log.partitions, clock)
        tasks.spawn("placement", placement.run())
        tasks.spawn("upkeep", upkeep.run())
        if not settings.installation.ray_address:
            tasks.spawn("ray", _watch_ray())
        await input_ended()
        await tasks.close()
        # First those who hand in writes, so that the last of them still find an owner.
        await asyncio.to_thread(serve.shutdown)
        await asyncio.gather(*(owner.close() for owner in owners.values()), return_exceptions=True)


async def _watch_ray() -> None:
    """End this process when Ray has lost its only raylet or its GCS: all its processes go with them."""
    clock = SystemClock()
    ours = [child for child in psutil.Process().children(recursive=True) if child.name() in RAY_PROGRAMS]
    while all(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in ours):
        await clock.sleep(WATCH_S)
    os._exit(EXIT_RAY_ENDED)


if __name__ == "__main__":
    main()

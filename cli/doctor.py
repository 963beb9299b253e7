"""`tidings doctor`: looks at everything that is usually wrong, and says what to do about it."""

import os
import shutil
import stat
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import typer

import wiring
from adapters.clock import SystemClock
from adapters.embedded import haproxy as edge
from adapters.embedded import valkey
from adapters.embedded.descriptors import ENOUGH, LEAST
from adapters.embedded.folder import FREE_BYTES_MIN, DataFolder
from adapters.embedded.ports import claimed
from adapters.embedded.postgres import EmbeddedPostgres
from adapters.embedded.program import left_over
from adapters.http.client import Client
from adapters.redis.client import Cache
from adapters.schemas import load_catalog
from cli.installation import absolute, access, running_settings
from cli.one_machine import require_one_machine
from cli.screen import Screen
from cli.verb import KNOWN, sentence
from core.instants import MICROSECONDS
from settings import Settings, read_settings

SKEW_S_MAX = 2.0
LINE_CHARACTERS = 300
GATES = ("Tidings",)
"""Without it there is nothing that the looks after it could look at."""
Look = Callable[[], Awaitable[str]]


class WrongError(Exception):
    """Something is wrong; the message says what to do."""


async def doctor() -> None:
    """Print a line per look, and exit with 1 when one of them found something.

    Begins with what a start needs, so that it also tells why one failed; what only a running system has is
    looked at when there is one.
    """
    screen, wrong = Screen(), 0
    settings = absolute(read_settings())
    for looks in (_start(settings), _running()):
        for what, look in looks.items():
            try:
                said = await look()
            except (WrongError, *KNOWN) as error:
                wrong += 1
                screen.cross(f"{what}: {sentence(error)}")
                if what in GATES:
                    break
            else:
                screen.mark(f"{what}: {said}")
    if wrong:
        raise typer.Exit(1)


def _start(settings: Settings) -> dict[str, Look]:
    return {
        "Python": _python,
        "open files": _descriptors,
        "disk": lambda: _disk(settings),
        "embedded programs": lambda: _programs(settings),
        "key files": lambda: _keys(settings),
        "resource types": lambda: _schemas(settings),
        "ports": lambda: _ports(settings),
    }


def _running() -> dict[str, Look]:
    return {
        "Tidings": _runs,
        "database": _database,
        "partitions": _partitions,
        "cache": _cache,
        "REST, through the edge": _rest,
    }


async def _python() -> str:
    return sys.version.split()[0]


async def _descriptors() -> str:
    soft, hard = psutil.Process().rlimit(psutil.RLIMIT_NOFILE)
    if hard < LEAST:
        raise WrongError(
            f"{hard} are allowed, {LEAST} are needed: raise the hard limit (ulimit -Hn {ENOUGH})."
        )
    return f"{soft} allowed, up to {hard} on demand"


async def _disk(settings: Settings) -> str:
    folder = settings.installation.data_dir
    while not folder.exists():
        folder = folder.parent  # the first start makes it
    if not os.access(folder, os.W_OK):
        raise WrongError(f"{folder} can't be written to: make it writable, or set TIDINGS_DATA_DIR.")
    free = shutil.disk_usage(folder).free
    if free < FREE_BYTES_MIN:
        raise WrongError(f"{free >> 20} MB are free on the disk of {folder}: free some.")
    return f"{free >> 30} GB free"


async def _programs(settings: Settings) -> str:
    where = settings.installation
    folder = DataFolder(where.data_dir)
    edge.binary()
    if not where.redis_url:
        valkey.binary()
    if not where.database_url:
        EmbeddedPostgres(folder.postgres, folder.run / "pg", folder.logs / "postgres.log")
    return "installed"


async def _ports(settings: Settings) -> str:
    where = settings.installation
    folder = DataFolder(where.data_dir)
    if holder := folder.holder:
        return f"held by `tidings up` (process {holder})"
    records = sorted(folder.run.glob("*.pid"))
    if left := [f"{one.stem} (process {found.pid})" for one in records if (found := left_over(one))]:
        return f"an earlier run left {', '.join(left)}: the next start ends that first"
    ports = {"api": where.api_port, "WebSocket": where.websocket_port, "streams": where.streams_port}
    bind = require_one_machine(settings).installation.bind
    with claimed(where.host, {"the edge": where.port}), claimed(bind, ports, variable="TIDINGS_BIND"):
        return f"{where.port}, {', '.join(str(port) for port in ports.values())} are free"


async def _runs() -> str:
    settings = absolute(read_settings())
    where = settings.installation
    folder = DataFolder(where.data_dir)
    if holder := folder.holder:
        return f"runs on {folder.root} (process {holder})"
    if where.database_url:
        return "does not run on this machine; DATABASE_URL is looked at"
    if not folder.logs.exists():
        raise WrongError(f"has never run on {folder.root}: start it with `make up`, or set TIDINGS_DATA_DIR.")
    raise WrongError(
        f"does not run on {folder.root}: start it with `make up`. If it ended by itself, its logs say why:"
        f"{_last_words(folder.logs)}"
    )


def _last_words(logs: Path) -> str:
    """Return the last line of each log that an earlier run wrote."""
    said = ""
    for log in sorted(logs.glob("*.log")):
        lines = log.read_text(errors="replace").strip().splitlines()
        if lines:
            said += f"\n      {log.name}: {lines[-1][:LINE_CHARACTERS]}"
    return said


async def _keys(settings: Settings) -> str:
    if not settings.installation.data_dir.exists():
        return "made by the first start"
    for file in (wiring.kek_file(settings), wiring.cluster_key_file(settings)):
        _only_ours(file)
    return "there, and readable by their owner alone"


def _only_ours(file: Path) -> None:
    if not file.exists():
        raise WrongError(f"{file} is missing: restore it from its backup.")
    if stat.S_IMODE(file.stat().st_mode) & 0o077:
        raise WrongError(f"{file} can be read by others: run `chmod 600 {file}`.")


async def _schemas(settings: Settings) -> str:
    return ", ".join(sorted(load_catalog(settings.installation.schemas_dir).names))


async def _database() -> str:
    settings = await running_settings()
    async with wiring.open_status(settings) as look:
        await look.today()
        skew_s = abs(await look.database_now() - SystemClock().now()) / MICROSECONDS
    if skew_s > SKEW_S_MAX:
        raise WrongError(f"its clock is {skew_s:.1f} s away from ours: set up time synchronisation on both.")
    return "answers, has a table for today, and its clock agrees"


async def _partitions() -> str:
    settings = await running_settings()
    async with wiring.open_status(settings) as look:
        partitions = await look.status.partitions()
    lost = [str(one.route.partition_id) for one in partitions if not one.route.owner or one.lease_left_s < 0]
    if lost:
        raise WrongError(f"nobody owns {', '.join(lost)}: is `tidings up` or `tidings deploy` running?")
    return f"{len(partitions)}, each with an owner"


async def _cache() -> str:
    settings = await running_settings()
    url = settings.installation.redis_url or DataFolder(settings.installation.data_dir).redis_url
    cache = Cache.open(url)
    try:
        await cache.ping()
    finally:
        await cache.close()
    return "answers"


async def _rest() -> str:
    found = access()
    async with Client(found.url, found.api_key) as client:
        events = await client.call("GET", "/v1/events?limit=1")
    return f"answers at {found.url}; the first organization stands at seq {events['seq']}"

"""`tidings doctor`: looks at everything that is usually wrong, and says what to do about it."""

import shutil
import stat
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import typer

import wiring
from adapters.clock import SystemClock
from adapters.embedded.descriptors import ENOUGH, LEAST
from adapters.embedded.folder import FREE_BYTES_MIN, DataFolder
from adapters.http.client import Client
from adapters.redis.client import Cache, CacheError
from adapters.schemas import load_catalog
from cli.installation import Access, access, running_settings
from cli.screen import Screen
from cli.verb import KNOWN
from core.instants import MICROSECONDS
from settings import Settings

SKEW_S_MAX = 2.0
Look = Callable[[], Awaitable[str]]


class WrongError(Exception):
    """Something is wrong; the message says what to do."""


async def doctor() -> None:
    """Print a line per look, and exit with 1 when one of them found something."""
    settings = running_settings()
    found = access()
    looks: dict[str, Look] = {
        "Python": _python,
        "open files": _descriptors,
        "disk": lambda: _disk(settings),
        "key files": lambda: _keys(settings),
        "resource types": lambda: _schemas(settings),
        "database": lambda: _database(settings),
        "partitions": lambda: _partitions(settings),
        "cache": lambda: _cache(settings),
        "REST, through the edge": lambda: _rest(found),
    }
    screen, wrong = Screen(), 0
    for what, look in looks.items():
        try:
            said = await look()
        except (WrongError, CacheError, *KNOWN) as error:
            wrong += 1
            screen.say(f"  ✗ {what}: {error}")
        else:
            screen.mark(f"{what}: {said}")
    if wrong:
        raise typer.Exit(1)


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
    free = shutil.disk_usage(folder).free
    if free < FREE_BYTES_MIN:
        raise WrongError(f"{free >> 20} MB are free on the disk of {folder}: free some.")
    return f"{free >> 30} GB free"


async def _keys(settings: Settings) -> str:
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


async def _database(settings: Settings) -> str:
    async with wiring.open_status(settings) as look:
        await look.today()
        skew_s = abs(await look.database_now() - SystemClock().now()) / MICROSECONDS
    if skew_s > SKEW_S_MAX:
        raise WrongError(f"its clock is {skew_s:.1f} s away from ours: set up time synchronisation on both.")
    return "answers, has a table for today, and its clock agrees"


async def _partitions(settings: Settings) -> str:
    async with wiring.open_status(settings) as look:
        partitions = await look.status.partitions()
    lost = [str(one.route.partition_id) for one in partitions if not one.route.owner or one.lease_left_s < 0]
    if lost:
        raise WrongError(f"nobody owns {', '.join(lost)}: is `tidings up` or `tidings deploy` running?")
    return f"{len(partitions)}, each with an owner"


async def _cache(settings: Settings) -> str:
    url = settings.installation.redis_url or DataFolder(settings.installation.data_dir).redis_url
    cache = Cache.open(url)
    try:
        await cache.ping()
    finally:
        await cache.close()
    return "answers"


async def _rest(found: Access) -> str:
    async with Client(found.url, found.api_key) as client:
        events = await client.call("GET", "/v1/events?limit=1")
    return f"answers at {found.url}; the first organization stands at seq {events['seq']}"

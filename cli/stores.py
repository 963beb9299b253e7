"""The stores that others run: reached before anything is built on them, or a sentence that says why not."""

import asyncio
from collections.abc import Callable
from typing import Final

from adapters.embedded.errors import StartError
from adapters.postgres.faults import UNREACHABLE
from adapters.postgres.pool import Database
from adapters.redis.client import Cache, CacheError
from core.ports import Clock

ANSWER_S: Final = 10.0
DATABASE_WAIT_S: Final = 120.0
DATABASE_PAUSE_S: Final = 2.0
REFUSALS: Final = ("28", "3D")
"""Classes of SQLSTATE that no waiting changes: the credentials are wrong, or there is no such database."""


class SilentError(StartError):
    """The store does not answer; it may do so later."""


def shown(url: str) -> str:
    """Return the address without what may be secret in it."""
    return url.rpartition("@")[2].partition("?")[0]


async def reach_database(url: str) -> None:
    """Return when the PostgreSQL of DATABASE_URL has answered.

    Raises:
        SilentError: it does not answer.
        StartError: waiting would not help: the URL is malformed, or the server refuses it.
    """
    try:
        async with asyncio.timeout(ANSWER_S):
            database = await Database.open(url, 1)
    except (ValueError, LookupError) as error:
        # A parser's own words may hold a part of the password.
        why = f"{error}" if isinstance(error, UNREACHABLE) else "it can't be parsed"
        raise StartError(
            f"DATABASE_URL can't be used ({why}): give it the form postgresql://user:password@host:5432/database."
        ) from error
    except UNREACHABLE as error:
        if (getattr(error, "sqlstate", None) or "").startswith(REFUSALS):
            raise StartError(
                f"The PostgreSQL of DATABASE_URL ({shown(url)}) refuses it ({error}): correct DATABASE_URL."
            ) from error
        why = f"{error}" or f"nothing came within {ANSWER_S:.0f} s"
        raise SilentError(
            f"The PostgreSQL of DATABASE_URL ({shown(url)}) does not answer ({why}): "
            "start it, or correct DATABASE_URL."
        ) from error
    await database.close()


async def await_database(url: str, say: Callable[[str], None], clock: Clock) -> None:
    """Return when the database has answered; say what is waited for, since it may come after the cluster.

    Args:
        url: of the database.
        say: tells the person at the terminal, once.
        clock: for pauses.

    Raises:
        SilentError: it did not answer within two minutes.
        StartError: at once, when waiting would not help.
    """
    deadline = clock.monotonic() + DATABASE_WAIT_S
    said = False
    while True:
        try:
            await reach_database(url)
        except SilentError as error:
            if clock.monotonic() >= deadline:
                raise
            if not said:
                say(f"{error} Waiting for it, up to {DATABASE_WAIT_S:.0f} s.")
                said = True
            await clock.sleep(DATABASE_PAUSE_S)
        else:
            return


async def reach_cache(url: str) -> None:
    """Return when the Valkey or Redis of REDIS_URL has answered.

    Raises:
        SilentError: it does not answer.
        StartError: the URL is malformed.
    """
    try:
        cache = Cache.open(url)
    except ValueError as error:
        raise StartError(f"REDIS_URL can't be used ({error}): give it the form redis://host:6379.") from error
    try:
        await cache.ping()
    except CacheError as error:
        raise SilentError(
            f"The Valkey or Redis of REDIS_URL ({shown(url)}) does not answer ({error}): "
            "start it, correct REDIS_URL, or leave it out."
        ) from error
    finally:
        await cache.close()

"""Runs the work of one command and turns what a person can act on into one sentence."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import typer

from adapters.embedded.errors import StartError
from adapters.http.client import AnswerError, UnreachableError
from adapters.postgres.faults import UNREACHABLE
from adapters.postgres.maintenance import MissingDayError
from adapters.postgres.migrate import DataFormatError
from adapters.postgres.sealing import SealingError
from adapters.redis.client import CacheError
from adapters.telemetry.logging import configure_logging
from cli.screen import Screen
from core.errors import TidingsError
from core.resources.schema import SchemaError
from settings import SettingsError

T = TypeVar("T")

KNOWN = (
    StartError, SettingsError, SchemaError, SealingError, DataFormatError, MissingDayError, AnswerError,
    UnreachableError, CacheError, TidingsError, *UNREACHABLE,
)  # fmt: skip


def sentence(error: BaseException) -> str:
    """Return one of `KNOWN` as a sentence that says what to do."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename} can't be used: {error.strerror}."
    if isinstance(error, UNREACHABLE):
        said = str(error) or type(error).__name__
        return (
            f"the database does not do it ({said}). Is `tidings up` running, or is DATABASE_URL right? "
            "`tidings doctor` looks."
        )
    return str(error) or type(error).__name__


def attempt(work: Callable[[], T]) -> T:
    """Return what the work returns; exit with 1 and a sentence when it can't be done, with 130 on Ctrl-C."""
    configure_logging("terminal")
    try:
        return work()
    except KNOWN as error:
        Screen().fail(sentence(error))
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, as `attempt` does."""
    return attempt(lambda: asyncio.run(work))

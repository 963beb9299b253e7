"""Runs the work of one command and turns what a person can act on into one sentence."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import typer

from adapters.embedded.errors import StartError
from adapters.http.client import AnswerError, UnreachableError
from adapters.postgres.faults import UNREACHABLE
from adapters.postgres.maintenance import MissingDayError
from adapters.postgres.migrate import DataFormatError
from adapters.postgres.sealing import SealingError
from adapters.telemetry.logging import configure_logging
from cli.screen import Screen
from core.errors import TidingsError
from core.resources.schema import SchemaError

T = TypeVar("T")

KNOWN = (
    StartError, SchemaError, SealingError, DataFormatError, MissingDayError, AnswerError, UnreachableError,
    TidingsError, *UNREACHABLE,
)  # fmt: skip


def run(work: Coroutine[Any, Any, T]) -> T:
    """Return what the work returns; exit with 1 and a sentence when it can't be done, with 130 on Ctrl-C."""
    configure_logging("terminal")
    try:
        return asyncio.run(work)
    except KNOWN as error:
        Screen().fail(str(error) or type(error).__name__)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None

"""Logs: JSON lines on standard error in services, a few words in a terminal."""

import logging
import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from types import TracebackType
from typing import Final, Literal

import structlog


class LinesAbout:
    """Puts names on every line that is logged inside of the block, by whatever it calls.

    A task that the block starts and leaves behind is named while the block lasts, and not after. Costs next
    to nothing unless a line is logged.

    Args:
        names: called for each line; what the line says itself counts more.
    """

    __slots__ = ("_names",)

    def __init__(self, names: Callable[[], Mapping[str, str]]) -> None:
        self._names: Callable[[], Mapping[str, str]] | None = names

    def __enter__(self) -> None:
        _ABOUT.set(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._names = None

    @property
    def names(self) -> Mapping[str, str]:
        """The names; none once the block has ended."""
        return {} if self._names is None else self._names()


_ABOUT: Final[ContextVar[LinesAbout | None]] = ContextVar("lines_about", default=None)


def add_names(
    _logger: structlog.typing.WrappedLogger, _method: str, line: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Add the names of the block that a line is logged in, as a processor of structlog."""
    about = _ABOUT.get()
    if about is not None:
        for name, value in about.names.items():
            line.setdefault(name, value)
    return line


def configure_logging(form: Literal["json", "terminal"]) -> None:
    """Set up the logs of this process, once, at its start.

    Args:
        form: `json` gives every event from `info` on, one JSON object a line; `terminal` only what the person
            there should know.
    """
    level = logging.INFO if form == "json" else logging.ERROR
    processors: list[structlog.typing.Processor] = [
        add_names,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if form == "json":
        processors += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        processors.append(structlog.dev.ConsoleRenderer())
    # Ray Serve takes `sys.stderr` over and keeps what is written there, until there is a lot or it is killed.
    stream = sys.__stderr__ if form == "json" else sys.stderr
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )

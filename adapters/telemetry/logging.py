"""Logs: JSON lines on standard error in services, a few words in a terminal."""

import logging
import sys
from typing import Literal

import structlog


def configure_logging(form: Literal["json", "terminal"]) -> None:
    """Set up the logs of this process, once, at its start.

    Args:
        form: `json` gives every event from `info` on, one JSON object a line; `terminal` only what the person
            there should know.
    """
    level = logging.INFO if form == "json" else logging.ERROR
    processors: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if form == "json":
        processors += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        processors.append(structlog.dev.ConsoleRenderer())
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )

"""Waits until something that was started does its work."""

import asyncio
import inspect
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from http.client import HTTPException
from pathlib import Path

from adapters.clock import SystemClock
from adapters.embedded.errors import StartError
from adapters.embedded.program import Program

TICK_S = 0.05
ANSWER_S = 2.0
Condition = Callable[[], bool | Awaitable[bool]]


async def until(program: Program, what: str, condition: Condition, timeout_s: float) -> None:
    """Return when the condition holds.

    Raises:
        StartError: the program has ended, or the time is up.
    """
    clock = SystemClock()
    deadline = clock.monotonic() + timeout_s
    while True:
        held = condition()
        if await held if inspect.isawaitable(held) else held:
            return
        program.check()
        if clock.monotonic() > deadline:
            raise StartError(f"{what} was not ready after {timeout_s:.0f} s; see {program.log_file}.")
        await clock.sleep(TICK_S)


def noted(file: Path, step: str) -> Condition:
    """Return the condition that a child has written down a step."""

    def held() -> bool:
        return file.exists() and step in file.read_text().split()

    return held


def answers(port: int, path: str, host: str = "127.0.0.1") -> Callable[[], Awaitable[bool]]:
    """Return the condition that an HTTP server of this machine answers 200."""
    address = f"[{host}]" if ":" in host else host

    def ask() -> bool:
        try:
            with urllib.request.urlopen(f"http://{address}:{port}{path}", timeout=ANSWER_S) as answer:
                return bool(answer.status == 200)  # noqa: PLR2004 (HTTP's name for success)
        except (urllib.error.URLError, HTTPException, OSError):
            return False

    async def held() -> bool:
        return await asyncio.to_thread(ask)

    return held

"""Waits for a condition with a deadline, for what announces itself in no other way."""

import asyncio
import itertools
import time
from collections.abc import Callable

LOOK_S = 0.05


async def eventually(condition: Callable[[], bool], *, within_s: float) -> bool:
    """Return True as soon as the condition holds, False when it does not by the deadline."""
    deadline = time.monotonic() + within_s
    for _ in itertools.count():
        if condition():
            return True
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(LOOK_S)
    return False

"""The end of `tidings up`: in order, but by a deadline, and at once for whoever asks a second time."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

import psutil

from adapters.embedded.program import kill_all

KILL_S: Final = 1.0
"""How long the kernel may take to bury what was killed."""


def family() -> set[psutil.Process]:
    """Return every process that this one has started, directly or not."""
    return set(psutil.Process().children(recursive=True))


async def end(
    in_order: Coroutine[Any, Any, None], hurry: asyncio.Event, timeout_s: float, say: Callable[[str], None]
) -> None:
    """Let the processes of this one end in order, and kill what is left of them then.

    Args:
        in_order: stops one after the other, and may take its time.
        hurry: once it is set, nothing is waited for any more.
        timeout_s: when it is over, the same.
        say: tells the person at the terminal that something had to be killed.
    """
    members = family()  # now: those whose parent ends would be nobody's children
    loop = asyncio.get_running_loop()
    ending = loop.create_task(in_order, name="up.end")
    hurried = loop.create_task(hurry.wait(), name="up.hurry")
    await asyncio.wait({ending, hurried}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    hurried.cancel()
    late = not ending.done()
    if late:
        why = "Asked again" if hurry.is_set() else f"Not all has stopped after {timeout_s:.0f} s"
        say(f"{why}: killing what is left. Nothing acknowledged is lost.")
    kill_all(members | family(), KILL_S)
    if late:
        ending.cancel()
        await asyncio.wait({ending})
    else:
        ending.result()

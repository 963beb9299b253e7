"""A replica in a thread of its own, so that a peer of plain bytes (`tests/helpers/frames.py`) may block."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from tests.helpers.realtime import Realtimes, realtime_of


@contextmanager
def in_a_thread(url: str, **settings: Any) -> Iterator[Realtimes]:
    """Give a running replica."""
    started: Future[tuple[Realtimes, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        try:
            async with realtime_of(url, **settings) as system:
                ended = asyncio.Event()
                started.set_result((system, asyncio.get_running_loop(), ended))
                await ended.wait()
        except BaseException as error:
            if not started.done():
                started.set_exception(error)
            raise

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="replica")
    thread.start()
    system, loop, ended = started.result(30)
    try:
        yield system
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(30)


def port_of(system: Realtimes) -> int:
    """Return the port of a replica's sockets."""
    return urlsplit(system.url).port or 0

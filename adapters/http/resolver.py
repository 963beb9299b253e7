"""Looks up the names that organizations name, in threads of its own.

A name server of theirs may take half a minute to say nothing. The threads that the rest of the process looks
up its database with must not wait for it, and one organization must not keep the others waiting.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

from aiohttp.abc import AbstractResolver, ResolveResult

from adapters.http.addresses import AddressInfo

THREADS_MAX: Final = 64
"""Look-ups of all organizations at a time; more wait for one to end."""
OWN_MAX: Final = 2
"""Of one organization."""

LookUp = Callable[..., list[Any]]


class Threads:
    """The threads of one process; `close` them.

    Args:
        look_up: `socket.getaddrinfo`, or what does the same.
    """

    def __init__(self, look_up: LookUp = socket.getaddrinfo) -> None:
        self._look_up = look_up
        self._pool = ThreadPoolExecutor(THREADS_MAX, "look_up")

    def begin(self, host: str, port: int, family: int) -> Future[list[AddressInfo]]:
        """Begin to look a name up."""
        flags = socket.AI_ADDRCONFIG
        return self._pool.submit(
            self._look_up, host, port, family=family, type=socket.SOCK_STREAM, flags=flags
        )

    def close(self) -> None:
        """Begin no more; those under way end by themselves."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class Resolver(AbstractResolver):
    """What one organization's names are looked up by. Its look-ups count until they end, wanted or not."""

    def __init__(self, threads: Threads, at_a_time_max: int = OWN_MAX) -> None:
        self._threads = threads
        self._room = asyncio.Semaphore(at_a_time_max)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a name.

        Raises:
            OSError: it has none.
        """
        await self._room.acquire()
        loop = asyncio.get_running_loop()
        found = self._threads.begin(host, port, family)
        found.add_done_callback(lambda _: _tell(loop, self._room.release))
        return [
            ResolveResult(
                hostname=host,
                host=address[0],
                port=address[1],
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in await asyncio.wrap_future(found)
        ]

    async def close(self) -> None:
        """The threads are others', too."""


def _tell(loop: asyncio.AbstractEventLoop, what: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits for room
        loop.call_soon_threadsafe(what)

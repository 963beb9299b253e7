"""A Valkey of a test's own, which can be emptied, stopped and started again."""

import asyncio
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from adapters.embedded.program import Program
from adapters.embedded.valkey import valkey
from adapters.redis.client import Cache, CacheError


@dataclass
class Server:
    """A running server."""

    url: str
    program: Program

    async def ask(self, *command: str | int) -> Any:
        """Run one command."""
        cache = Cache.open(self.url)
        try:
            return (await cache.run([command]))[0]
        finally:
            await cache.close()

    async def keys(self) -> set[str]:
        """Return all keys."""
        return {key.decode() for key in await self.ask("KEYS", "*")}

    async def start(self) -> None:
        """Start it, and return when it answers."""
        self.program.start()
        async with asyncio.timeout(10):
            while True:
                try:
                    await self.ask("PING")
                except CacheError:
                    await asyncio.sleep(0.01)
                else:
                    return

    def pause(self) -> None:
        """Let it answer nobody, with all connections open."""
        assert self.program.pid is not None
        psutil.Process(self.program.pid).send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on after `pause`."""
        assert self.program.pid is not None
        psutil.Process(self.program.pid).send_signal(signal.SIGCONT)


@asynccontextmanager
async def cache_server() -> AsyncIterator[Server]:
    """Give a server that is running and empty."""
    with tempfile.TemporaryDirectory(prefix="tidings-") as name:
        folder = Path(name)
        server = Server(f"unix://{folder / 'valkey.sock'}", valkey(folder, folder))
        await server.start()
        try:
            yield server
        finally:
            await server.program.stop()


@asynccontextmanager
async def cache_of(server: Server) -> AsyncIterator[Cache]:
    """Give a client of it."""
    cache = Cache.open(server.url)
    try:
        yield cache
    finally:
        await cache.close()

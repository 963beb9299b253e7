"""A Valkey of a test's own, which can be emptied, stopped and started again."""

import asyncio
import signal
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
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


Treachery = Callable[[asyncio.StreamWriter], Awaitable[None]]
"""What is done before something is passed on, with the way back to who said it."""


@asynccontextmanager
async def relayed(server: Server) -> AsyncIterator[tuple[Server, list[Treachery]]]:
    """Give the server behind a relay, and a list: each thing put there is done before one piece goes on."""
    path = server.url.removeprefix("unix://")
    before: list[Treachery] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_unix_connection(path)
        answers = asyncio.ensure_future(pump(inner_reader, writer))
        while data := await reader.read(65_536):
            if before:
                await before.pop(0)(writer)
            inner_writer.write(data)
        answers.cancel()
        for end in (writer, inner_writer):
            end.close()

    async with await asyncio.start_unix_server(relay, f"{path}.relay"):
        yield Server(f"{server.url}.relay", server.program), before


@asynccontextmanager
async def cache_of(server: Server) -> AsyncIterator[Cache]:
    """Give a client of it."""
    cache = Cache.open(server.url)
    try:
        yield cache
    finally:
        await cache.close()

"""The server of the streams port around any application, and requests whose bytes stand in the test."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from gateway.realtime.exchange import Exchange
from gateway.realtime.streams_server import StreamsServer
from tests.helpers.ports import listener


@asynccontextmanager
async def served(
    serve: Callable[[Exchange], Awaitable[None]], *, stalled_s: float = 5.0
) -> AsyncIterator[int]:
    """Give the port of a server whose every request is an exchange for `serve`."""

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await serve(Exchange(scope, receive, send, "req_test", stalled_s))

    bound = listener()
    server = StreamsServer(application)
    serving = asyncio.ensure_future(server.serve(sockets=[bound]))
    try:
        yield bound.getsockname()[1]
    finally:
        server.should_exit = True
        await serving


class Raw:
    """One connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def head(self) -> str:
        """Return the head of the next answer."""
        async with asyncio.timeout(5):
            return (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")

    async def part(self) -> bytes:
        """Return the next part of a chunked body; b"" is its end."""
        async with asyncio.timeout(5):
            size = int(await self.reader.readline(), 16)
            return (await self.reader.readexactly(size + 2))[:-2]

    async def rest(self) -> bytes:
        """Return what comes until the connection ends."""
        async with asyncio.timeout(5):
            return await self.reader.read()


@asynccontextmanager
async def raw(port: int, *sent: bytes) -> AsyncIterator[Raw]:
    """Give a connection on which this was sent already."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**22)
    writer.write(b"".join(sent))
    try:
        yield Raw(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):  # it was cut off
            await writer.wait_closed()

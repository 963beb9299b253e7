"""A proxy that understands PostgreSQL's messages and takes a connection away in the middle of an append.

It knows the append by the name under which its statement was prepared, so every other statement passes. Use
`sslmode=disable`: an encrypted connection cannot be read.
"""

import asyncio
from collections import Counter
from enum import Enum
from types import TracebackType
from typing import Self

STATEMENT = b"append"
_BIND, _EXECUTE, _SYNC, _READY = b"B", b"E", b"S", b"Z"


class Cut(Enum):
    """Where the connection ends."""

    BEFORE = "the request was not forwarded"
    FORWARDED = "the request was forwarded, nobody waits for its answer"
    ANSWERED = "the server has committed and answered, the answer was not returned"


class PostgresProxy:
    """Passes connections on to a server's Unix socket; cuts one append for each `arm`."""

    def __init__(self, socket_path: str) -> None:
        self._socket_path = socket_path
        self._armed: Cut | None = None
        self._done = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self.cuts: Counter[Cut] = Counter()
        self.appends = 0
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def cut_next(self, where: Cut, within_s: float) -> None:
        """Cut the next append at this point, and return when that has happened.

        Raises:
            TimeoutError: no append came.
        """
        self._done.clear()
        self._armed = where
        async with asyncio.timeout(within_s):
            await self._done.wait()

    def take(self) -> Cut | None:
        """Return what the append that passes now has to suffer, once."""
        armed, self._armed = self._armed, None
        return armed

    def count(self, where: Cut) -> None:
        """Note that a cut has happened."""
        self.cuts[where] += 1
        self._done.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_unix_connection(self._socket_path)
        except OSError:
            writer.transport.abort()
            return
        session = _Session(self, writer, far_writer)
        loop = asyncio.get_running_loop()
        for work in (session.requests(reader), session.answers(far_reader)):
            task = loop.create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


class _Session:
    def __init__(
        self, proxy: PostgresProxy, client: asyncio.StreamWriter, server: asyncio.StreamWriter
    ) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._withheld = False

    async def requests(self, reader: asyncio.StreamReader) -> None:
        """Forward what the client says, up to the cut."""
        is_append, cut = False, None
        try:
            size = await reader.readexactly(4)  # the first message has no type
            self._server.write(size + await reader.readexactly(int.from_bytes(size, "big") - 4))
            while True:
                kind, message = await _message(reader)
                if kind == _BIND:
                    is_append = message[5:].split(b"\0", 2)[1] == STATEMENT
                if kind == _EXECUTE and is_append:
                    self._proxy.appends += 1
                    cut = self._proxy.take()
                    if cut is Cut.BEFORE:
                        self._end(cut)
                        return
                    self._withheld = cut is Cut.ANSWERED
                self._server.write(message)
                await self._server.drain()
                if kind == _SYNC and cut is Cut.FORWARDED:
                    self._end(cut)
                    return
        except (asyncio.IncompleteReadError, OSError):
            self._close()

    async def answers(self, reader: asyncio.StreamReader) -> None:
        """Return what the server says, unless it is to be withheld."""
        try:
            while True:
                kind, message = await _message(reader)
                if not self._withheld:
                    self._client.write(message)
                    await self._client.drain()
                elif kind == _READY:
                    self._end(Cut.ANSWERED)
                    return
        except (asyncio.IncompleteReadError, OSError):
            self._close()

    def _end(self, cut: Cut) -> None:
        # What was written to the server still reaches it: `close` flushes, `abort` would not.
        self._client.transport.abort()
        self._server.close()
        self._proxy.count(cut)

    def _close(self) -> None:
        self._client.close()
        self._server.close()


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readexactly(5)
    return head[:1], head + await reader.readexactly(int.from_bytes(head[1:], "big") - 4)

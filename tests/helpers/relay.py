"""A TCP relay that stands between two parties and misbehaves on command: cut, stall, let through again."""

import asyncio
from types import TracebackType
from typing import Self

PIECE_BYTES = 65_536


class Relay:
    """Passes every connection on to one address. Starts and ends with the block of `async with`.

    Its port stays the same while it is cut, so a client that reconnects meets the cut, as behind a dead link.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._whole = asyncio.Event()
        self._whole.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._passing: set[asyncio.Task[None]] = set()
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self.cut()
        for task in self._passing:
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def connections(self) -> int:
        """How many connections pass through at the moment."""
        return len(self._writers) // 2

    def cut(self) -> None:
        """Reset all connections, and every new one until `heal`."""
        self._whole.clear()
        for writer in tuple(self._writers):
            writer.transport.abort()

    def heal(self) -> None:
        """Let new connections and stalled bytes through again."""
        self._whole.set()
        self._flowing.set()

    def stall(self) -> None:
        """Keep all connections and pass nothing on, both ways, until `heal`."""
        self._flowing.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._whole.is_set():
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        if not self._whole.is_set():  # cut while the other side was being reached
            self.cut()
        loop = asyncio.get_running_loop()
        for source, target in ((reader, far_writer), (far_reader, writer)):
            task = loop.create_task(self._pass(source, target, writer, far_writer))
            self._passing.add(task)
            task.add_done_callback(self._passing.discard)

    async def _pass(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *both: asyncio.StreamWriter
    ) -> None:
        try:
            while piece := await source.read(PIECE_BYTES):
                await self._flowing.wait()
                target.write(piece)
                await target.drain()
        except OSError:
            pass  # one side is gone; what follows ends the other
        finally:
            for writer in both:
                self._writers.discard(writer)
                writer.close()

"""A TCP proxy that delays, stalls, throttles, cuts and half-closes, and counts what passes.

Faults come from outside: the systems on both sides run unchanged. Who must act at a certain message (cut a
COMMIT after it was forwarded) gives the proxy an `Inspector` of the protocol.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Literal, Self

Direction = Literal["up", "down"]
"""`up`: from the caller to the target; `down`: back."""

CHUNK_BYTES = 65_536
CHUNKS_HELD_MAX = 64
"""What a stalled direction holds before it reads no further, so that the sender feels it."""


class Inspector:
    """Sees the bytes of one connection before they are passed on; subclass it for a protocol.

    `feed` returns what may pass now, and keeps the rest for the next call. It may call `connection.cut()`
    (what it returns is then sent first when `connection.cut_after` was called instead).
    """

    def feed(self, connection: "ProxiedConnection", direction: Direction, chunk: bytes) -> bytes:  # noqa: ARG002 (for subclasses)
        return chunk


class Flow:
    """One direction of all connections: change its fields at any time."""

    def __init__(self) -> None:
        self.delay_s = 0.0
        self.bytes_per_s = 0.0
        self.bytes_passed = 0
        self._passable = asyncio.Event()
        self._passable.set()

    def stall(self) -> None:
        """Let nothing pass; what was sent is kept, and no end is told either."""
        self._passable.clear()

    def resume(self) -> None:
        """Let pass what was kept, and what follows."""
        self._passable.set()

    async def passable(self) -> None:
        """Return when bytes may pass."""
        await self._passable.wait()


class ProxiedConnection:
    """One caller's connection through the proxy."""

    def __init__(
        self,
        flows: dict[Direction, Flow],
        inspector: Inspector,
        caller: asyncio.StreamWriter,
        target: asyncio.StreamWriter,
    ) -> None:
        self.bytes_passed: dict[Direction, int] = {"up": 0, "down": 0}
        self._flows = flows
        self._inspector = inspector
        self._writers: dict[Direction, asyncio.StreamWriter] = {"up": target, "down": caller}
        self._cutting = False

    def cut(self) -> None:
        """End both sides at once; what has not passed is lost."""
        for writer in self._writers.values():
            writer.transport.abort()

    def cut_after(self) -> None:
        """End both sides after what the inspector's present call returns has been passed on."""
        self._cutting = True

    def half_close(self, direction: Direction) -> None:
        """Tell the receiver of one direction that no more will come; the other direction goes on."""
        with contextlib.suppress(OSError, RuntimeError):
            self._writers[direction].write_eof()

    async def pump(self, direction: Direction, reader: asyncio.StreamReader) -> None:
        """Carry one direction until its sender ends."""
        kept: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(CHUNKS_HELD_MAX)
        forwarding = asyncio.create_task(self._forward(direction, kept))
        try:
            while True:
                chunk = await reader.read(CHUNK_BYTES)
                await kept.put((asyncio.get_running_loop().time() + self._flows[direction].delay_s, chunk))
                if not chunk:
                    break
            await forwarding
        except OSError:
            self.cut()
        finally:
            forwarding.cancel()

    async def _forward(self, direction: Direction, kept: asyncio.Queue[tuple[float, bytes]]) -> None:
        flow, writer = self._flows[direction], self._writers[direction]
        while True:
            due, chunk = await kept.get()
            await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
            await flow.passable()
            if not chunk:
                self.half_close(direction)
                return
            passed = self._inspector.feed(self, direction, chunk)
            flow.bytes_passed += len(passed)
            self.bytes_passed[direction] += len(passed)
            try:
                writer.write(passed)
                await writer.drain()
            except OSError:
                self.cut()
                return
            if self._cutting:
                self.cut()
                return
            if flow.bytes_per_s:
                await asyncio.sleep(len(passed) / flow.bytes_per_s)


class Proxy:
    """Listens on a free port of 127.0.0.1 and carries each connection to `target`, which may be changed.

    Args:
        target: `host:port`.
        inspector: makes one inspector a connection.
    """

    def __init__(self, target: str, inspector: Callable[[], Inspector] = Inspector) -> None:
        self.target = target
        self.up = Flow()
        self.down = Flow()
        self.connections: list[ProxiedConnection] = []
        self.accepted = 0
        self._inspector = inspector
        self._server: asyncio.Server | None = None
        self._port = 0
        self._pumps: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.refuse()
        self.cut()
        for pump in list(self._pumps):
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    @property
    def address(self) -> str:
        """Where callers connect to, as `host:port`."""
        return f"127.0.0.1:{self._port}"

    async def listen(self) -> None:
        """Accept connections, after `refuse` on the same port again."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port, reuse_address=True)
        self._port = self._server.sockets[0].getsockname()[1]

    def refuse(self) -> None:
        """Refuse new connections; the open ones go on."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def cut(self) -> None:
        """End every connection at once."""
        for connection in list(self.connections):
            connection.cut()

    def stall(self) -> None:
        """Let nothing pass in either direction: half open, to both ends."""
        self.up.stall()
        self.down.stall()

    def resume(self) -> None:
        """Let pass what was kept."""
        self.up.resume()
        self.down.resume()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._pumps.add(task)
        self.accepted += 1
        try:
            await self._carry(reader, writer)
        except asyncio.CancelledError:
            pass  # the proxy closes: the streams' own callback would report it as an error
        finally:
            self._pumps.discard(task)
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self.target.rpartition(":")
        try:
            target_reader, target_writer = await asyncio.open_connection(host, int(port))
        except OSError:
            return
        flows: dict[Direction, Flow] = {"up": self.up, "down": self.down}
        connection = ProxiedConnection(flows, self._inspector(), writer, target_writer)
        self.connections.append(connection)
        try:
            await asyncio.gather(connection.pump("up", reader), connection.pump("down", target_reader))
        finally:
            self.connections.remove(connection)
            target_writer.transport.abort()

"""One realtime replica: its two listeners, its clients, and an ending that lets them come back elsewhere."""

import asyncio
import contextlib
import socket
from dataclasses import dataclass
from typing import Any

import uvicorn

from adapters.postgres.channels import ChannelReader
from adapters.postgres.streams import LogReader
from adapters.telemetry.tasks import Tasks
from core.connections.codes import SHUTDOWN
from core.ports import Clock, Entropy, LiveFeed, StreamWriter
from core.resources.schema import Catalog
from gateway.auth import Authenticator
from gateway.realtime.feed import Feed
from gateway.realtime.hub import Hub
from gateway.realtime.parts import Replica
from gateway.realtime.streams import EventStreams
from gateway.realtime.subscribing import Reader
from gateway.realtime.websocket import Sockets
from gateway.realtime.wheel import Wheel
from settings import Settings

VERSION = "tidings 0.1.0"
SWEEP_S = 5.0


@dataclass(frozen=True, slots=True)
class RealtimeParts:
    """What a replica is made of."""

    settings: Settings
    writer: StreamWriter
    feed: LiveFeed
    authenticator: Authenticator
    catalog: Catalog
    log: LogReader
    channels: ChannelReader
    clock: Clock
    entropy: Entropy


class _StreamsServer(uvicorn.Server):
    """uvicorn inside a process that is not its own: signals are the process's business."""

    def capture_signals(self) -> contextlib.AbstractContextManager[None]:  # type: ignore[override]  # uvicorn's is a generator
        return contextlib.nullcontext()


class RealtimeServer:
    """Listens for sockets and streams from `open` to `close`."""

    def __init__(self, parts: RealtimeParts) -> None:
        self._parts = parts
        self._tasks = Tasks("realtime")
        settings = parts.settings.realtime
        self._hub = Hub(parts.feed, parts.log, parts.clock, settings, self._tasks, self._broken)
        self._replica = Replica(
            settings=settings,
            deadline_ms=parts.settings.log.request_deadline_ms,
            version=VERSION,
            namespaces=parts.catalog.names,
            writer=parts.writer,
            authenticator=parts.authenticator,
            hub=self._hub,
            reader=Reader(parts.channels, settings),
            channels=parts.channels,
            wheel=Wheel(parts.clock),
            clock=parts.clock,
            entropy=parts.entropy,
            tasks=self._tasks,
        )
        self._sockets = Sockets(self._replica)
        self._websockets: asyncio.Server | None = None
        self._streams: _StreamsServer | None = None
        self._serving: asyncio.Task[None] | None = None

    async def open(self, websocket_socket: socket.socket, streams_socket: socket.socket) -> None:
        """Listen on both sockets, which are bound already."""
        settings = self._parts.settings
        self._tasks.spawn("wheel", self._replica.wheel.run())
        self._tasks.spawn("sweep", self._sweep())
        config = uvicorn.Config(
            EventStreams(self._replica, self._parts.log, settings.installation.origin),
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=1,
        )
        self._streams = _StreamsServer(config)
        self._serving = self._tasks.spawn("streams", self._streams.serve(sockets=[streams_socket]))
        self._websockets = await self._sockets.listen(websocket_socket)

    @property
    def sockets(self) -> int:
        """How many sockets are open."""
        return len(self._sockets.open)

    @property
    def is_healthy(self) -> bool:
        """Whether both listeners still serve."""
        serving = self._serving is not None and not self._serving.done()
        return serving and self._websockets is not None and self._websockets.is_serving()

    async def close(self) -> None:
        """Stop listening and close every socket with 3001, spread over the drain time.

        Nobody loses anything: each client comes back elsewhere and goes on from its position.
        """
        if self._websockets is not None:
            self._websockets.close()
        clients = list(self._sockets.open)
        pause_s = self._parts.settings.realtime.drain_s / max(1, len(clients))
        for client in clients:
            client.end(SHUTDOWN)
            await self._parts.clock.sleep(pause_s * 2 * self._parts.entropy.jitter())
        if self._streams is not None:
            self._streams.should_exit = True
        if self._serving is not None:
            await asyncio.wait({self._serving}, timeout=3)
        await self._tasks.close()

    async def _sweep(self) -> None:
        while True:
            await self._parts.clock.sleep(SWEEP_S)
            self._hub.sweep()

    def _broken(self, feed: Feed) -> None:
        for client in list(self._sockets.open):
            client.broken(feed)

    def status(self) -> dict[str, Any]:
        """Return what this replica holds, for people."""
        return {"sockets": self.sockets, "organizations": len(self._hub.feeds)}

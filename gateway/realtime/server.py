"""One realtime replica: its two listeners, its clients, and an ending that lets them come back elsewhere."""

import asyncio
import socket
from dataclasses import dataclass
from typing import Any

from adapters.postgres.channels import ChannelReader
from adapters.postgres.cursors import CursorStore
from adapters.postgres.streams import LogReader
from adapters.redis.client import Cache
from adapters.redis.journeys import JourneyWriter
from adapters.redis.nodes import NodeBoard
from adapters.redis.occupancy import OccupancyBoard
from adapters.redis.post import Post
from adapters.redis.presence import PresenceReader
from adapters.telemetry.tasks import Tasks
from core.connections.codec_objects import SERVER
from core.connections.codes import SHUTDOWN
from core.ports import Clock, Entropy, LiveFeed, StreamWriter
from core.resources.schema import Catalog
from gateway.auth import Authenticator
from gateway.realtime.admission import Admission
from gateway.realtime.chronicle import Chronicle
from gateway.realtime.clients import Clients
from gateway.realtime.hub import Hub
from gateway.realtime.occupancy import Occupancy
from gateway.realtime.origins import Origins
from gateway.realtime.parts import Backends, Replica
from gateway.realtime.presence import Roster
from gateway.realtime.sockets import Sockets
from gateway.realtime.standing import Standing
from gateway.realtime.streams import Streams
from gateway.realtime.streams_server import StreamsServer
from gateway.realtime.subscribing import Reader
from gateway.realtime.telling import Telling
from gateway.realtime.wheel import Wheel
from settings import Settings

SWEEP_S = 5.0
LOOK_S = 1.0
NODE_BYTES = 8
UNREAD_BYTES_MAX = 65_536
"""Held by the kernel for one socket, about. It is read at once, all frames in it are taken in one turn of the
loop, and what reads them grows as large and stays so: left to itself Linux would make it megabytes."""


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
    cursors: CursorStore
    cache: Cache
    backends: Backends
    clock: Clock
    entropy: Entropy


class RealtimeServer:
    """Listens for sockets and streams from `open` to `close`."""

    def __init__(self, parts: RealtimeParts) -> None:
        self._parts = parts
        self._tasks = Tasks("realtime")
        settings, clock, entropy = parts.settings, parts.clock, parts.entropy
        self._clients = Clients()
        presence = PresenceReader(parts.cache, settings.presence, clock)
        self._occupancy = Occupancy(
            OccupancyBoard(parts.cache, presence),
            presence,
            parts.writer,
            parts.authenticator,
            parts.catalog.names,
            settings.occupancy,
            settings.log.request_deadline_ms,
            self._connected,
            clock,
            entropy,
        )
        self._roster = Roster(
            parts.cache, settings.presence, self._clients.members, self._occupancy.changed, clock, entropy
        )
        self._hub = Hub(parts.feed, parts.log, clock, settings.realtime, self._tasks, self._clients)
        node = entropy.token(NODE_BYTES).hex()
        writer = JourneyWriter(parts.cache.line(), settings.journeys)
        self._chronicle = Chronicle(writer, settings.journeys, node, self._clients.all, clock)
        self._replica = replica = Replica(
            settings=settings.realtime,
            deadline_ms=settings.log.request_deadline_ms,
            version=SERVER,
            node=node,
            types=parts.catalog.names,
            writer=parts.writer,
            authenticator=parts.authenticator,
            clients=self._clients,
            hub=self._hub,
            reader=Reader(parts.channels, settings.realtime),
            channels=parts.channels,
            cursors=parts.cursors,
            roster=self._roster,
            admission=Admission(settings.realtime, clock),
            chronicle=self._chronicle,
            backends=parts.backends,
            presence_members_max=settings.presence.members_max,
            wheel=Wheel(clock),
            clock=clock,
            entropy=entropy,
            tasks=self._tasks,
        )
        origin = settings.installation.origin
        origins = Origins(settings.realtime.origins, origin)
        self._post = Post(parts.cache, replica.node, settings.realtime, clock)
        self._standing = Standing(self._clients, parts.authenticator)
        self._telling = Telling(NodeBoard(parts.cache, clock), replica.node, self._clients, clock)
        self._sockets = Sockets(replica, origins, origin)
        self._application = Streams(replica, parts.log, self._post, origins, origin)
        self._streams = StreamsServer(self._application)
        self._websockets: asyncio.Server | None = None
        self._serving: asyncio.Task[None] | None = None

    async def open(self, websocket_socket: socket.socket, streams_socket: socket.socket) -> None:
        """Listen on both sockets, which are bound already."""
        self._tasks.spawn("wheel", self._replica.wheel.run())
        self._tasks.spawn("sweep", self._sweep())
        self._tasks.spawn("standing", self._look())
        self._tasks.spawn("telling", self._telling.run())
        self._chronicle.open()
        await self._roster.open()
        self._occupancy.open()
        await self._post.open(self._application.downstreams.deliver)
        for listener in (websocket_socket, streams_socket):  # what it accepts inherits both
            unsent_bytes_max = self._replica.settings.kernel_unsent_bytes_max
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, unsent_bytes_max)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UNREAD_BYTES_MAX)
        self._serving = self._tasks.spawn("streams", self._streams.serve(sockets=[streams_socket]))
        self._websockets = await self._sockets.listen(websocket_socket)

    @property
    def sockets(self) -> int:
        """How many clients are connected."""
        return len(self._clients)

    @property
    def is_healthy(self) -> bool:
        """Whether both listeners still serve."""
        serving = self._serving is not None and not self._serving.done()
        return serving and self._websockets is not None and self._websockets.is_serving()

    async def close(self) -> None:
        """Stop listening and close every connection with 3001, spread over the drain time.

        Nobody loses anything: each client comes back elsewhere and goes on from its position.
        """
        if self._websockets is not None:
            self._websockets.close()
        self._application.end_plain()
        clients = self._clients.all()
        pause_s = self._parts.settings.realtime.drain_s / max(1, len(clients))
        for client in clients:
            client.end(SHUTDOWN)
            await self._parts.clock.sleep(pause_s * 2 * self._parts.entropy.jitter())
        for client in self._clients.all():  # those who came meanwhile: streams are served up to here
            client.end(SHUTDOWN)
        self._application.end_plain()
        self._streams.should_exit = True
        if self._serving is not None:
            await asyncio.wait({self._serving}, timeout=3)
        await self._chronicle.close()
        await self._telling.close()
        await self._roster.close()
        await self._occupancy.close()  # it tells that they left
        await self._post.close()
        await self._tasks.close()

    def _connected(self) -> list[bytes]:
        return [feed.organization_id for feed in self._hub.feeds]

    async def _sweep(self) -> None:
        while True:
            await self._parts.clock.sleep(SWEEP_S)
            self._hub.sweep()

    async def _look(self) -> None:
        while True:
            await self._parts.clock.sleep(LOOK_S)
            await self._standing.look(self._hub.feeds)

    def status(self) -> dict[str, Any]:
        """Return what this replica holds, for people."""
        return {
            "sockets": self.sockets,
            "organizations": len(self._hub.feeds),
            "steps_dropped": self._chronicle.dropped,
        }

"""The owner's side of the links: listens, proves its callers, and hands their commands to the handler."""

import asyncio
import ssl

import structlog
from picows import WSUpgradeRequest, ws_create_server

from adapters.links.audience import Audience
from adapters.links.caller import CallerLink
from adapters.links.frames import Moving
from adapters.links.handler import Handler
from adapters.links.handshake import NONCE_BYTES, OwnerHandshake
from adapters.telemetry.tasks import Tasks
from core.errors import TidingsError
from core.ids import encode
from core.ports import Clock, Entropy
from settings import Links

CLOSING_S = 1.0
"""How long `close` lets last answers reach their callers."""


class LinkServer:
    """Serves one owner's links.

    Commands of one link reach the handler in the order in which they were sent. Outcomes that become known
    in one tick leave in one frame, and so do live batches; a batch is encoded once for all links. A link
    that is lost, silent, too slow, or replaced by a newer one of its process is forgotten by the handler
    before anything else of that process is served.

    Args:
        handler: the owner; called on this loop.
        name: the owner's name, which callers check.
        cluster_key: at least 32 bytes, the same on both sides.
        tls: wraps the links of a cluster; None: plain, for one machine.
    """

    def __init__(
        self,
        handler: Handler,
        name: str,
        cluster_key: bytes,
        settings: Links,
        clock: Clock,
        entropy: Entropy,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.handler = handler
        self.tasks = Tasks(f"links.{name}")
        self._name = name
        self._key = cluster_key
        self._settings = settings
        self._clock = clock
        self._entropy = entropy
        self._tls = tls
        self._server: asyncio.AbstractServer | None = None
        self._links: set[CallerLink] = set()
        self._processes: dict[str, CallerLink] = {}
        self._audiences: dict[bytes, Audience] = {}
        self._log = structlog.get_logger().bind(owner=name)

    @property
    def processes(self) -> list[str]:
        """The processes that are linked now."""
        return list(self._processes)

    async def open(self, host: str = "127.0.0.1") -> str:
        """Listen on a free port and return its address, `host:port`.

        Raises:
            OSError: the host is none of this machine.
        """
        server: asyncio.Server = await ws_create_server(
            self._accept,
            host,
            0,
            max_frame_size=self._settings.frame_bytes_max,
            websocket_handshake_timeout=self._settings.silence_s,
            enable_auto_pong=False,  # both sides ping on their own; a ping is heard like anything else
            ssl=self._tls,
        )
        self._server = server
        self.tasks.spawn("beat", self._beat())
        return f"{host}:{server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        """Send the answers that are known, close every link, and stop listening."""
        if self._server is not None:
            self._server.close()
        await self._clock.sleep(0)  # outcomes settled in this tick are gathered in the next
        closing = [link.transport for link in self._links]
        for link in list(self._links):
            link.close()
        deadline = self._clock.monotonic() + CLOSING_S
        while not all(t.is_disconnected for t in closing) and self._clock.monotonic() < deadline:
            await self._clock.sleep(0.005)
        for transport in closing:
            transport.disconnect(graceful=False)
        await self.tasks.close()

    def announce_move(self, partition_id: int) -> None:
        """Tell every caller that a partition leaves this owner; called when it has been released."""
        self._log.info("partition.announced_move", partition=partition_id)
        for link in self._processes.values():
            link.send(Moving())

    # What links ask (`caller.Switchboard`).

    def connected(self, link: CallerLink) -> None:
        """Keep a link that has not proved anything yet, so that it is closed when it does not."""
        self._links.add(link)

    def admit(self, link: CallerLink) -> None:
        """Serve a proved link; the older one of its process ends first, unread bytes included."""
        older = self._processes.get(link.process)
        if older is not None:
            older.end("replaced by a newer link")
        self._processes[link.process] = link
        self._log.info("link.opened", process=link.process)

    def watch(self, organization_id: bytes, link: CallerLink) -> None:
        """Make a link hear an organization's events; the first one makes the handler deliver them."""
        audience = self._audiences.get(organization_id)
        if audience is not None:
            audience.join(link)
            return
        audience = Audience(organization_id)
        audience.join(link)
        self._audiences[organization_id] = audience
        try:
            self.handler.watch(organization_id, audience)
        except TidingsError as error:
            self._log.info(
                "watch.refused", organization_id=encode("org", organization_id), code=error.code.value
            )
            del self._audiences[organization_id]
            link.send(Moving())

    def unwatch(self, organization_id: bytes, link: CallerLink) -> None:
        """Undo it; the last one makes the handler stop."""
        audience = self._audiences.get(organization_id)
        if audience is None:
            return
        audience.leave(link)
        if not audience:
            del self._audiences[organization_id]
            self.handler.unwatch(organization_id, audience)

    def lost(self, link: CallerLink) -> None:
        """Forget a link: what it had queued never takes effect, what it watched is for others alone."""
        self._links.discard(link)
        if self._processes.get(link.process) is link:
            del self._processes[link.process]
        for organization_id in list(self._audiences):
            self.unwatch(organization_id, link)
        if link.process:
            self.handler.forget(link)

    def _accept(self, _request: WSUpgradeRequest) -> CallerLink | None:
        unproven = sum(not link.process for link in self._links)
        if unproven >= self._settings.unproven_links_max:
            self._log.warning("link.refused", reason="too many links without proof")
            return None
        handshake = OwnerHandshake(self._key, self._entropy.token(NONCE_BYTES), self._name)
        return CallerLink(self, handshake, self._settings)

    async def _beat(self) -> None:
        while True:
            await self._clock.sleep(self._settings.ping_s)
            for link in list(self._links):
                link.beat()

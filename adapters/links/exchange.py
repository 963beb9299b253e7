"""The links of one process: one to each owner, opened on first use and kept."""

import asyncio
import ssl
from typing import Final

import structlog

from adapters.links.frames import Suspect
from adapters.links.handshake import NONCE_BYTES, CallerHandshake
from adapters.links.link import OwnerLink, Recipient, Unreachable, connect
from adapters.links.pending import Budget
from adapters.links.routes import Route, RouteBook
from adapters.telemetry.tasks import Tasks
from core.ports import Clock, Entropy
from settings import Links

SUSPECT_AGAIN_S: Final = 1.0
"""A partition is reported once this long under the same epoch."""


class Exchange:
    """What the lanes of one client share: routes, links, and the count of commands without a link."""

    def __init__(
        self,
        book: RouteBook,
        process: str,
        cluster_key: bytes,
        settings: Links,
        clock: Clock,
        entropy: Entropy,
        tasks: Tasks,
        recipient: Recipient,
        tls: ssl.SSLContext | None,
    ) -> None:
        self.book = book
        self.clock = clock
        self.entropy = entropy
        self.tasks = tasks
        self.homeless = Budget(settings.outstanding_commands_max, settings.outstanding_bytes_max)
        self.closed = False
        self._process = process
        self._key = cluster_key
        self._settings = settings
        self._recipient = recipient
        self._tls = tls
        self._links: dict[str, OwnerLink] = {}
        self._connecting: dict[tuple[str, str], asyncio.Task[OwnerLink | Unreachable]] = {}
        self._suspected: dict[int, tuple[int, float]] = {}
        self._log = structlog.get_logger().bind(process=process)

    @property
    def links(self) -> list[OwnerLink]:
        """The links that are open now."""
        return [link for link in self._links.values() if not link.ended]

    async def reach(self, owner: str, address: str) -> OwnerLink | Unreachable:
        """Return the link to an owner, opening it when there is none. Lanes that ask together share it."""
        link = self._links.get(owner)
        if link is not None and not link.ended and link.address == address:
            return link
        connecting = self._connecting.get((owner, address))
        if connecting is None:
            connecting = self.tasks.spawn("connect", self._connect(owner, address))
            self._connecting[owner, address] = connecting
        return await asyncio.shield(connecting)

    async def _connect(self, owner: str, address: str) -> OwnerLink | Unreachable:
        try:
            nonce = self.entropy.token(NONCE_BYTES)
            handshake = CallerHandshake(self._key, nonce, owner, self._process)
            link = OwnerLink(owner, address, handshake, self._settings, self._recipient)
            failure = await connect(link, self._settings, self._tls)
        finally:
            del self._connecting[owner, address]
        if failure is not None:
            return failure
        older = self._links.get(owner)
        self._links[owner] = link
        if older is not None:
            older.end("replaced by a newer link")
        return link

    def suspect(self, route: Route) -> None:
        """Report an owner who refuses connections to another one, who takes the partition over."""
        now = self.clock.monotonic()
        epoch, at = self._suspected.get(route.partition_id, (-1, 0.0))
        if epoch == route.epoch and now - at < SUSPECT_AGAIN_S:
            return
        self._suspected[route.partition_id] = (route.epoch, now)
        self.tasks.spawn("suspect", self._report(route))

    async def _report(self, route: Route) -> None:
        heir = next((link for link in self.links if link.owner != route.owner), None)
        others = {(known.owner, known.address) for known in self.book.known if known.owner != route.owner}
        for owner, address in others:
            if heir is None and owner:
                reached = await self.reach(owner, address)
                heir = reached if isinstance(reached, OwnerLink) else None
        told = heir.owner if heir is not None else ""
        self._log.warning(
            "owner.suspected", owner=route.owner, partition=route.partition_id, epoch=route.epoch, told=told
        )
        if heir is not None:
            heir.say(Suspect(route.partition_id, route.epoch))

    def beat(self) -> None:
        """Ping every owner; called once every `ping_s`."""
        for link in self.links:
            link.beat()

    def close(self) -> None:
        """Send what is gathered and end every link."""
        self.closed = True
        for link in self.links:
            link.close()

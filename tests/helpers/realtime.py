"""A realtime replica over a real owner and database in this process, and a client of plain JSON frames."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import jwt
from websockets.asyncio.client import ClientConnection, connect

from actors.streams.owner import StreamOwner
from adapters.clock import SystemClock
from adapters.entropy import SystemEntropy
from adapters.http.backend import Backends
from adapters.postgres.auth import AuthStore, Options
from adapters.postgres.backend import BackendStore
from adapters.postgres.channels import ChannelFloors, ChannelReader
from adapters.postgres.cursors import CursorStore
from adapters.postgres.namespaces import RuleStore
from adapters.postgres.pool import Database
from adapters.postgres.sealing import Sealer
from adapters.postgres.streams import LogReader
from adapters.redis.client import Cache
from adapters.schemas import load_catalog
from core.auth.principal import Organization
from core.auth.scopes import ALL
from core.channels.namespace import Options as ChannelOptions
from core.connections.backend_options import BackendOptions
from core.connections.orders import ORDER, Order, encode_order
from core.ids import encode
from core.streams.command import Publish
from gateway.auth import Authenticator
from gateway.realtime.server import RealtimeParts, RealtimeServer
from settings import Backend, Realtime, Settings
from tests.helpers.owners import SCHEMAS, command, owner_of

ANSWER_S = 5.0
NO_CACHE = "unix:///nowhere/valkey.sock"


def listener() -> socket.socket:
    """Return a socket bound to a free port."""
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    bound.listen(1024)
    return bound


@dataclass(frozen=True, slots=True)
class Realtimes:
    """One replica, its owner, its first organization and a key of it."""

    owner: StreamOwner
    server: RealtimeServer
    store: AuthStore
    organization: Organization
    key: str
    url: str
    streams_url: str
    rules: RuleStore
    backends: BackendStore
    floors: ChannelFloors

    def token(self, user: str, **claims: Any) -> str:
        """Return a connection token of the organization."""
        claims = {"sub": user, "org": encode("org", self.organization.organization_id), **claims}
        return jwt.encode(claims, self.organization.token_secret, algorithm="HS256")

    async def options(self, **options: Any) -> None:
        """Change the organization's options."""
        await self.store.set_options(self.organization.organization_id, Options(**options))

    async def namespace(self, name: str, **options: Any) -> None:
        """Give a namespace options of its own: who connected before sees them within a second."""
        wanted = ChannelOptions(**options)
        await self.rules.change_namespace(self.organization.organization_id, name, lambda *_: wanted)

    async def backend(self, options: BackendOptions) -> None:
        """Name the organization's backend."""
        await self.backends.change(self.organization.organization_id, lambda _: options)

    async def publish(self, channel: str, data: bytes = b"{}", **of: Any) -> None:
        """Publish as the system does."""
        work = command(self.organization.organization_id, Publish((channel,), data, **of))
        await self.owner.submit(work)

    async def order(self, order: Order, organization: Organization | None = None) -> None:
        """Give an order about connections."""
        organization_id = (organization or self.organization).organization_id
        work = Publish(("",), encode_order(order), ephemeral=True, kind=ORDER)
        await self.owner.submit(command(organization_id, work))


@asynccontextmanager
async def realtime_of(
    database_url: str, *, cache_url: str = NO_CACHE, **settings: Any
) -> AsyncIterator[Realtimes]:
    """Give a replica with an organization and a key; it may call backends on this machine."""
    clock, entropy = SystemClock(), SystemEntropy()
    whole = Settings(realtime=Realtime(**settings), backend=Backend(private=True))
    database = await Database.open(database_url, 4)
    sealer = Sealer(bytes(32), entropy)
    store, backends = AuthStore(database, sealer, entropy), BackendStore(database, sealer)
    organization = await store.create_organization("test", "test")
    await store.set_default_organization(organization.organization_id, replace=True)
    _, key = await store.create_key(organization, "test", sorted(ALL))
    days = whole.log.retention_days
    cache, calls = Cache.open(cache_url), Backends(backends.find, whole.backend, clock, entropy)
    async with owner_of(database_url, partitions=frozenset(range(4))) as owner:
        parts = RealtimeParts(
            settings=whole,
            writer=owner,
            feed=owner,
            authenticator=Authenticator(store, clock, whole.api),
            catalog=load_catalog(Path(SCHEMAS)),
            log=LogReader(database, retention_days=days),
            channels=ChannelReader(database, retention_days=days),
            cursors=CursorStore(database, retention_days=days),
            cache=cache,
            backends=calls,
            clock=clock,
            entropy=entropy,
        )
        server = RealtimeServer(parts)
        websockets, streams = listener(), listener()
        url = f"ws://127.0.0.1:{websockets.getsockname()[1]}/connection/websocket"
        streams_url = f"http://127.0.0.1:{streams.getsockname()[1]}"
        await server.open(websockets, streams)
        try:
            yield Realtimes(
                owner,
                server,
                store,
                organization,
                key,
                url,
                streams_url,
                RuleStore(database),
                backends,
                ChannelFloors(database),
            )
        finally:
            await server.close()
            await calls.close()
            await cache.close()
            await database.close()


class Speaker:
    """A client of the protocol in plain frames: what it says and hears stands in the test."""

    def __init__(self, url: str, token: str = "") -> None:
        self._url = url
        self._token = token
        self._socket: ClientConnection
        self._lines: list[dict[str, Any]] = []

    async def __aenter__(self) -> Self:
        self._socket = await connect(self._url, max_size=2**21, compression=None)
        if self._token:
            await self.say({"id": 1, "connect": {"token": self._token}})
            answer = await self.hear()
            assert "connect" in answer, answer
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._socket.close()

    async def say(self, *commands: dict[str, Any]) -> None:
        """Send commands in one frame."""
        await self._socket.send("\n".join(json.dumps(command) for command in commands))

    async def say_text(self, text: str) -> None:
        """Send one frame as it stands."""
        await self._socket.send(text)

    async def hear(self) -> dict[str, Any]:
        """Return the next line that is no ping."""
        while not self._lines:
            frame = await asyncio.wait_for(self._socket.recv(), ANSWER_S)
            self._lines += [json.loads(line) for line in str(frame).split("\n")]
        line = self._lines.pop(0)
        return line or await self.hear()

    async def ask(self, command: dict[str, Any]) -> dict[str, Any]:
        """Send one command and return its reply, keeping what comes before for later."""
        await self.say(command)
        kept = []
        while (line := await self.hear()).get("id") != command["id"]:
            kept.append(line)
        self._lines = kept + self._lines
        return line

    async def publications(self, count: int) -> list[dict[str, Any]]:
        """Return the next publications that are pushed."""
        return [(await self.hear())["push"]["pub"] for _ in range(count)]

    async def closed(self) -> tuple[int, str]:
        """Return code and reason of the close frame."""
        await asyncio.wait_for(self._socket.wait_closed(), ANSWER_S)
        return self._socket.close_code or 0, self._socket.close_reason or ""

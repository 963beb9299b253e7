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
from adapters.postgres.auth import AuthStore, Options
from adapters.postgres.channels import ChannelReader
from adapters.postgres.pool import Database
from adapters.postgres.sealing import Sealer
from adapters.postgres.streams import LogReader
from adapters.schemas import load_catalog
from core.auth.principal import Organization
from core.auth.scopes import ALL
from core.ids import encode
from gateway.auth import Authenticator
from gateway.realtime.server import RealtimeParts, RealtimeServer
from settings import Realtime, Settings
from tests.helpers.owners import SCHEMAS, owner_of

ANSWER_S = 5.0


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

    def token(self, user: str, **claims: Any) -> str:
        """Return a connection token of the organization."""
        claims = {"sub": user, "org": encode("org", self.organization.organization_id), **claims}
        return jwt.encode(claims, self.organization.token_secret, algorithm="HS256")

    async def options(self, **options: Any) -> None:
        """Change the organization's options."""
        await self.store.set_options(self.organization.organization_id, Options(**options))


@asynccontextmanager
async def realtime_of(database_url: str, **settings: Any) -> AsyncIterator[Realtimes]:
    """Give a replica with an organization and a key."""
    clock, entropy = SystemClock(), SystemEntropy()
    whole = Settings(realtime=Realtime(**settings))
    database = await Database.open(database_url, 4)
    store = AuthStore(database, Sealer(bytes(32), entropy), entropy)
    organization = await store.create_organization("test", "test")
    await store.set_default_organization(organization.organization_id, replace=True)
    _, key = await store.create_key(organization, "test", sorted(ALL))
    days = whole.log.retention_days
    async with owner_of(database_url, partitions=frozenset(range(4))) as owner:
        parts = RealtimeParts(
            whole,
            owner,
            owner,
            Authenticator(store, clock, whole.api),
            load_catalog(Path(SCHEMAS)),
            LogReader(database, retention_days=days),
            ChannelReader(database, retention_days=days),
            clock,
            entropy,
        )
        server = RealtimeServer(parts)
        websockets, streams = listener(), listener()
        url = f"ws://127.0.0.1:{websockets.getsockname()[1]}/connection/websocket"
        streams_url = f"http://127.0.0.1:{streams.getsockname()[1]}"
        await server.open(websockets, streams)
        try:
            yield Realtimes(owner, server, store, organization, key, url, streams_url)
        finally:
            await server.close()
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

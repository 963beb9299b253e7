"""A REST replica over a real owner and a real database in this process, and a client of it."""

import io
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from yarl import URL

from actors.streams.owner import StreamOwner
from adapters.clock import SystemClock
from adapters.entropy import SystemEntropy
from adapters.postgres.auth import AuthStore, Options
from adapters.postgres.backend import BackendStore
from adapters.postgres.channels import ChannelFloors, ChannelReader
from adapters.postgres.cursors import CursorStore
from adapters.postgres.namespaces import RuleStore
from adapters.postgres.pool import Database
from adapters.postgres.resources import ResourceReader
from adapters.postgres.sealing import Sealer
from adapters.postgres.server_api import ServerApiStore
from adapters.postgres.streams import LogReader
from adapters.redis.client import Cache
from adapters.redis.journeys import JourneyReader
from adapters.redis.nodes import NodeBoard
from adapters.redis.presence import PresenceReader
from adapters.schemas import load_catalog
from core.auth.principal import Organization
from core.auth.scopes import ALL
from gateway.api.app import ApiParts
from gateway.api.server import ApiServer
from gateway.auth import Authenticator
from settings import Api, Settings, Tokens, Tracing
from tests.helpers.owners import SCHEMAS, owner_of
from tests.helpers.realtime import listener
from wiring import open_spans

NO_CACHE = "unix:///nowhere/valkey.sock"
NOT_ASKED_FOR = ("content-type", "accept", "accept-encoding")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Any
    raw: bytes

    @property
    def body(self) -> Any:
        return orjson.loads(self.raw)

    @property
    def code(self) -> str:
        """The problem's code."""
        code: str = self.body["code"]
        return code


class Rest:
    """One replica, one organization with a key, and calls with it."""

    def __init__(
        self,
        url: str,
        key: str,
        organization: Organization,
        store: AuthStore,
        owner: StreamOwner,
        session: aiohttp.ClientSession,
    ) -> None:
        self.url = url
        self.key = key
        self.organization = organization
        self.store = store
        self.owner = owner
        self._session = session

    async def call(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, **headers: str
    ) -> Answer:
        """Send one request; `idempotency_key="x"` becomes the header Idempotency-Key."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if key != "":
            sent.setdefault("authorization", f"Bearer {key or self.key}")
        data = None
        if body is not None:
            data = io.BytesIO(body if isinstance(body, bytes) else orjson.dumps(body))
            sent.setdefault("content-type", "application/json")
        url = URL(self.url + path, encoded=True)
        skip = ("content-type", "accept", "accept-encoding")
        async with self._session.request(
            method, url, data=data, headers=sent, skip_auto_headers=skip
        ) as answer:
            return Answer(answer.status, answer.headers, await answer.read())

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.call("GET", path, **headers)

    async def post(self, path: str, body: Any, **headers: str) -> Answer:
        return await self.call("POST", path, body, **headers)

    async def until(
        self, status: int, method: str, path: str, body: Any = None, *, key: str | None = None
    ) -> Answer:
        """Ask until the answer has this status, as it will: rules are believed for a second."""
        deadline = time.monotonic() + 5
        while (answer := await self.call(method, path, body, key=key)).status != status:
            assert time.monotonic() < deadline, answer.raw
        return answer

    async def another(self, *scopes: str) -> tuple[Organization, str]:
        """Make another organization, and a key of it."""
        other = await self.store.create_organization("other", "test")
        return other, (await self.store.create_key(other, "other", list(scopes) or sorted(ALL)))[1]

    async def key_with(self, *scopes: str) -> str:
        """Make another key of the same organization."""
        return (await self.store.create_key(self.organization, "narrow", list(scopes)))[1]

    async def options(self, **options: Any) -> None:
        """Change the organization's options."""
        await self.store.set_options(self.organization.organization_id, Options(**options))


@asynccontextmanager
async def rest_of(
    database_url: str,
    *,
    cache_url: str = NO_CACHE,
    schemas: Path = SCHEMAS,
    tracing: Tracing | None = None,
    tokens: Tokens | None = None,
    **settings: Any,
) -> AsyncIterator[Rest]:
    """Give a replica with an organization and a key; at its end its spans have been sent."""
    clock, entropy = SystemClock(), SystemEntropy()
    whole = Settings(api=Api(**settings), tokens=tokens or Tokens(), tracing=tracing or Tracing())
    database = await Database.open(database_url, 4)
    store = AuthStore(database, Sealer(bytes(32), entropy), entropy)
    organization = await store.create_organization("test", "test")
    _, key = await store.create_key(organization, "test", sorted(ALL))
    days = whole.log.retention_days
    catalog = load_catalog(schemas)
    cache = Cache.open(cache_url)
    async with (
        owner_of(database_url, partitions=frozenset(range(4)), schemas=schemas) as owner,
        open_spans(whole, "api-test") as record_span,
    ):
        parts = ApiParts(
            settings=whole,
            writer=owner,
            feed=owner,
            authenticator=Authenticator(store, clock, whole.api),
            catalog=catalog,
            log=LogReader(database, retention_days=days),
            channels=ChannelReader(database, retention_days=days),
            resources=ResourceReader(database),
            rules=RuleStore(database),
            backends=BackendStore(database, Sealer(bytes(32), entropy)),
            tokens=store.tokens,
            presence=PresenceReader(cache, whole.presence, clock),
            journeys=JourneyReader(cache, whole.journeys, clock),
            channel_cursors=CursorStore(database, retention_days=days),
            server_api=ServerApiStore(database, Sealer(bytes(32), entropy)),
            floors=ChannelFloors(database),
            nodes=NodeBoard(cache, clock),
            cursor_key=bytes(32),
            is_ready=database.ping,
            clock=clock,
            entropy=entropy,
            record_span=record_span,
        )
        server, bound = ApiServer(parts), listener()
        await server.open(bound)
        try:
            async with aiohttp.ClientSession(auto_decompress=False) as session:
                url = f"http://127.0.0.1:{bound.getsockname()[1]}"
                yield Rest(url, key, organization, store, owner, session)
        finally:
            await server.close()
            await cache.close()
            await database.close()

"""The whole system in this process, as `tidings up --single-process` joins it, with a cache of its own."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import jwt

import wiring
from adapters.entropy import SystemEntropy
from adapters.postgres.sealing import ensure_key
from core.auth.scopes import ALL
from core.ids import encode
from gateway.realtime.server import RealtimeServer
from settings import Installation, Settings
from tests.helpers.cache import Server, cache_server
from tests.helpers.owners import SCHEMAS
from tests.helpers.realtime import Speaker, listener
from tests.helpers.rest import Rest


@dataclass(frozen=True, slots=True)
class Whole:
    """A running system, one organization of it with a key, and its cache."""

    rest: Rest
    realtime: RealtimeServer
    socket_url: str
    cache: Server

    def speaker(self, user: str, **claims: Any) -> Speaker:
        """Return a client of a user, to be entered."""
        claims = {"sub": user, "org": encode("org", self.rest.organization.organization_id), **claims}
        token = jwt.encode(claims, self.rest.organization.token_secret, algorithm="HS256")
        return Speaker(self.socket_url, token)


@asynccontextmanager
async def whole_of(database_url: str, **groups: Any) -> AsyncIterator[Whole]:
    """Give a system with these groups of settings in place of the usual ones."""
    async with AsyncExitStack() as stack:
        cache = await stack.enter_async_context(cache_server())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tidings-")))
        where = {"DATABASE_URL": database_url, "REDIS_URL": cache.url}
        settings = Settings(
            installation=Installation(**where, data_dir=folder, schemas_dir=SCHEMAS), **groups
        )
        for file in (wiring.kek_file(settings), wiring.cluster_key_file(settings)):
            ensure_key(file, SystemEntropy())
        store = await stack.enter_async_context(wiring.open_store(settings))
        organization = await store.create_organization("test", "test")
        _, key = await store.create_key(organization, "test", sorted(ALL))
        api, websockets, streams = listener(), listener(), listener()
        system = await stack.enter_async_context(
            wiring.open_single_process(settings, api, websockets, streams)
        )
        session = await stack.enter_async_context(aiohttp.ClientSession(auto_decompress=False))
        url = f"http://127.0.0.1:{api.getsockname()[1]}"
        rest = Rest(url, key, organization, store, system.owner, session)
        socket_url = f"ws://127.0.0.1:{websockets.getsockname()[1]}/connection/websocket"
        yield Whole(rest, system.realtime, socket_url, cache)

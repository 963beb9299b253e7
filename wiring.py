"""The composition root: openers that build what a process needs, in the process that needs it.

A pool can't travel to another process, so owners and replicas get `Settings` and open their own. Each
opener is an async context manager: what it gives is running, and is closed in order when its block ends.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from collections.abc import Set as AbstractSet
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from actors.streams.owner import StreamOwner
from adapters.clock import SystemClock
from adapters.embedded.folder import DataFolder
from adapters.entropy import SystemEntropy
from adapters.links.client import LinkClient
from adapters.links.server import LinkServer
from adapters.postgres.auth import AuthStore
from adapters.postgres.backend import BackendStore
from adapters.postgres.channels import ChannelFloors, ChannelReader
from adapters.postgres.commit import CommitConnection
from adapters.postgres.cursors import CursorStore
from adapters.postgres.faults import UNREACHABLE, may_pass
from adapters.postgres.maintenance import require_today
from adapters.postgres.moving import Mover
from adapters.postgres.namespaces import RuleStore
from adapters.postgres.pool import Database
from adapters.postgres.resources import ResourceReader
from adapters.postgres.sealing import Sealer, read_key
from adapters.postgres.server_api import ServerApiStore
from adapters.postgres.streams import LogReader, RouteReader, StatusReader
from adapters.postgres.tokens import TokenStore
from adapters.postgres.upkeep import Upkeep
from adapters.schemas import load_catalog
from adapters.telemetry.tasks import Tasks
from core.instants import Instant
from core.ports import Clock, Entropy, LiveFeed, StreamWriter
from core.resources.schema import Catalog
from core.traces import ServerSpan
from settings import Settings

if TYPE_CHECKING:  # what only gateways need: owners live without the thirty megabytes of it
    from adapters.redis.client import Cache
    from gateway.api.app import ApiParts
    from gateway.api.server import ApiServer
    from gateway.auth import Authenticator
    from gateway.realtime.server import RealtimeServer

OWNER_CONNECTIONS = 2
DATABASE_PAUSE_S = 0.5
STORE_CONNECTIONS = 2


def kek_file(settings: Settings) -> Path:
    """Return the file of the key that seals secrets."""
    return settings.installation.kek_file or settings.installation.data_dir / "kek"


def cluster_key_file(settings: Settings) -> Path:
    """Return the file of the key that links prove."""
    return settings.installation.cluster_key_file or settings.installation.data_dir / "cluster_key"


def _cache_url(settings: Settings) -> str:
    return settings.installation.redis_url or DataFolder(settings.installation.data_dir).redis_url


@dataclass(frozen=True, slots=True)
class Readers:
    """What both gateways read with."""

    log: LogReader
    channels: ChannelReader
    resources: ResourceReader
    authenticator: Authenticator
    tokens: TokenStore
    routes: RouteReader
    catalog: Catalog
    database: Database
    cache: Cache


async def _opened(settings: Settings, connections_max: int) -> Database:
    """Return the database once it answers.

    What is started again while it is away must wait for it here: whoever starts a process may give up for
    good one that fails as it begins.
    """
    clock = SystemClock()
    while True:
        try:
            return await Database.open(settings.installation.database_url, connections_max)
        except UNREACHABLE as error:
            if not may_pass(error):
                raise
            structlog.get_logger().warning("database.awaited", error=f"{type(error).__name__}: {error}")
            await clock.sleep(DATABASE_PAUSE_S)


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[AuthStore]:
    """Give the store of organizations and keys, for the command line."""
    entropy = SystemEntropy()
    database = await Database.open(settings.installation.database_url, STORE_CONNECTIONS)
    try:
        yield AuthStore(database, Sealer(read_key(kek_file(settings)), entropy), entropy)
    finally:
        await database.close()


@dataclass(frozen=True, slots=True)
class Move:
    """What the command line moves an organization with. `types`: the names of the resource types."""

    store: AuthStore
    mover: Mover
    backends: BackendStore
    types: AbstractSet[str]
    clock: Clock
    entropy: Entropy


@asynccontextmanager
async def open_move(settings: Settings) -> AsyncIterator[Move]:
    """Give what moves organizations here, for the command line."""
    clock, entropy = SystemClock(), SystemEntropy()
    sealer = Sealer(read_key(kek_file(settings)), entropy)
    database = await Database.open(settings.installation.database_url, STORE_CONNECTIONS)
    try:
        yield Move(
            AuthStore(database, sealer, entropy),
            Mover(database, sealer, entropy, clock),
            BackendStore(database, sealer),
            load_catalog(settings.installation.schemas_dir).names,
            clock,
            entropy,
        )
    finally:
        await database.close()


@asynccontextmanager
async def open_readers(settings: Settings) -> AsyncIterator[Readers]:
    """Give readers over a pool of their own."""
    from adapters.http.jwks import KeySets  # noqa: PLC0415 (owners need none of it)
    from adapters.redis.client import Cache  # noqa: PLC0415 (of gateways alone)
    from gateway.auth import Authenticator  # noqa: PLC0415 (of gateways alone)

    clock, entropy = SystemClock(), SystemEntropy()
    database = await _opened(settings, settings.api.database_connections_max)
    key_sets = KeySets(settings.tokens, clock)
    cache = Cache.open(_cache_url(settings))
    try:
        days = settings.log.retention_days
        store = AuthStore(database, Sealer(read_key(kek_file(settings)), entropy), entropy)
        yield Readers(
            LogReader(database, retention_days=days),
            ChannelReader(database, retention_days=days),
            ResourceReader(database),
            Authenticator(store, clock, settings.api, key_sets),
            store.tokens,
            RouteReader(database),
            load_catalog(settings.installation.schemas_dir),
            database,
            cache,
        )
    finally:
        await cache.close()
        await key_sets.close()
        await database.close()


@asynccontextmanager
async def open_upkeep(settings: Settings) -> AsyncIterator[Upkeep]:
    """Give what keeps the log's days and the fields' indexes, and tells who holds which partition."""
    database = await _opened(settings, STORE_CONNECTIONS)
    try:
        catalog = load_catalog(settings.installation.schemas_dir)
        yield Upkeep(database, catalog, settings.log, SystemClock())
    finally:
        await database.close()


@asynccontextmanager
async def open_owner(settings: Settings, name: str, address: str = "") -> AsyncIterator[StreamOwner]:
    """Give an owner that holds nothing yet: `open` it with the partitions that it shall hold."""
    database = await _opened(settings, OWNER_CONNECTIONS)
    try:
        yield StreamOwner(
            name,
            address,
            RouteReader(database),
            lambda: CommitConnection.open(
                settings.installation.database_url, deadline_s=settings.log.commit_deadline_s
            ),
            settings.log,
            load_catalog(settings.installation.schemas_dir),
            SystemClock(),
        )
    finally:
        await database.close()


@asynccontextmanager
async def open_stream_owner(settings: Settings, name: str, wanted: set[int]) -> AsyncIterator[StreamOwner]:
    """Give an owner behind its own link server, holding `wanted` as soon as they are free."""
    async with open_owner(settings, name) as owner:
        key = read_key(cluster_key_file(settings))
        server = LinkServer(owner, name, key, settings.links, SystemClock(), SystemEntropy())
        owner.address = await server.open(settings.installation.bind)
        owner.on_released = server.announce_move
        try:
            await owner.open(wanted)
            yield owner
        finally:
            await owner.close()
            await server.close()


@asynccontextmanager
async def open_links(settings: Settings, process: str, routes: RouteReader) -> AsyncIterator[LinkClient]:
    """Give the way to all owners."""
    key = read_key(cluster_key_file(settings))
    tasks = Tasks(f"links.{process}")
    client = LinkClient(routes, process, key, settings.links, SystemClock(), SystemEntropy(), tasks)
    await client.open()
    try:
        yield client
    finally:
        await client.close()


@dataclass(frozen=True, slots=True)
class Look:
    """What an operator looks at a running installation with."""

    status: StatusReader
    links: LinkClient
    today: Callable[[], Awaitable[None]]
    """Returns when the log can be written today, else raises."""
    database_now: Callable[[], Awaitable[Instant]]


@asynccontextmanager
async def open_status(settings: Settings) -> AsyncIterator[Look]:
    """Give an operator's view."""
    database = await Database.open(settings.installation.database_url, STORE_CONNECTIONS)
    try:
        async with open_links(
            settings, f"status-{SystemEntropy().id().hex()}", RouteReader(database)
        ) as links:
            status = StatusReader(database)
            yield Look(status, links, partial(require_today, database), status.now)
    finally:
        await database.close()


@asynccontextmanager
async def open_spans(settings: Settings, process: str) -> AsyncIterator[Callable[[ServerSpan], None] | None]:
    """Give what takes the spans of a process; None without a collector."""
    if not settings.tracing.endpoint:
        yield None
        return
    from adapters.telemetry.tracing import Tracer  # noqa: PLC0415 (its SDK is for those who have a collector)

    tracer = Tracer(settings.tracing, process)
    try:
        yield tracer.record
    finally:
        await tracer.close()


def _api_parts(
    settings: Settings,
    readers: Readers,
    writer: StreamWriter,
    feed: LiveFeed,
    record_span: Callable[[ServerSpan], None] | None,
) -> ApiParts:
    from adapters.redis.journeys import JourneyReader  # noqa: PLC0415 (of gateways alone)
    from adapters.redis.nodes import NodeBoard  # noqa: PLC0415 (of gateways alone)
    from adapters.redis.presence import PresenceReader  # noqa: PLC0415 (of gateways alone)
    from gateway.api.app import ApiParts  # noqa: PLC0415 (of gateways alone)

    return ApiParts(
        writer=writer,
        feed=feed,
        authenticator=readers.authenticator,
        catalog=readers.catalog,
        log=readers.log,
        channels=readers.channels,
        resources=readers.resources,
        tokens=readers.tokens,
        rules=RuleStore(readers.database),
        backends=BackendStore(readers.database, Sealer(read_key(kek_file(settings)), SystemEntropy())),
        presence=PresenceReader(readers.cache, settings.presence, SystemClock()),
        journeys=JourneyReader(readers.cache, settings.journeys, SystemClock()),
        channel_cursors=CursorStore(readers.database, retention_days=settings.log.retention_days),
        server_api=ServerApiStore(readers.database, Sealer(read_key(kek_file(settings)), SystemEntropy())),
        floors=ChannelFloors(readers.database),
        nodes=NodeBoard(readers.cache, SystemClock()),
        cursor_key=sha256(b"tidings cursors" + read_key(cluster_key_file(settings))).digest(),
        is_ready=readers.database.ping,
        clock=SystemClock(),
        entropy=SystemEntropy(),
        settings=settings,
        record_span=record_span,
    )


@asynccontextmanager
async def _open_realtime_server(
    settings: Settings, readers: Readers, writer: StreamWriter, feed: LiveFeed
) -> AsyncIterator[RealtimeServer]:
    from adapters.http.backend import Backends  # noqa: PLC0415 (of gateways alone)
    from gateway.realtime.server import RealtimeParts, RealtimeServer  # noqa: PLC0415 (of gateways alone)

    clock, entropy = SystemClock(), SystemEntropy()
    store = BackendStore(readers.database, Sealer(read_key(kek_file(settings)), entropy))
    backends = Backends(store.find, settings.backend, clock, entropy)
    parts = RealtimeParts(
        settings,
        writer,
        feed,
        readers.authenticator,
        readers.catalog,
        readers.log,
        readers.channels,
        CursorStore(readers.database, retention_days=settings.log.retention_days),
        readers.cache,
        backends,
        clock,
        entropy,
    )
    try:
        yield RealtimeServer(parts)
    finally:
        await backends.close()


@asynccontextmanager
async def open_api(settings: Settings, process: str, listener: socket.socket) -> AsyncIterator[ApiServer]:
    """Give a REST replica that listens."""
    from gateway.api.server import ApiServer  # noqa: PLC0415 (of gateways alone)

    tasks = Tasks(process)
    async with (
        open_readers(settings) as readers,
        open_links(settings, process, readers.routes) as links,
        open_spans(settings, process) as record_span,
    ):
        server = ApiServer(_api_parts(settings, readers, links, links, record_span))
        await server.open(listener)
        try:
            yield server
        finally:
            await server.close()
            await tasks.close()


@asynccontextmanager
async def open_realtime(
    settings: Settings, process: str, websockets: socket.socket, streams: socket.socket
) -> AsyncIterator[RealtimeServer]:
    """Give a realtime replica that listens."""
    tasks = Tasks(process)
    async with (
        open_readers(settings) as readers,
        open_links(settings, process, readers.routes) as links,
        _open_realtime_server(settings, readers, links, links) as server,
    ):
        await server.open(websockets, streams)
        try:
            yield server
        finally:
            await server.close()
            await tasks.close()


@dataclass(frozen=True, slots=True)
class SingleProcess:
    """Everything in one process: the owner itself satisfies the gateways' ports."""

    owner: StreamOwner
    api: ApiServer
    realtime: RealtimeServer


@asynccontextmanager
async def open_single_process(
    settings: Settings, api: socket.socket, websockets: socket.socket, streams: socket.socket
) -> AsyncIterator[SingleProcess]:
    """Give the same rooms joined without Ray, Serve and links, listening on the three sockets."""
    from gateway.api.server import ApiServer  # noqa: PLC0415 (of gateways alone)

    tasks = Tasks("single")
    async with AsyncExitStack() as stack:
        readers = await stack.enter_async_context(open_readers(settings))
        owner = await stack.enter_async_context(open_owner(settings, "single"))
        await owner.open(set(range(settings.log.partitions)))
        stack.push_async_callback(owner.close)
        record_span = await stack.enter_async_context(open_spans(settings, "single"))
        api_server = ApiServer(_api_parts(settings, readers, owner, owner, record_span))
        realtime = await stack.enter_async_context(_open_realtime_server(settings, readers, owner, owner))
        await api_server.open(api)
        stack.push_async_callback(api_server.close)
        await realtime.open(websockets, streams)
        stack.push_async_callback(realtime.close)
        stack.push_async_callback(tasks.close)
        yield SingleProcess(owner, api_server, realtime)

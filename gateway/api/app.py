"""The REST application: every route of every noun, on one shell."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from litestar import Litestar, Request
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from adapters.postgres.backend import BackendStore
from adapters.postgres.channels import ChannelFloors, ChannelReader
from adapters.postgres.cursors import CursorStore
from adapters.postgres.namespaces import RuleStore
from adapters.postgres.resources import ResourceReader
from adapters.postgres.server_api import ServerApiStore
from adapters.postgres.streams import LogReader
from adapters.postgres.tokens import TokenStore
from adapters.redis.journeys import JourneyReader
from adapters.redis.nodes import NodeBoard
from adapters.redis.presence import PresenceReader
from adapters.telemetry.metrics import RequestMetrics
from core.errors import Code, TidingsError
from core.ports import Clock, Entropy, LiveFeed, StreamWriter
from core.resources.schema import Catalog
from core.streams.event_object import API_VERSION
from core.traces import ServerSpan
from gateway.api.backend import OwnBackend
from gateway.api.call import Route
from gateway.api.centrifugo.caller import Callers
from gateway.api.centrifugo.methods import Methods
from gateway.api.centrifugo.nodes import Nodes
from gateway.api.centrifugo.ordering import Ordering
from gateway.api.centrifugo.publishing import Publishing
from gateway.api.centrifugo.reading import Reading
from gateway.api.centrifugo.server import CentrifugoApi
from gateway.api.channels import Channels
from gateway.api.connections import Connections
from gateway.api.cursors import ChannelCursors
from gateway.api.deliveries import Deliveries
from gateway.api.installation import Installation
from gateway.api.namespaces import Namespaces
from gateway.api.organization import OwnOrganization
from gateway.api.pages import Cursors
from gateway.api.presence import Presence
from gateway.api.resources import Collection
from gateway.api.shell import METHODS, Application, Shell
from gateway.api.streams import Streams
from gateway.api.tokens import OwnTokens
from gateway.api.writing import Writing
from gateway.auth import Authenticator
from settings import Settings


@dataclass(frozen=True, slots=True)
class ApiParts:
    """What the REST application is made of.

    `cursor_key` signs cursors and is the same in every process of the installation; `is_ready` returns when
    the database answers; `record_span` takes the spans of requests, None: there shall be none.
    """

    settings: Settings
    writer: StreamWriter
    feed: LiveFeed
    authenticator: Authenticator
    catalog: Catalog
    log: LogReader
    channels: ChannelReader
    resources: ResourceReader
    rules: RuleStore
    backends: BackendStore
    tokens: TokenStore
    presence: PresenceReader
    journeys: JourneyReader
    channel_cursors: CursorStore
    server_api: ServerApiStore
    floors: ChannelFloors
    nodes: NodeBoard
    cursor_key: bytes
    is_ready: Callable[[], Awaitable[None]]
    clock: Clock
    entropy: Entropy
    record_span: Callable[[ServerSpan], None] | None = None


def application(parts: ApiParts) -> Application:
    """Return the ASGI application."""
    metrics = RequestMetrics()
    shell = Shell(parts.settings, parts.authenticator, metrics, parts.record_span, parts.clock, parts.entropy)
    litestar = Litestar(
        [_handler(shell, route) for route in routes(parts, metrics)],
        openapi_config=None,
        exception_handlers={Exception: _unrouted},
        logging_config=None,
    )
    # Its scope is a narrower mapping than ASGI's.
    return shell.around(_server_api(parts, shell, metrics).beside(litestar))  # type: ignore[arg-type]


def routes(parts: ApiParts, metrics: RequestMetrics) -> list[Route]:
    """Return everything that is served."""
    settings = parts.settings
    origin = settings.installation.origin
    writing = Writing(parts.writer, parts.entropy, settings.log.request_deadline_ms)
    cursors = Cursors(parts.cursor_key)
    tokens = OwnTokens(
        parts.tokens, parts.authenticator, writing, parts.clock, settings.tokens.revocations_max
    )
    channels = Channels(
        writing, parts.channels, parts.feed, parts.authenticator, parts.catalog, cursors, settings
    )
    deliveries = Deliveries(
        parts.journeys,
        parts.channels,
        parts.feed,
        parts.authenticator,
        parts.catalog,
        cursors,
        settings,
    )
    presence = Presence(parts.presence, parts.authenticator, parts.catalog, cursors, settings.api)
    return [
        *Installation(parts.is_ready, metrics, origin).routes(),
        *Streams(parts.log, parts.feed, cursors, settings.api.page_bytes_max).routes(),
        *channels.routes(),
        *presence.routes(),
        *Connections(parts.journeys, cursors).routes(),
        *deliveries.routes(),
        *ChannelCursors(parts.channel_cursors, parts.authenticator, parts.catalog, cursors).routes(),
        *Namespaces(parts.rules, writing, parts.authenticator, parts.catalog, cursors).routes(),
        *OwnOrganization(parts.rules, writing).routes(),
        *OwnBackend(parts.backends, parts.entropy, settings.backend).routes(),
        *tokens.routes(),
        *(
            route
            for type_ in parts.catalog.by_name.values()
            for route in Collection(type_, parts.catalog, writing, parts.resources, cursors, origin).routes()
        ),
    ]


def _server_api(parts: ApiParts, shell: Shell, metrics: RequestMetrics) -> CentrifugoApi:
    settings, known = parts.settings, parts.catalog.names
    methods = Methods(
        Publishing(parts.writer, parts.clock, parts.entropy, known, settings),
        Reading(parts.channels, parts.floors, parts.feed, parts.presence, known, settings.api.page_bytes_max),
        Ordering(parts.writer, parts.entropy, settings.log.request_deadline_ms),
        Nodes(parts.nodes, API_VERSION),
    )
    callers = Callers(parts.server_api, parts.authenticator)
    return CentrifugoApi(shell, methods, callers, parts.server_api, metrics, parts.clock, settings.api)


def _handler(shell: Shell, route: Route) -> HTTPRouteHandler:
    # All methods lead to one application: which of them a route has, the shell decides.
    # (Litestar's own raw ASGI handlers fail on paths with parameters.)
    serve: ASGIApp = shell.endpoint(route)  # type: ignore[assignment]  # as above

    async def handle() -> ASGIApp:
        return serve

    return HTTPRouteHandler(route.path, http_method=METHODS, status_code=200, include_in_schema=False)(handle)


def _unrouted(_request: Request[Any, Any, Any], error: Exception) -> NoReturn:
    """Leave the framework: the shell, which is around it, answers."""
    if isinstance(error, NotFoundException):
        raise TidingsError(Code.ROUTE_NOT_FOUND) from None
    raise error

"""The streams port: what is answered for as long as somebody reads, and what such clients say meanwhile.

A plain ASGI application without framework: few routes, and bytes that are written as they come.
"""

from typing import Final, Protocol

import orjson
import structlog

from adapters.postgres.streams import LogReader
from core.errors import Code, TidingsError
from core.ids import encode
from gateway.problems import MEDIA_TYPE, headers_of, problem_of
from gateway.query import refuse_credentials
from gateway.realtime.channel_stream import ChannelStream, channel_of
from gateway.realtime.downstream import Downstreams
from gateway.realtime.emulation import Emulation, Post
from gateway.realtime.event_stream import PATH as EVENTS
from gateway.realtime.event_stream import EventStream
from gateway.realtime.exchange import Exchange, LeftError, Receive, Scope, Send
from gateway.realtime.http_stream import HttpStream
from gateway.realtime.origins import Origins, preflight
from gateway.realtime.parts import Replica
from gateway.realtime.plain_stream import PlainStreams
from gateway.realtime.sse import Sse

HEALTH: Final = "/healthz"
OPTIONS: Final = "OPTIONS"


class Endpoint(Protocol):
    """What is served at one path."""

    @property
    def methods(self) -> tuple[str, ...]:
        """Its methods, but for OPTIONS."""
        ...

    async def serve(self, exchange: Exchange) -> None:
        """Answer one request that came with one of the methods."""
        ...


class Streams:
    """The application.

    Args:
        replica: what its clients share.
        log: for the stream of events.
        post: to the sessions of other replicas.
        origins: whose pages may connect.
        origin: of this installation.
    """

    def __init__(self, replica: Replica, log: LogReader, post: Post, origins: Origins, origin: str) -> None:
        self.downstreams = Downstreams(replica)
        self._plain = PlainStreams(replica)
        self._replica = replica
        self._origins = origins
        self._origin = origin
        self._events = EventStream(self._plain, log)
        downstreams, forms = self.downstreams, replica.forms
        self._connections: dict[str, Endpoint] = {
            "/connection/sse": Sse(downstreams, forms.sse_json, is_unidirectional=False),
            "/connection/uni_sse": Sse(downstreams, forms.uni_sse, is_unidirectional=True),
            "/connection/http_stream": HttpStream(downstreams, forms.stream_json, forms.stream_protobuf),
            "/connection/uni_http_stream": HttpStream(downstreams, forms.uni_stream, None),
            "/emulation": Emulation(downstreams, post),
        }
        self._journal = structlog.get_logger()

    def end_plain(self) -> None:
        """Let the readers of plain streams come back elsewhere."""
        self._plain.end()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        request_id = encode("req", self._replica.entropy.id())
        exchange = Exchange(scope, receive, send, request_id, self._replica.settings.stalled_s)
        try:
            await self._serve(exchange)
        except LeftError:
            return
        except TidingsError as error:
            await self._refuse(exchange, error)
        except Exception as error:  # noqa: BLE001 (logged whole; this request alone fails)
            self._journal.error("stream.failed", request_id=exchange.request_id, exc_info=error)
            await self._refuse(exchange, TidingsError(Code.INTERNAL))

    async def _refuse(self, exchange: Exchange, error: TidingsError) -> None:
        if exchange.has_begun:  # its reader comes back and goes on from what it has
            await exchange.cut()
            return
        problem = problem_of(error, request_id=exchange.request_id, origin=self._origin)
        headers = {"Content-Type": MEDIA_TYPE, "Cache-Control": "no-store"}
        await exchange.begin(error.row.status, headers | headers_of(error))
        await exchange.end(orjson.dumps(problem))

    async def _serve(self, exchange: Exchange) -> None:
        if exchange.path == HEALTH:
            await exchange.begin(200, {"Content-Type": "text/plain"})
            await exchange.end(b"ok")
            return
        endpoint, headers = self._endpoint(exchange)
        allow = ", ".join((*endpoint.methods, OPTIONS))
        if exchange.method == OPTIONS:
            await exchange.begin(204, {"Allow": allow, **headers})
            await exchange.end()
            return
        if exchange.method not in endpoint.methods:
            raise TidingsError(Code.METHOD_NOT_ALLOWED, f"This path knows {allow}.", allow=allow)
        await endpoint.serve(exchange)

    def _endpoint(self, exchange: Exchange) -> tuple[Endpoint, dict[str, str]]:
        """Return what is served at a path, and what pages that ask first are told besides its methods."""
        endpoint = self._connections.get(exchange.path.rstrip("/"))
        if endpoint is not None:
            origin = exchange.headers.get("origin")
            exchange.shared = self._origins.headers(origin)
            if not self._origins.allows(origin):
                return endpoint, {}
            methods = ", ".join((*endpoint.methods, OPTIONS))
            return endpoint, preflight(methods, exchange.headers.get("access-control-request-headers"))
        channel = channel_of(exchange.path)
        if channel is None and exchange.path != EVENTS:
            raise TidingsError(Code.ROUTE_NOT_FOUND)
        refuse_credentials(exchange.query)
        return (self._events if channel is None else ChannelStream(self._plain, channel)), {}

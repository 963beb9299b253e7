"""What every request goes through, whatever it asks: identity, limits, errors, headers, figures.

Routes are Litestar's (`gateway/api/app.py`); what its handlers would do by default and the contract forbids
never runs, since they are raw ASGI and everything between path and answer is here.
"""

import re
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from functools import partial
from typing import Any, Final
from urllib.parse import quote

import orjson
import structlog
from litestar.types import Method

from adapters.telemetry.logging import LinesAbout
from adapters.telemetry.metrics import RequestMetrics
from core.auth.principal import Principal
from core.errors import Code, TidingsError
from core.ids import encode
from core.instants import Instant
from core.ports import Clock, Entropy
from core.traces import SampledShare, ServerSpan, parse_traceparent, read_tracestate
from gateway.api.body import DisconnectedError, Receive, check_media_type, read_body
from gateway.api.call import (
    Answer,
    Call,
    Endpoint,
    Header,
    Route,
    read_headers,
    read_path,
    read_segment,
)
from gateway.auth import Authenticator, require
from gateway.problems import MEDIA_TYPE, headers_of, problem_of
from gateway.query import read_query, refuse_credentials
from gateway.versions import VERSION, check_version
from settings import Settings

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

NOBODY: Final = Principal(b"", "anonymous", "")
METHODS: Final[Sequence[Method]] = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

_VARY: Final = b"Accept, Accept-Encoding, Authorization, Cookie, Origin, Tidings-Version"
_JSON_TYPES: Final = frozenset({b"application/json", b"application/problem+json", b"application/*", b"*/*"})
# After these the rest of the request is not read: the connection can't be used for another.
_ENDS_CONNECTION: Final = frozenset(
    {Code.BODY_TOO_LARGE, Code.REQUEST_TIMEOUT, Code.URI_TOO_LONG, Code.HEADERS_TOO_LARGE}
)
_OF_THE_EDGE: Final = b"x-forwarded-for"  # added there to what its client sent
_BESIDES: Final = len(": \r\n")
_CLOSE: Final[Header] = (b"connection", b"close")
_HTTP_SERVER_ERRORS: Final = 500
_NO_CONTENT: Final = 204
_WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_WITHOUT_BODY: Final = frozenset({_NO_CONTENT, 304})
_CLIENT_REQUEST_ID: Final = re.compile(rb"[\x21-\x7e]{1,128}")


class Shell:
    """The outermost application.

    Args:
        settings: limits and the public origin.
        authenticator: says who asks.
        metrics: counts and times what was answered.
        record_span: takes the spans of the requests whose callers may have them; None: nobody may.
        clock: times.
        entropy: makes request ids.
    """

    def __init__(
        self,
        settings: Settings,
        authenticator: Authenticator,
        metrics: RequestMetrics,
        record_span: Callable[[ServerSpan], None] | None,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._origin = settings.installation.origin
        self._settings = settings.api
        self._authenticator = authenticator
        self._metrics = metrics
        self._record_span = record_span
        tracing = settings.tracing
        self._share = SampledShare(tracing.sampled_share_max, tracing.organizations_max)
        self._clock = clock
        self._entropy = entropy
        self._in_flight = 0
        self._log = structlog.get_logger()
        security: list[Header] = [
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
            (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
        ]
        if settings.installation.origin.startswith("https://"):
            security.append((b"strict-transport-security", b"max-age=31536000"))
        self._security = tuple(security)

    def around(self, application: Application) -> Application:
        """Return the application that gives each request its id and its path, and then hands it on."""

        async def enter(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await application(scope, receive, send)
                return
            scope["request_id"] = self._entropy.id()
            self._in_flight += 1
            began_at = Instant(0) if self._record_span is None else self._clock.now()
            try:
                with LinesAbout(partial(_ids, scope)):
                    self._check_head(scope["headers"])
                    scope["path"] = self._path(scope)
                    if scope["method"] not in METHODS:
                        # The framework has no handler for it and can't say which there are; the route can.
                        scope["unknown_method"], scope["method"] = scope["method"], "OPTIONS"
                    await application(scope, receive, send)
            except TidingsError as error:
                await self.refuse(error, scope, send)
            finally:
                self._in_flight -= 1
                if self._record_span is not None:
                    self._trace(self._record_span, scope, began_at)

        return enter

    @property
    def is_full(self) -> bool:
        """Whether more requests are under way than this replica takes."""
        return self._in_flight > self._settings.concurrency_max

    def _trace(self, record: Callable[[ServerSpan], None], scope: Scope, began_at: Instant) -> None:
        # At the end, since whose request it was, and so whether a share is left, shows on its way.
        parent = parse_traceparent(_joined(scope, b"traceparent"))
        flagged = parent is not None and parent.sampled
        if not self._share.admits(scope.get("organization_id", b""), flagged=flagged) or parent is None:
            return
        record(
            ServerSpan(
                parent,
                read_tracestate(_joined(scope, b"tracestate")),
                _span_name(scope),
                began_at,
                self._clock.now(),
                scope.get("status", 0) >= _HTTP_SERVER_ERRORS,
                _attributes(scope),
            )
        )

    def _check_head(self, headers: list[Header]) -> None:
        sizes = [len(name) + len(value) + _BESIDES for name, value in headers if name != _OF_THE_EDGE]
        if sum(sizes) > self._settings.head_bytes_max or len(sizes) > self._settings.head_lines_max:
            raise TidingsError(Code.HEADERS_TOO_LARGE)

    def _path(self, scope: Scope) -> str:
        # Behind another server than ours the path may come decoded only.
        raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
        query: bytes = scope["query_string"]
        if len(raw) + (len(query) + 1 if query else 0) > self._settings.uri_bytes_max:
            raise TidingsError(Code.URI_TOO_LONG)
        return read_path(raw)

    def endpoint(self, route: Route) -> Application:
        """Return the application that serves one route."""

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            began = self._clock.monotonic()
            status = 0
            scope["route"] = route.path
            try:
                status = await self._serve(route, scope, receive, send)
            except DisconnectedError:
                pass  # nobody is left to be answered
            finally:
                self._metrics.observe(scope["method"], route.path, status, self._clock.monotonic() - began)

        return serve

    async def _serve(self, route: Route, scope: Scope, receive: Receive, send: Send) -> int:
        try:
            answer = await self._answer(route, scope, receive)
        except TidingsError as error:
            return await self.refuse(error, scope, send)
        except DisconnectedError:
            raise
        except Exception as error:  # noqa: BLE001 (the last line: whatever it is, the client gets its id)
            self._log.error("request.failed", **_names(scope), exc_info=error)
            return await self.refuse(TidingsError(Code.INTERNAL), scope, send)
        await self.send(answer, scope, send)
        return answer.status

    async def _answer(self, route: Route, scope: Scope, receive: Receive) -> Answer:
        refuse_credentials(scope["query_string"])
        method: str = scope.get("unknown_method") or scope["method"]
        if method == "OPTIONS":
            return Answer(_NO_CONTENT, headers=((b"allow", route.allow.encode()),))
        endpoint = route.endpoint(method)
        if endpoint.scope is not None and self.is_full:
            raise TidingsError(Code.CAPACITY_REDUCED)
        call = await self._call(endpoint, scope)
        if endpoint.media_types:
            check_media_type(call.headers, endpoint.media_types)
            call.body = await read_body(call.headers, receive, self._settings)
            if not call.body:
                raise TidingsError(Code.MALFORMED_REQUEST, "The request has no body.")
        return await endpoint.handle(call)

    async def _call(self, endpoint: Endpoint, scope: Scope) -> Call:
        headers = read_headers(scope["headers"])
        principal = NOBODY
        if endpoint.scope is not None:
            authorization = headers.get(b"authorization")
            principal = await self._authenticator.bearer(
                None if authorization is None else authorization.decode("latin-1")
            )
            scope["organization_id"] = principal.organization_id
            check_version(headers.get(b"tidings-version"))
            require(principal, endpoint.scope)
            _check_accept(headers)
            if scope["method"] in _WRITES and b"idempotency-key" not in headers:
                await self._check_key_is_optional(principal)
        path: str = scope["path"]
        params: dict[str, str] = scope.get("path_params") or {}
        return Call(
            scope["request_id"],
            scope["method"],
            path,
            {name: read_segment(value) for name, value in params.items()} if params else params,
            read_query(scope["query_string"], endpoint.parameters),
            headers,
            principal,
        )

    async def _check_key_is_optional(self, principal: Principal) -> None:
        organization = await self._authenticator.organization(principal.organization_id)
        if organization.require_idempotency_key:
            raise TidingsError(Code.IDEMPOTENCY_KEY_REQUIRED)

    async def refuse(self, error: TidingsError, scope: Scope, send: Send) -> int:
        """Answer with a problem and return its status."""
        status, request_id = error.row.status, _request_id(scope)
        if status >= _HTTP_SERVER_ERRORS:
            self._log.warning("request.refused", **_names(scope), code=error.code.value, detail=error.detail)
        problem = problem_of(error, request_id=request_id, origin=self._origin)
        headers = [
            (name.lower().encode(), value.encode("latin-1")) for name, value in headers_of(error).items()
        ]
        if error.code in _ENDS_CONNECTION:
            headers.append(_CLOSE)
        answer = Answer(status, orjson.dumps(problem), tuple(headers), MEDIA_TYPE.encode())
        await self.send(answer, scope, send)
        return status

    async def send(self, answer: Answer, scope: Scope, send: Send) -> None:
        """Send an answer with what every answer has."""
        body = answer.body
        scope["status"] = answer.status
        headers: list[Header] = [
            (b"content-type", answer.media_type),
            (b"content-length", b"%d" % len(body)),
            (b"request-id", _request_id(scope).encode()),
            (b"cache-control", answer.cache),
            *answer.headers,
            *self._security,
        ]
        if scope["path"].startswith("/v1"):
            headers += ((b"tidings-version", VERSION), (b"vary", _VARY))
        if answer.status in _WITHOUT_BODY:
            del headers[:2]
            body = b""
        elif scope["method"] == "HEAD":
            body = b""
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _request_id(scope: Scope) -> str:
    return encode("req", scope["request_id"])


def _joined(scope: Scope, name: bytes) -> bytes:
    return b", ".join([value for sent, value in scope["headers"] if sent == name])


def _ids(scope: Scope) -> dict[str, str]:
    """Return what tells one request from others, for every line that is logged on its way."""
    ids = {"request_id": _request_id(scope)}
    organization_id: bytes = scope.get("organization_id", b"")
    if organization_id:
        ids["organization_id"] = encode("org", organization_id)
    if (parent := parse_traceparent(_joined(scope, b"traceparent"))) is not None:
        ids["trace_id"] = parent.trace_id.hex()
    client = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
    if client and _CLIENT_REQUEST_ID.fullmatch(client):
        ids["client_request_id"] = client.decode()
    return ids


def _names(scope: Scope) -> dict[str, str]:
    return _ids(scope) | {"method": scope["method"], "path": scope["path"]}


def _span_name(scope: Scope) -> str:
    # OpenTelemetry's conventions for HTTP: few different names, so the route and never the path.
    method = "HTTP" if "unknown_method" in scope else scope["method"]
    return f"{method} {scope['route']}" if "route" in scope else str(method)


def _attributes(scope: Scope) -> dict[str, str | int]:
    attributes: dict[str, str | int] = {
        "http.request.method": "_OTHER" if "unknown_method" in scope else scope["method"],
        "url.scheme": scope["scheme"],
        **{f"tidings.{name}": value for name, value in _ids(scope).items() if name != "trace_id"},
    }
    if "route" in scope:
        attributes["http.route"] = scope["route"]
    status: int = scope.get("status", 0)
    if status:
        attributes["http.response.status_code"] = status
    if status >= _HTTP_SERVER_ERRORS:
        attributes["error.type"] = str(status)
    return attributes


def _check_accept(headers: dict[bytes, bytes]) -> None:
    accept = headers.get(b"accept")
    if not accept or accept in _JSON_TYPES:
        return
    for part in accept.lower().split(b","):
        media_type, _, parameters = part.partition(b";")
        refused = parameters.replace(b" ", b"") in (b"q=0", b"q=0.0", b"q=0.00", b"q=0.000")
        if media_type.strip() in _JSON_TYPES and not refused:
            return
    raise TidingsError(Code.NOT_ACCEPTABLE)

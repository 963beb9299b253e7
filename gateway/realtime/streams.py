"""The organization's log over SSE: from a position on, then live, resumable for the whole retention.

A plain ASGI application without framework: one route, one kind of answer, and bytes that are written as
they come.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import orjson
import structlog

from adapters.postgres.streams import LogReader
from core.auth.principal import Principal
from core.errors import Code, TidingsError, bad_parameter
from core.ids import encode
from core.streams.event import Event
from core.streams.event_object import event_object
from core.streams.position import Position, is_recoverable, parse_position
from gateway.auth import require
from gateway.problems import MEDIA_TYPE, headers_of, problem_of
from gateway.query import read_query, refuse_credentials
from gateway.realtime.feed import Feed
from gateway.realtime.heartbeat import Heartbeat
from gateway.realtime.parts import Replica
from gateway.versions import VERSION, check_version

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

PATH: Final = "/v1/events/stream"
HEALTH: Final = "/healthz"
PAGE: Final = 500
METHODS: Final = ("GET", "HEAD")
ALLOW: Final = "GET, HEAD, OPTIONS"
AFTER: Final = "after"
TYPES: Final = "types"
HEADERS: Final = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "private, no-cache, no-store, must-revalidate, max-age=0",
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
}


class EventStreams:
    """The ASGI application of the streams port."""

    def __init__(self, replica: Replica, log: LogReader, origin: str) -> None:
        self._replica = replica
        self._log = log
        self._origin = origin
        self._open = 0
        self._journal = structlog.get_logger()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        answer = _Answer(send, encode("req", self._replica.entropy.id()), is_head=scope["method"] == "HEAD")
        try:
            await self._serve(scope, receive, answer)
        except TidingsError as error:
            await self._refuse(error, answer)
        except Exception as error:
            self._journal.error("stream.failed", request_id=answer.request_id, exc_info=error)
            if answer.has_begun:  # its reader comes back and goes on from what it has
                raise
            await self._refuse(TidingsError(Code.INTERNAL), answer)

    async def _refuse(self, error: TidingsError, answer: "_Answer") -> None:
        problem = problem_of(error, request_id=answer.request_id, origin=self._origin)
        headers = {"Content-Type": MEDIA_TYPE, "Cache-Control": "no-store"}
        await answer.begin(error.row.status, headers | headers_of(error))
        await answer.end(orjson.dumps(problem))

    async def _serve(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        if scope["path"] == HEALTH:
            await answer.begin(200, {"Content-Type": "text/plain"})
            await answer.end(b"ok")
            return
        if scope["path"] != PATH:
            raise TidingsError(Code.ROUTE_NOT_FOUND)
        refuse_credentials(scope["query_string"])
        if scope["method"] == "OPTIONS":
            await answer.begin(204, {"Allow": ALLOW})
            await answer.end(b"")
            return
        if scope["method"] not in METHODS:
            raise TidingsError(Code.METHOD_NOT_ALLOWED, f"This path knows {ALLOW}.", allow=ALLOW)
        if self._open >= self._replica.settings.connections_max:
            raise TidingsError(Code.CAPACITY_REDUCED, "This replica holds as many streams as it may.")
        headers: dict[bytes, bytes] = dict(scope["headers"])
        authorization = headers.get(b"authorization")
        principal = await self._replica.authenticator.bearer(
            None if authorization is None else authorization.decode("latin-1")
        )
        check_version(headers.get(b"tidings-version"))
        require(principal, "events:read")
        asked, types = _question(scope["query_string"], headers.get(b"last-event-id"))
        self._open += 1
        feed = self._replica.hub.join(principal.organization_id)
        try:
            await self._stream(principal, feed, asked, types, receive, answer)
        finally:
            self._open -= 1
            self._replica.hub.leave(feed)

    async def _stream(
        self,
        principal: Principal,
        feed: Feed,
        asked: Position | None,
        types: tuple[str, ...],
        receive: Receive,
        answer: "_Answer",
    ) -> None:
        head = await feed.fresh_head()
        after = head.seq
        if asked is not None:
            first = await self._log.first_seq(principal.organization_id)
            await self._accept(asked, head.epoch, head.seq + 1 if first is None else first, head.seq)
            after = asked.number
        await answer.begin(200, HEADERS)
        if answer.is_head:
            await answer.end(b"")
            return
        await answer.send({"type": "http.response.body", "body": b": tidings\n\n", "more_body": True})
        heartbeat = Heartbeat(self._replica, receive, answer.send)
        try:
            await feed.reached(head.seq)
            while not heartbeat.gone and feed.epoch == head.epoch:
                events = await self._next(feed, after)
                if not events:
                    await heartbeat.race(feed.reached(after + 1))
                    continue
                after = events[-1].seq
                shown = [_block(event, head.epoch) for event in events if _wanted(event, types)]
                if shown:
                    await heartbeat.send(b"".join(shown))
        finally:
            await heartbeat.close()
        if not heartbeat.gone:  # the log lost continuity: the reader comes back, and is told by 409
            await answer.end(b"")

    async def _accept(self, asked: Position, epoch: str, first: int, last: int) -> None:
        if is_recoverable(asked, epoch=epoch, first=first, last=last):
            return
        readable = {"epoch": epoch, "first": f"{epoch}:{max(first - 1, 0)}", "last": f"{epoch}:{last}"}
        expired = asked.epoch in ("", epoch) and asked.number < first
        raise TidingsError(Code.HISTORY_EXPIRED if expired else Code.EPOCH_CHANGED, readable=readable)

    async def _next(self, feed: Feed, after: int) -> list[Event]:
        """Return what comes after a seq, but nothing that was not dispatched here yet.

        From memory when it reaches back so far, else from the log.
        """
        up_to = feed.next_seq - 1
        if after >= up_to:
            return []
        events = feed.recent.after_seq(after, PAGE)
        if events is not None:
            return events
        return await self._log.events(feed.organization_id, after_seq=after, up_to_seq=up_to, limit=PAGE)


def _question(query: bytes, last_event_id: bytes | None) -> tuple[Position | None, tuple[str, ...]]:
    """Return from where on and which types a reader wants; where he says he was counts before the URL."""
    parameters = read_query(query, frozenset({AFTER, TYPES}))
    types = tuple(filter(None, parameters.get(TYPES, "").split(",")))
    try:
        if last_event_id:
            return parse_position(last_event_id.decode("latin-1")), types
        return (parse_position(parameters[AFTER]) if parameters.get(AFTER) else None), types
    except TidingsError:
        detail = "A position is <epoch>:<number>."
        if last_event_id:
            raise TidingsError(Code.HEADER_INVALID, detail, header="Last-Event-ID") from None
        raise bad_parameter(AFTER, "format", detail) from None


def _wanted(event: Event, types: tuple[str, ...]) -> bool:
    if not types:
        return True
    prefixes = tuple(name[:-1] for name in types if name.endswith(".*"))
    return event.type in types or event.type.startswith(prefixes)


def _block(event: Event, epoch: str) -> bytes:
    data = event_object(event, epoch).translate(None, b"\r\n")
    return b"id: %b:%d\ndata: %b\n\n" % (epoch.encode(), event.seq, data)


class _Answer:
    """One answer on its way, with the headers that each has; to HEAD it has no body."""

    def __init__(self, send: Send, request_id: str, *, is_head: bool) -> None:
        self.send = send
        self.request_id = request_id
        self.is_head = is_head
        self.has_begun = False

    async def begin(self, status: int, headers: dict[str, str]) -> None:
        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        raw += ((b"request-id", self.request_id.encode()), (b"tidings-version", VERSION))
        self.has_begun = True
        await self.send({"type": "http.response.start", "status": status, "headers": raw})

    async def end(self, body: bytes) -> None:
        await self.send({"type": "http.response.body", "body": b"" if self.is_head else body})

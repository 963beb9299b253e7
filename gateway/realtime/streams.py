"""The organization's log over SSE: from a position on, then live, resumable for the whole retention.

A plain ASGI application without framework: one route, one kind of answer, and bytes that are written as
they come.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson

from adapters.postgres.streams import LogReader
from core.auth.principal import Principal
from core.errors import Code, TidingsError
from core.ids import encode
from core.streams.event import Event
from core.streams.event_object import event_object
from core.streams.position import Position, is_recoverable, parse_position
from gateway.auth import require
from gateway.problems import MEDIA_TYPE, headers_of, problem_of
from gateway.realtime.feed import Feed
from gateway.realtime.heartbeat import Heartbeat
from gateway.realtime.parts import Replica

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

PATH: Final = "/v1/events/stream"
HEALTH: Final = "/healthz"
PAGE: Final = 500
PARAMETERS: Final = frozenset({"after", "types"})
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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        request_id = encode("req", self._replica.entropy.id())
        try:
            await self._serve(scope, receive, send, request_id)
        except TidingsError as error:
            problem = problem_of(error, request_id=request_id, origin=self._origin)
            headers = {"Content-Type": MEDIA_TYPE, "Cache-Control": "no-store", "Request-Id": request_id}
            await _start(send, error.row.status, headers | headers_of(error))
            await send({"type": "http.response.body", "body": orjson.dumps(problem)})

    async def _serve(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        if scope["path"] == HEALTH:
            await _start(send, 200, {"Content-Type": "text/plain"})
            await send({"type": "http.response.body", "body": b"ok"})
            return
        if scope["path"] != PATH:
            raise TidingsError(Code.ROUTE_NOT_FOUND)
        if scope["method"] != "GET":
            raise TidingsError(Code.METHOD_NOT_ALLOWED)
        if self._open >= self._replica.settings.connections_max:
            raise TidingsError(Code.CAPACITY_REDUCED, "This replica holds as many streams as it may.")
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]}
        principal = await self._replica.authenticator.bearer(headers.get("authorization"))
        require(principal, "events:read")
        asked, types = _question(scope["query_string"].decode(), headers.get("last-event-id"))
        self._open += 1
        feed = self._replica.hub.join(principal.organization_id)
        try:
            await self._stream(principal, feed, asked, types, receive, send, request_id)
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
        send: Send,
        request_id: str,
    ) -> None:
        head = await feed.fresh_head()
        after = head.seq
        if asked is not None:
            first = await self._log.first_seq(principal.organization_id)
            await self._accept(asked, head.epoch, head.seq + 1 if first is None else first, head.seq)
            after = asked.number
        await _start(send, 200, HEADERS | {"Request-Id": request_id})
        await send({"type": "http.response.body", "body": b": tidings\n\n", "more_body": True})
        heartbeat = Heartbeat(self._replica, receive, send)
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
            await send({"type": "http.response.body", "body": b""})

    async def _accept(self, asked: Position, epoch: str, first: int, last: int) -> None:
        if is_recoverable(asked, epoch=epoch, first=first, last=last):
            return
        readable = {"epoch": epoch, "first": f"{epoch}:{max(first - 1, 0)}", "last": f"{epoch}:{last}"}
        expired = asked.epoch in ("", epoch) and asked.number < first
        raise TidingsError(Code.HISTORY_EXPIRED if expired else Code.EPOCH_CHANGED, readable=readable)

    async def _next(self, feed: Feed, after: int) -> list[Event]:
        """Return what comes after a seq, from memory when it reaches back.

        Never above what was dispatched.
        """
        up_to = feed.next_seq - 1
        if after >= up_to:
            return []
        events = feed.recent.after_seq(after, PAGE)
        if events is not None:
            return events
        return await self._log.events(feed.organization_id, after_seq=after, up_to_seq=up_to, limit=PAGE)


def _question(query: str, last_event_id: str | None) -> tuple[Position | None, tuple[str, ...]]:
    parameters = parse_qsl(query, keep_blank_values=True)
    names = [name for name, _ in parameters]
    if set(names) - PARAMETERS or len(set(names)) != len(names):
        known = ", ".join(sorted(PARAMETERS))
        raise TidingsError(Code.UNKNOWN_PARAMETER, f"Known parameters, each once: {known}.")
    values = dict(parameters)
    position = last_event_id or values.get("after")
    types = tuple(filter(None, values.get("types", "").split(",")))
    return (parse_position(position) if position else None), types


def _wanted(event: Event, types: tuple[str, ...]) -> bool:
    if not types:
        return True
    prefixes = tuple(name[:-1] for name in types if name.endswith(".*"))
    return event.type in types or event.type.startswith(prefixes)


def _block(event: Event, epoch: str) -> bytes:
    data = event_object(event, epoch).translate(None, b"\r\n")
    return b"id: %b:%d\ndata: %b\n\n" % (epoch.encode(), event.seq, data)


async def _start(send: Send, status: int, headers: dict[str, str]) -> None:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})

"""Plain SSE: what the log holds from a position on, and then live, for readers that speak no protocol.

`id:` is a position; a reader that comes back with it as `Last-Event-ID` goes on where it was, for the whole
retention. What is shown of the log is a `Source`.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Protocol

import structlog

from core.auth.principal import Principal
from core.errors import Code, TidingsError, bad_parameter
from core.streams.position import Position, parse_position
from gateway.auth import LOOK_S, require
from gateway.realtime.admission import refusal
from gateway.realtime.exchange import Exchange
from gateway.realtime.heartbeat import Heartbeat
from gateway.realtime.parts import Replica
from gateway.realtime.sse import HEADERS
from gateway.versions import check_version

METHODS: Final = ("GET", "HEAD")
AFTER: Final = "after"
BEGINNING: Final = b": tidings\n\n"


class Source(Protocol):
    """What one reader is shown."""

    @property
    def is_over(self) -> bool:
        """Whether the log has lost continuity: the reader has to come back, and is told then."""
        ...

    async def begin(self, asked: Position | None) -> None:
        """Begin after a position, or with what comes from now on.

        Raises:
            TidingsError: `epoch_changed`, `history_expired`; no owner answers.
        """
        ...

    async def next(self) -> bytes | None:
        """Return what comes next as events of SSE, perhaps none of those read; None: nothing is there yet."""
        ...

    async def changed(self) -> None:
        """Return when `next` may have something."""
        ...

    def close(self) -> None:
        """Forget the reader."""
        ...


class PlainStreams:
    """All readers of a replica's plain streams."""

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self._open: dict[Heartbeat, Principal] = {}
        self._looking: asyncio.Task[None] | None = None

    async def caller(self, exchange: Exchange, scope: str) -> Principal:
        """Return who asks, by an API key.

        Raises:
            TidingsError: as `Authenticator.bearer`; `version_unknown`; `permission_denied`.
        """
        principal = await self.replica.authenticator.bearer(exchange.headers.get("authorization"))
        version = exchange.headers.get("tidings-version")
        check_version(None if version is None else version.encode("latin-1"))
        require(principal, scope)
        return principal

    async def serve(
        self, exchange: Exchange, principal: Principal, source: Source, asked: Position | None
    ) -> None:
        """Answer one request until its reader leaves, or may not stay.

        Raises:
            TidingsError: `capacity_reduced`, `rate_limited`, `concurrency_limited`; as `Source.begin`.
        """
        try:
            with self._admitted(exchange.address, principal.organization_id):
                await source.begin(asked)
                await exchange.begin(200, HEADERS)
                if exchange.method == "HEAD":
                    await exchange.end()
                    return
                await self._stream(exchange, principal, source)
        finally:
            source.close()

    @contextmanager
    def _admitted(self, address: str, organization_id: bytes) -> Iterator[None]:
        admission = self.replica.admission
        if len(self._open) >= self.replica.settings.connections_max:
            raise TidingsError(Code.CAPACITY_REDUCED, "This replica holds as many streams as it may.")
        if (refused := admission.admit_address(address)) is not None:
            raise refusal(refused)
        if (refused := admission.admit_connect(organization_id)) is not None:
            raise refusal(refused, "organization")
        admission.hold_address(address)
        admission.hold_connect(organization_id)
        try:
            yield
        finally:
            admission.release_address(address)
            admission.release_connect(organization_id)

    async def _stream(self, exchange: Exchange, principal: Principal, source: Source) -> None:
        heartbeat = Heartbeat(self.replica, exchange)
        self._open[heartbeat] = principal
        if self._looking is None or self._looking.done():
            self._looking = self.replica.tasks.spawn("stream.standing", self._look())
        try:
            await heartbeat.send(BEGINNING)
            while heartbeat.beats and not source.is_over:
                events = await source.next()
                if events is None:
                    await heartbeat.race(source.changed())
                elif events:
                    await heartbeat.send(events)
        finally:
            del self._open[heartbeat]
            await heartbeat.close()
        if not heartbeat.gone:
            await exchange.end()

    def end(self) -> None:
        """Let all readers come back elsewhere."""
        for reader in self._open:
            reader.end()

    async def _look(self) -> None:
        """End, while there are readers, those whose key was taken back or has expired."""
        clock = self.replica.clock
        while self._open:
            await clock.sleep(LOOK_S)
            for reader, principal in list(self._open.items()):
                is_over = principal.expires_at is not None and principal.expires_at <= clock.now()
                if is_over or not await self._may_stay(principal):
                    reader.end()

    async def _may_stay(self, principal: Principal) -> bool:
        try:
            return await self.replica.authenticator.still_valid(principal)
        except Exception:  # noqa: BLE001 (logged whole: what one organization has stored must not shield others)
            structlog.get_logger().exception("stream.unread", organization_id=principal.organization_id.hex())
            return True


def position_asked(exchange: Exchange, query: Mapping[str, str]) -> Position | None:
    """Return after which position a reader wants to begin; where it says that it was counts before the URL.

    Raises:
        TidingsError: `header_invalid`, `validation_failed`.
    """
    last, after = exchange.headers.get("last-event-id"), query.get(AFTER)
    try:
        return parse_position(last or after or "") if last or after else None
    except TidingsError:
        detail = "A position is <epoch>:<number>."
        if last:
            raise TidingsError(Code.HEADER_INVALID, detail, header="Last-Event-ID") from None
        raise bad_parameter(AFTER, "format", detail) from None


def event_of(position: Position, data: bytes) -> bytes:
    """Return one event of SSE; its data are JSON, where line breaks mean nothing."""
    return b"id: %b\ndata: %b\n\n" % (str(position).encode(), data.translate(None, b"\r\n"))

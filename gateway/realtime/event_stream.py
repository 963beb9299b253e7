"""`GET /v1/events/stream`: the organization's log over SSE."""

from itertools import accumulate
from typing import Final

from adapters.postgres.streams import LogReader
from core.streams.event import Event, size_of
from core.streams.event_object import event_object
from core.streams.position import Position, require_readable
from gateway.query import read_query
from gateway.realtime.exchange import Exchange
from gateway.realtime.feed import Feed
from gateway.realtime.plain_stream import AFTER, METHODS, PlainStreams, event_of, position_asked

PATH: Final = "/v1/events/stream"
TYPES: Final = "types"
PAGE: Final = 500


class EventStream:
    """Serves the log of whoever asks, all of it or the types that it names.

    Args:
        streams: of the replica.
        log: reads what memory does not hold.
    """

    methods = METHODS

    def __init__(self, streams: PlainStreams, log: LogReader) -> None:
        self._streams = streams
        self._log = log

    async def serve(self, exchange: Exchange) -> None:
        """Answer one request."""
        principal = await self._streams.caller(exchange, "events:read")
        query = read_query(exchange.query, frozenset({AFTER, TYPES}))
        asked = position_asked(exchange, query)
        types = tuple(filter(None, query.get(TYPES, "").split(",")))
        hub = self._streams.replica.hub
        feed = hub.join(principal.organization_id)
        try:
            events = Events(feed, self._log, types, self._streams.replica.settings.page_bytes_max)
            await self._streams.serve(exchange, principal, events, asked)
        finally:
            hub.leave(feed)


class Events:
    """The events of a feed, by `seq` (`plain_stream.Source`), in pages of `bytes_max` but for one event."""

    def __init__(self, feed: Feed, log: LogReader, types: tuple[str, ...], bytes_max: int) -> None:
        self._feed = feed
        self._log = log
        self._bytes_max = bytes_max
        self._types = types
        self._prefixes = tuple(name[:-1] for name in types if name.endswith(".*"))
        self._epoch = ""
        self._seq = 0
        self._has_hole = False

    @property
    def is_over(self) -> bool:
        """Whether the log has another epoch, or what comes next is past its retention."""
        return self._has_hole or self._feed.epoch != self._epoch

    async def begin(self, asked: Position | None) -> None:
        """Begin after a `seq`, or now."""
        head = await self._feed.fresh_head()
        self._epoch, self._seq = head.epoch, head.seq
        if asked is not None:
            first = await self._log.first_seq(self._feed.organization_id)
            first = head.seq + 1 if first is None else first
            require_readable(asked, epoch=head.epoch, first=first, last=head.seq)
            self._seq = asked.number

    async def next(self) -> bytes | None:
        """Return what comes next, but nothing that was not dispatched here yet."""
        up_to = self._feed.next_seq - 1
        if self._seq >= up_to:
            return None
        events = await self._read(up_to)
        if not events or events[0].seq != self._seq + 1:
            self._has_hole = True
        if self.is_over:  # also when the log has changed under the reading
            return b""
        self._seq = events[-1].seq
        return b"".join(
            event_of(Position(self._epoch, event.seq), event_object(event, self._epoch))
            for event in events
            if self._is_wanted(event)
        )

    async def _read(self, up_to: int) -> list[Event]:
        """Return events from memory when it reaches back so far, else from the log."""
        feed = self._feed
        events = feed.recent.after_seq(self._seq, PAGE)
        if events is not None:
            ends = accumulate(map(size_of, events))
            return events[: 1 + sum(end < self._bytes_max for end in ends)]
        return await self._log.events(
            feed.organization_id,
            after_seq=self._seq,
            up_to_seq=up_to,
            limit=PAGE,
            bytes_max=self._bytes_max,
        )

    def _is_wanted(self, event: Event) -> bool:
        return not self._types or event.type in self._types or event.type.startswith(self._prefixes)

    async def changed(self) -> None:
        """Return when something more was dispatched here."""
        await self._feed.reached(self._seq + 1)

    def close(self) -> None:
        """Nothing is kept for this reader."""

"""`GET /v1/channels/{channel}/stream`: one channel over SSE, the log itself under every namespace."""

import asyncio
from typing import Final

from core.auth.access import refusal_to_read_log
from core.errors import Code, TidingsError, bad_parameter
from core.streams.event import Event
from core.streams.event_object import publication_entry
from core.streams.position import Position, require_readable
from gateway.query import decoded, read_query
from gateway.realtime.catching import Catching
from gateway.realtime.exchange import Exchange
from gateway.realtime.feed import Feed
from gateway.realtime.parts import Replica
from gateway.realtime.plain_stream import AFTER, METHODS, PlainStreams, event_of, position_asked
from gateway.realtime.subscribing import offset_in

BEFORE: Final = "/v1/channels/"
BEHIND: Final = "/stream"


def channel_of(path: str) -> str | None:
    """Return the channel that a path names, or None: it is the path of something else.

    Raises:
        TidingsError: `malformed_request`, its encoding is broken.
    """
    if not (path.startswith(BEFORE) and path.endswith(BEHIND)):
        return None
    segment = path[len(BEFORE) : -len(BEHIND)]
    return decoded(segment.encode("latin-1")) if segment and "/" not in segment else None


class ChannelStream:
    """Serves the channels of whoever asks."""

    methods = METHODS

    def __init__(self, streams: PlainStreams, channel: str) -> None:
        self._streams = streams
        self._channel = channel

    async def serve(self, exchange: Exchange) -> None:
        """Answer one request."""
        replica = self._streams.replica
        principal = await self._streams.caller(exchange, "channels:read")
        asked = position_asked(exchange, read_query(exchange.query, frozenset({AFTER})))
        organization = await replica.authenticator.organization(principal.organization_id)
        refusal = refusal_to_read_log(principal, organization, self._channel, replica.types)
        if refusal is Code.VALIDATION_FAILED:
            detail = "A channel's name has 1 to 255 printable ASCII characters."
            raise bad_parameter("channel", "pattern", detail)
        if refusal is not None:
            raise TidingsError(refusal)
        feed = replica.hub.join(principal.organization_id)
        try:
            publications = Publications(replica, feed, self._channel)
            await self._streams.serve(exchange, principal, publications, asked)
        finally:
            replica.hub.leave(feed)


class _Notes(Catching):
    """What is published while a reader is busy; past its limits it is dropped, for it is in the log."""

    __slots__ = ("changed",)

    def __init__(self, events_max: int, bytes_max: int) -> None:
        super().__init__(events_max, bytes_max)
        self.changed = asyncio.Event()

    def note(self, offset: int, event: Event) -> None:
        super().note(offset, event)
        self.changed.set()

    def pause(self) -> None:
        super().pause()
        self.changed.set()


class Publications:
    """The publications of a channel, by `offset` (`plain_stream.Source`).

    A reader is behind, and then reads pages of the log, or is live, and then gets what is noted. It becomes
    live by a page after which nothing is left, if all that was dispatched since that page was asked for has
    been noted.
    """

    def __init__(self, replica: Replica, feed: Feed, channel: str) -> None:
        self._replica = replica
        self._feed = feed
        self._channel = feed.channel(channel)
        limits = replica.settings
        self._notes = _Notes(limits.noted_events_max, limits.page_bytes_max)
        self._channel.catching[self] = self._notes
        self._notes.pause()
        self._epoch = ""
        self._offset = 0
        self._is_behind = True
        self._has_hole = False

    @property
    def is_over(self) -> bool:
        """Whether the log has another epoch, or what comes next is past its retention."""
        return self._has_hole or self._feed.epoch != self._epoch

    async def begin(self, asked: Position | None) -> None:
        """Begin after an `offset`, or now."""
        head = await self._feed.fresh_head()
        span = await self._replica.channels.head(
            self._feed.organization_id, self._channel.name, up_to_seq=head.seq
        )
        self._epoch, self._offset = head.epoch, span.last_offset
        if asked is not None:
            require_readable(asked, epoch=head.epoch, first=span.first_offset, last=span.last_offset)
            self._offset = asked.number

    async def next(self) -> bytes | None:
        """Return what comes next, but nothing that was not dispatched here yet."""
        if self._is_behind or self._notes.overflowed:
            self._is_behind = True
            publications = await self._page()
        else:
            publications = self._noted()
        publications = [(offset, event) for offset, event in publications if offset > self._offset]
        if publications and publications[0][0] != self._offset + 1:
            self._has_hole = True
        if self.is_over:  # also when the log has changed under the reading
            return b""
        if not publications:
            return b"" if self._is_behind else None
        self._offset = publications[-1][0]
        name, epoch = self._channel.name, self._epoch
        return b"".join(
            event_of(Position(epoch, offset), publication_entry(event, name, offset, epoch))
            for offset, event in publications
        )

    async def _page(self) -> list[tuple[int, Event]]:
        notes, limits = self._notes, self._replica.settings
        notes.resume()
        page = await self._replica.channels.page(
            self._feed.organization_id,
            self._channel.name,
            after_offset=self._offset,
            up_to_seq=self._feed.next_seq - 1,
            limit=limits.history_max,
            bytes_max=limits.page_bytes_max,
        )
        self._is_behind = page.has_more or notes.overflowed
        if self._is_behind:
            notes.pause()
        return [(offset_in(event, self._channel.name), event) for event in page.events]

    def _noted(self) -> list[tuple[int, Event]]:
        noted = list(self._notes.noted)
        self._notes.pause()
        self._notes.resume()
        self._notes.changed.clear()
        return noted

    async def changed(self) -> None:
        """Return when something was published, or the log broke."""
        await self._notes.changed.wait()

    def close(self) -> None:
        """Take the notes away."""
        self._channel.catching.pop(self, None)
        self._feed.leave(self._channel)

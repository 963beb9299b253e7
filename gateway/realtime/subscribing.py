"""From "subscribe" to the first live push: without a gap or a duplicate, however much was missed.

First the subscription is registered, so that from now on nothing that is dispatched escapes it; then a
head is asked for that covers everything acknowledged before; then the log is read up to that head; then
what was noted meanwhile is merged by offset. A long absence is caught up page by page, and only the last
page goes through the merge.
"""

from dataclasses import dataclass

from adapters.postgres.channels import ChannelReader
from core.connections.frames import Subscribed
from core.errors import Code, TidingsError
from core.streams.event import Event, Head, size_of
from core.streams.position import Position, is_recoverable
from gateway.realtime.channel import Catching, Channel
from gateway.realtime.feed import Feed
from settings import Realtime

Publications = list[tuple[int, Event]]


@dataclass(frozen=True, slots=True)
class Beginning:
    """How a subscription begins: its reply, and where it then stands. `more`: pages are left in the log."""

    reply: Subscribed
    offset: int
    head: Head
    more: bool = False


def offset_in(event: Event, channel: str) -> int:
    """Return the event's offset in a channel that it stands in."""
    return next(offset for name, offset in event.entries if name == channel)


class Reader:
    """Reads channels for those who subscribe: the newest part from memory, the rest from the log."""

    def __init__(self, channels: ChannelReader, settings: Realtime) -> None:
        self._channels = channels
        self._settings = settings

    async def page(self, feed: Feed, channel: str, after: int, head: Head) -> tuple[Publications, bool]:
        """Return the next publications after an offset, and whether more are left below the head.

        A page is bounded in number and in bytes.
        """
        limit = self._settings.history_max
        publications = feed.recent.after_offset(channel, after, limit + 1) if feed.reaches(head) else None
        is_cut = False
        if publications is None:
            page = await self._channels.page(
                feed.organization_id,
                channel,
                after_offset=after,
                up_to_seq=head.seq,
                limit=limit,
                bytes_max=self._settings.page_bytes_max,
            )
            is_cut = page.has_more
            publications = [(offset_in(event, channel), event) for event in page.events]
        fitting = publications[: fit(publications, limit, self._settings.page_bytes_max)]
        return fitting, is_cut or len(fitting) < len(publications)

    async def begin(self, feed: Feed, channel: Channel, since: Position | None, *, strict: bool) -> Beginning:
        """Decide how a subscription begins.

        Raises:
            TidingsError: `unrecoverable_position` where the client asked for that; no owner or database
                answers.
        """
        head = await feed.fresh_head()
        last = await self._last_offset(feed, channel, head)
        if since is None:
            return Beginning(Subscribed(head.epoch, last), last, head)
        if since.number == last and since.epoch in ("", head.epoch):
            return Beginning(Subscribed(head.epoch, last, was_recovering=True, recovered=True), last, head)
        if since.epoch in ("", head.epoch) and since.number < last:
            publications, more = await self.page(feed, channel.name, since.number, head)
            if not publications:
                # Dispatched here after the head, and out of memory already: under a newer head it is read.
                head = await feed.fresh_head()
                publications, more = await self.page(feed, channel.name, since.number, head)
            first = publications[0][0] if publications else last + 1
            if is_recoverable(since, epoch=head.epoch, first=first, last=last):
                reply = Subscribed(
                    head.epoch, since.number, was_recovering=True, recovered=True, publications=publications
                )
                return Beginning(reply, publications[-1][0], head, more=more)
        if strict:
            raise TidingsError(Code.UNRECOVERABLE_POSITION)
        return Beginning(Subscribed(head.epoch, last, was_recovering=True), last, head)

    async def _last_offset(self, feed: Feed, channel: Channel, head: Head) -> int:
        if channel.offset is not None and feed.reaches(head):
            return channel.offset
        found = await self._channels.head(feed.organization_id, channel.name, up_to_seq=head.seq)
        return found.last_offset


def fit(publications: Publications, limit: int, bytes_max: int) -> int:
    """Return how many of them, from the first on, fit into one page: one at least, if there is one."""
    size = 0
    for index, (_, event) in enumerate(publications):
        size += size_of(event)
        if index and (index >= limit or size > bytes_max):
            return index
    return len(publications)


def merged(catching: Catching, after: int) -> Publications:
    """Return what was noted after an offset, in order; the rest was read from the log already."""
    return [(offset, event) for offset, event in catching.noted if offset > after]

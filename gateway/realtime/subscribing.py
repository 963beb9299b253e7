"""From "subscribe" to the first live push: without a gap or a duplicate, however much was missed.

First the subscription is registered, so that from now on nothing that is dispatched escapes it; then a
head is asked for that covers everything acknowledged before; then the log is read up to that head; then
what was noted meanwhile is merged by offset. A long absence is caught up page by page, and only the last
page goes through the merge.
"""

import msgspec
from msgspec.structs import replace

from adapters.postgres.channels import ChannelReader
from core.channels.filter import matches
from core.channels.visible import Visible
from core.connections.frames import Subscribed
from core.connections.subscription import Grant
from core.errors import Code, TidingsError
from core.streams.event import Event, Head, size_of
from core.streams.position import Position
from gateway.realtime.catching import Catching
from gateway.realtime.channel import Channel
from gateway.realtime.feed import Feed
from gateway.realtime.lane import spares
from settings import Realtime

Publications = list[tuple[int, Event]]


class Beginning(msgspec.Struct, frozen=True):
    """How a subscription begins: its reply, and where it then stands. `more`: pages are left in the log."""

    reply: Subscribed
    offset: int
    head: Head
    more: bool = False

    def shown_to(self, client_id: str, grant: Grant) -> "Beginning":
        """Return the same with those publications alone that the client wants."""
        publications = wanted(self.reply.publications, grant, client_id)
        return replace(self, reply=replace(self.reply, publications=publications))

    @property
    def listed_bytes(self) -> int:
        """How much its reply lists of what was missed, and need not: it may follow as pushes."""
        return sum(size_of(event) for _, event in self.reply.publications)

    @property
    def start(self) -> int:
        """The offset after which what is listed goes on: in a cache, that before the newest."""
        listed, start = self.reply.publications, self.reply.offset
        return min(start, listed[0][0] - 1) if listed else start

    def unlisted(self) -> "Beginning":
        """Return the same with all that was missed left in the log.

        The client is told to stand before it, so that it asks again for what it does not get.
        """
        reply = replace(self.reply, publications=[], offset=self.start)
        return replace(self, reply=reply, offset=self.start, more=True)

    @property
    def last(self) -> Event | None:
        """The publication that the subscription stands at, if it is in the reply."""
        listed = self.reply.publications
        return listed[-1][1] if listed and listed[-1][0] == self.offset else None


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

    async def begin(
        self,
        feed: Feed,
        channel: Channel,
        since: Position | None,
        grant: Grant,
        client_id: str,
        *,
        strict: bool,
    ) -> Beginning:
        """Decide how a client's subscription begins.

        Raises:
            TidingsError: `unrecoverable_position` where the client asked for that; no owner or database
                answers.
        """
        head = await feed.fresh_head()
        last = await self._last_offset(feed, channel, head)
        anew = Subscribed(
            head.epoch,
            last,
            was_recovering=since is not None,
            recoverable=grant.recoverable,
            delta=grant.delta,
            patches=grant.options.delta_publish,
        )
        if since is None or not grant.recoverable:
            return Beginning(anew, last, head)
        begun = None
        if grant.options.force_recovery_mode == "cache":
            begun = await self._newest(feed, channel, since, grant, anew, head)
        elif since.epoch in ("", head.epoch):
            begun = await self._continued(feed, channel, since, grant, anew, head)
        if begun is not None:
            return begun.shown_to(client_id, grant)
        if strict:
            raise TidingsError(Code.UNRECOVERABLE_POSITION)
        return Beginning(anew, last, head)

    async def _continued(
        self, feed: Feed, channel: Channel, since: Position, grant: Grant, anew: Subscribed, head: Head
    ) -> Beginning | None:
        """Go on from a position, or return None: what came after it is not all to be seen any more."""
        last = anew.offset
        reply = replace(anew, offset=since.number, recovered=True)
        if since.number == last:
            return Beginning(reply, last, head)
        seen = await self._visible(feed, channel, grant, head)
        if since.number > last or since.number + 1 < seen.first_offset:
            return None
        publications, more, head = await self._missed(feed, channel, since.number, head)
        if not publications or publications[0][0] != since.number + 1:
            return None
        reply = replace(reply, publications=publications)
        return Beginning(reply, publications[-1][0], head, more=more)

    async def _newest(
        self, feed: Feed, channel: Channel, since: Position, grant: Grant, anew: Subscribed, head: Head
    ) -> Beginning | None:
        """Give the newest publication alone, unless the client has it; None: there is none to be seen.

        What the client has is of no matter here, so that neither is the epoch that it had it in.
        """
        last = anew.offset
        seen = await self._visible(feed, channel, grant, head)
        if not seen.count:
            return None
        reply = replace(anew, recovered=True)
        if since.number == last and since.epoch in ("", head.epoch):
            return Beginning(reply, last, head)
        publications, _, head = await self._missed(feed, channel, last - 1, head)
        newest = [one for one in publications if one[0] == last]
        if not newest:
            return None
        return Beginning(replace(reply, publications=newest), last, head)

    async def _missed(
        self, feed: Feed, channel: Channel, after: int, head: Head
    ) -> tuple[Publications, bool, Head]:
        """Return the first page after an offset at which the channel does not end, and the head it is of."""
        publications, more = await self.page(feed, channel.name, after, head)
        if not publications:
            # Dispatched here after the head, and out of memory already: under a newer head it is read.
            head = await feed.fresh_head()
            publications, more = await self.page(feed, channel.name, after, head)
        return publications, more, head

    async def _visible(self, feed: Feed, channel: Channel, grant: Grant, head: Head) -> Visible:
        return await self._channels.visible(
            feed.organization_id, channel.name, grant.options, up_to_seq=head.seq
        )

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


def wanted(publications: Publications, grant: Grant, client_id: str) -> Publications:
    """Return those that the subscription's filter lets pass, without what its own client wants not back."""
    return [
        (offset, event)
        for offset, event in publications
        if (grant.filter is None or matches(grant.filter, event.tags)) and not spares(event, client_id)
    ]


def merged(catching: Catching, after: int) -> Publications:
    """Return what was noted after an offset, in order; the rest was read from the log already."""
    return [(offset, event) for offset, event in catching.noted if offset > after]

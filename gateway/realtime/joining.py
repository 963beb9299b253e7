"""A subscription on its way from the reply to the live stream, page by page, however much was missed."""

from collections.abc import Callable
from typing import Protocol

from core.connections.subscription import Grant
from core.errors import TidingsError
from core.streams.event import OPAQUE
from core.streams.event_object import channel_payload
from gateway.realtime.catching import Catching
from gateway.realtime.channel import Channel
from gateway.realtime.chronicle import Traveller
from gateway.realtime.feed import Feed
from gateway.realtime.forms import Form
from gateway.realtime.parts import Replica
from gateway.realtime.subscribing import Beginning, Publications, merged, wanted

RETRY_S = 0.2
REST_MAX_S = 0.05


class HoleError(Exception):
    """What comes next is not there any more."""


class Reading(Traveller, Protocol):
    """The client that is to catch up, as far as this file knows it."""

    async def drained(self) -> None:
        """Return when the client has read so much that one more page may wait for it."""
        ...

    @property
    def client_id(self) -> str:
        """Its id."""
        ...

    @property
    def form(self) -> Form:
        """What its messages look like."""
        ...

    def push(self, messages: list[bytes]) -> None:
        """Send messages to this client alone, in this order, behind everything that was said before."""
        ...

    def go_live(self, channel: Channel, grant: Grant, messages: list[bytes], *, has_last: bool) -> None:
        """Send the last of them, and from then on what all subscribers of the channel get."""
        ...

    def refuse_payload(self) -> None:
        """A payload that is not JSON can't be shown to it: end it."""
        ...


class Joining:
    """One subscribe of one client; over as soon as its note is no longer the client's in the channel.

    Whoever unsubscribes, disconnects or subscribes anew takes the note away, so after each wait it is asked
    for again: an older subscribe must not speak for a newer one.
    """

    def __init__(self, replica: Replica, feed: Feed, channel: Channel, client: Reading, grant: Grant) -> None:
        self._replica = replica
        self._grant = grant
        self._chain = channel.chain_of(client.form.codec, grant) if grant.delta else None
        self._feed = feed
        self._channel = channel
        self._client = client
        self._offset = self._head_seq = 0
        self._epoch = ""
        self._page_s = 0.0
        limits = replica.settings
        self._noted = Catching(limits.noted_events_max, limits.page_bytes_max)
        channel.catching[client] = self._noted

    def is_over(self) -> bool:
        """Say whether the client has left meanwhile."""
        return self._channel.catching.get(self._client) is not self._noted

    def push(self, publications: Publications) -> None:
        """Send publications to the client alone."""
        self._client.push(self._messages(publications))

    async def catch_up(self, begun: Beginning, on_hole: Callable[[], None]) -> None:
        """Bring the subscription from its beginning to the live stream.

        What can't be read at the moment is read again; a hole that can't be filled ends the subscription by
        `on_hole`.
        """
        self._offset, self._head_seq, more = begun.offset, begun.head.seq, begun.more
        self._epoch = begun.head.epoch
        if self._chain is not None and begun.last is not None:
            self._chain.base = channel_payload(begun.last)
        try:
            while not self.is_over():
                if more:
                    more = await self._next_page()
                elif await self._is_live():
                    return
                else:
                    more = True  # too much came to be noted: it is in the log
        except HoleError:
            on_hole()

    async def _next_page(self) -> bool:
        """Send one more page, and return whether more are left.

        Raises:
            HoleError: the retention has overtaken the reader, or the log has another epoch.
        """
        # Nothing is noted while pages are left: one page waits for the client, the log has the rest.
        self._noted.pause()
        await self._client.drained()
        if self._page_s:  # who is far behind leaves to the others as much time as it takes itself
            await self._replica.clock.sleep(min(self._page_s, REST_MAX_S))
        self._noted.resume()
        began_s = self._replica.clock.monotonic()
        try:
            head = await self._feed.fresh_head()
            publications, more = await self._replica.reader.page(
                self._feed, self._channel.name, self._offset, head
            )
        except (TidingsError, OSError):
            await self._replica.clock.sleep(RETRY_S)
            return True
        if self.is_over():
            return False
        self._check(publications[0][0] if publications else 0)
        if publications:
            self.push(publications)
            self._offset = publications[-1][0]
            self._replica.chronicle.paged(self._client, self._channel.name, self._offset)
        self._page_s = self._replica.clock.monotonic() - began_s
        self._head_seq = head.seq
        return more

    async def _is_live(self) -> bool:
        """Wait until everything that was read up to is dispatched here, and go live if all of it was noted.

        Raises:
            HoleError: what was noted does not go on where the reading ended, or the log has another epoch.
        """
        await self._feed.reached(self._head_seq)
        if self.is_over():
            return True
        self._check(0)
        if self._noted.overflowed:
            return False
        channel, last = self._channel, merged(self._noted, self._offset)
        self._check(last[0][0] if last else (channel.offset or 0) + 1)
        messages = self._messages(last)
        # What is gathered is for those who were there before. Some may end by it: its note keeps the channel.
        channel.flush()
        if self.is_over():
            return True
        del channel.catching[self._client]
        if channel.offset is None:
            channel.offset = self._offset
        has_last = self._chain is not None and self._chain.base is not None
        self._client.go_live(channel, self._grant, messages, has_last=has_last)
        return True

    def _check(self, next_offset: int) -> None:
        if next_offset > self._offset + 1 or self._feed.epoch != self._epoch:
            raise HoleError

    def _messages(self, publications: Publications) -> list[bytes]:
        shown = wanted(publications, self._grant, self._client.client_id)
        codec = self._client.form.codec
        if codec.is_json and any(event.flags & OPAQUE for _, event in shown):
            self._client.refuse_payload()
            return []
        if self._chain is not None:
            messages = self._chain.messages(shown)
            if shown[-1:] != publications[-1:]:
                self._chain.base = None  # the others have a newer one than this client
            return messages
        head = codec.head_of(self._channel.name)
        return [codec.encode_publication(head, offset, event) for offset, event in shown]

"""Those subscribers of a channel that get the same bytes: of one form, on the same terms."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Protocol

from core.channels.filter import FilterNode, matches
from core.connections.codec import Codec
from core.streams.event import OPAQUE, SPARES_SENDER, WANTS_PATCH, Event
from core.streams.event_object import channel_payload
from gateway.realtime.forms import Form

Pending = list[tuple[int, Event]]
"""What a tick gathered, with offsets; 0: not in the log."""


class Wire(Protocol):
    """Where shared bytes go: the socket of one subscriber."""

    def write(self, data: bytes) -> None:
        """Send bytes that are framed already."""
        ...

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait for the peer to read."""
        ...


class Subscriber(Protocol):
    """One client, as far as a channel knows it."""

    @property
    def client_id(self) -> str:
        """Its id."""
        ...

    @property
    def form(self) -> Form:
        """What its messages look like."""
        ...

    @property
    def wire(self) -> Wire:
        """Where shared bytes go."""
        ...

    def push(self, messages: list[bytes]) -> None:
        """Send messages to it alone, behind everything that was said before."""
        ...

    def refuse_payload(self) -> None:
        """A payload that is not JSON can't be shown to it: end it."""
        ...


Spared = Mapping[Subscriber, Collection[int]]
"""Who does not want which of them, by its place: the connections that published."""


def spares(event: Event, client_id: str) -> bool:
    """Say whether a client published it and does not want it back."""
    return bool(event.flags & SPARES_SENDER) and event.info is not None and event.info.client == client_id


class Encoded:
    """The publications of one tick in every encoding that somebody wants: each made once."""

    __slots__ = ("_channel", "_messages", "flags", "pending")

    def __init__(self, channel: str, pending: Pending) -> None:
        self._channel = channel
        self.pending = pending
        self.flags = 0
        """Those of all of them together."""
        for _, event in pending:
            self.flags |= event.flags
        self._messages: dict[Codec, list[bytes]] = {}

    def messages(self, codec: Codec) -> list[bytes]:
        """Return all of them, as pushes."""
        messages = self._messages.get(codec)
        if messages is None:
            head = codec.head_of(self._channel)
            messages = [codec.encode_publication(head, offset, event) for offset, event in self.pending]
            self._messages[codec] = messages
        return messages

    def is_opaque(self, codec: Codec) -> bool:
        """Say whether something is among them that this encoding can't show."""
        return bool(self.flags & OPAQUE) and codec.is_json


class Lane:
    """Plain ones: every publication, or those that a filter lets pass."""

    __slots__ = ("_filter", "form", "wires")

    def __init__(self, form: Form, tags: FilterNode | None = None) -> None:
        self.form = form
        self._filter = tags
        self.wires: dict[Subscriber, Wire] = {}

    def enter(self, subscriber: Subscriber, wire: Wire, *, has_last: bool) -> None:  # noqa: ARG002 (of those with delta)
        """Begin to write to a subscriber; `has_last`: it was sent the channel's newest publication."""
        self.wires[subscriber] = wire

    def leave(self, subscriber: Subscriber) -> bool:
        """Stop writing to it; False: it was not here."""
        return self.wires.pop(subscriber, None) is not None

    def write(self, encoded: Encoded, spared: Spared, bytes_max: int) -> None:
        """Write what a tick gathered."""
        messages = encoded.messages(self.form.codec)
        if self._filter is None and not spared:  # as nearly always
            for frame in self.form.frames(messages, bytes_max):
                for wire in self.wires.values():
                    wire.write(frame)
        else:
            self._write_chosen(messages, encoded.pending, spared, bytes_max)

    def _write_chosen(self, messages: list[bytes], pending: Pending, spared: Spared, bytes_max: int) -> None:
        """Write those that the filter lets pass, and to each who is spared some of them the others alone."""
        tags = self._filter
        wanted = [
            place for place, (_, event) in enumerate(pending) if tags is None or matches(tags, event.tags)
        ]
        for frame in self.form.frames([messages[place] for place in wanted], bytes_max):
            for subscriber, wire in self.wires.items():
                if subscriber not in spared:
                    wire.write(frame)
        for subscriber in spared:
            if subscriber in self.wires:
                rest = [messages[place] for place in wanted if place not in spared[subscriber]]
                for frame in self.form.frames(rest, bytes_max):
                    self.wires[subscriber].write(frame)

    def can_not_show(self, encoded: Encoded) -> bool:
        """Say whether something is among what a tick gathered that is wanted here and is not JSON."""
        if not encoded.is_opaque(self.form.codec):
            return False
        tags = self._filter
        opaque = (event for _, event in encoded.pending if event.flags & OPAQUE)
        return any(tags is None or matches(tags, event.tags) for event in opaque)

    def refuse_payload(self) -> None:
        """End all that are here."""
        for subscriber in list(self.wires):
            subscriber.refuse_payload()

    def __len__(self) -> int:
        return len(self.wires)

    def __contains__(self, subscriber: Subscriber) -> bool:
        return subscriber in self.wires

    def __iter__(self) -> Iterator[Wire]:
        yield from self.wires.values()


class DeltaLane(Lane):
    """Those with delta: each publication as a patch of the one before, once they have that.

    `allows`: patches are made even where the publisher did not ask for them.
    """

    __slots__ = ("_allows", "_base", "_channel", "_fresh")

    def __init__(self, form: Form, channel: str, *, allows: bool) -> None:
        super().__init__(form)
        self._channel = channel
        self._allows = allows
        self._base: bytes | None = None
        self._fresh: dict[Subscriber, Wire] = {}

    def enter(self, subscriber: Subscriber, wire: Wire, *, has_last: bool) -> None:
        """Begin to write to a subscriber; the first is whole, unless it has what the others have."""
        if has_last and self._base is not None:
            self.wires[subscriber] = wire
        else:
            self._fresh[subscriber] = wire

    def leave(self, subscriber: Subscriber) -> bool:
        """Stop writing to it; False: it was not here."""
        return self._fresh.pop(subscriber, None) is not None or super().leave(subscriber)

    def write(self, encoded: Encoded, spared: Spared, bytes_max: int) -> None:
        """Write what a tick gathered; to who is spared a part of it the next one comes whole."""
        pending, form = encoded.pending, self.form
        chain = Chain(form.codec, self._channel, self._base, allows=self._allows)
        messages = chain.messages(pending)
        apart = [subscriber for subscriber in spared if self.leave(subscriber)]
        if self._fresh:
            self._write_to(self._fresh, chain.first_whole(pending, messages), bytes_max)
        if self.wires:
            self._write_to(self.wires, messages, bytes_max)
        self.wires.update(self._fresh)
        self._fresh = {subscriber: subscriber.wire for subscriber in apart}
        for subscriber in apart:
            rest = [one for place, one in enumerate(pending) if place not in spared[subscriber]]
            own = Chain(form.codec, self._channel, None, allows=self._allows).messages(rest)
            for frame in form.frames(own, bytes_max):
                subscriber.wire.write(frame)
        self._base = chain.base

    def _write_to(self, wires: dict[Subscriber, Wire], messages: list[bytes], bytes_max: int) -> None:
        for frame in self.form.frames(messages, bytes_max):
            for wire in wires.values():
                wire.write(frame)

    def refuse_payload(self) -> None:
        """End all that are here."""
        super().refuse_payload()
        for subscriber in list(self._fresh):
            subscriber.refuse_payload()

    def __len__(self) -> int:
        return len(self.wires) + len(self._fresh)

    def __contains__(self, subscriber: Subscriber) -> bool:
        return subscriber in self.wires or subscriber in self._fresh

    def __iter__(self) -> Iterator[Wire]:
        yield from self.wires.values()
        yield from self._fresh.values()


class Chain:
    """Publications as patches, each of the one before.

    Args:
        codec: of those who read them.
        channel: its name.
        base: the payload that they have; None: none.
        allows: patches are made even where the publisher did not ask for them.
    """

    def __init__(self, codec: Codec, channel: str, base: bytes | None, *, allows: bool) -> None:
        self._codec = codec
        self._head = codec.head_of(channel)
        self._allows = allows
        self.base = base

    def messages(self, publications: Iterable[tuple[int, Event]]) -> list[bytes]:
        """Return the next publications as pushes."""
        messages = []
        for offset, event in publications:
            base = self.base if self._allows or event.flags & WANTS_PATCH else None
            messages.append(self._codec.encode_patch(self._head, offset, event, base))
            self.base = channel_payload(event)
        return messages

    def first_whole(self, publications: Pending, messages: list[bytes]) -> list[bytes]:
        """Return the same pushes for who has nothing yet."""
        offset, event = publications[0]
        return [self._codec.encode_patch(self._head, offset, event, None), *messages[1:]]

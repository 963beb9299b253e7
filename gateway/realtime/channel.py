"""One channel of one organization on this replica: its subscribers, and the bytes that they share."""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Final

from core.connections.codec import Codec
from core.connections.frames import Joined, Left
from core.connections.subscription import Grant
from core.streams.event import PUBLICATION_CREATED, SPARES_SENDER, EphemeralPublication, Event
from gateway.realtime.catching import Catching
from gateway.realtime.conflated import ConflatedLane
from gateway.realtime.lane import Chain, DeltaLane, Encoded, Lane, Pending, Subscriber, Wire

Terms = tuple[object, ...]

_NONE: Final[dict[Terms, Lane]] = {}
"""Of the many channels in which nobody has terms of its own; never changed."""


class Channel:
    """Live subscribers stand at the channel's own offset, so the guard costs nothing per subscriber.

    `offset` is that of the newest publication dispatched here, None while nobody knows it.

    Args:
        name: of the channel.
        frame_bytes_max: of what is written at once.
        find: the client with an id, if it is connected here.
    """

    __slots__ = (
        "_apart", "_find", "_frame_bytes_max", "_hearers", "_lanes", "_last_is_stored", "_pending", "_terms",
        "catching", "name", "offset",
    )  # fmt: skip

    def __init__(
        self, name: str, frame_bytes_max: int, find: Callable[[str], Subscriber | None] = lambda _: None
    ) -> None:
        self.name = name
        self.offset: int | None = None
        self.catching: dict[object, Catching] = {}
        self._lanes: dict[Terms, Lane] = {}
        # Of those with a filter or a rate: as many as subscribers, perhaps, so that each has its terms noted.
        self._apart: dict[Terms, Lane] = _NONE
        self._terms: dict[Subscriber, Terms] | None = None
        self._hearers: dict[Subscriber, None] | None = None
        self._pending: Pending = []
        self._last_is_stored = True
        self._frame_bytes_max = frame_bytes_max
        self._find = find

    @property
    def is_idle(self) -> bool:
        """Whether nobody is subscribed here."""
        return not (self._lanes or self._apart or self.catching or self._hearers)

    @property
    def written_offset(self) -> int:
        """Up to where those who are live were written to: what this tick gathered is not yet."""
        first = next((offset for offset, _ in self._pending if offset), None)
        return (self.offset or 0) if first is None else first - 1

    # --- subscribers

    @property
    def live_count(self) -> int:
        """How many get what is dispatched."""
        return sum(map(len, self._all()))

    def wires(self) -> Iterator[Wire]:
        """Return the wires of all that are live."""
        return chain.from_iterable(self._all())

    def _all(self) -> Iterator[Lane]:
        return chain(self._lanes.values(), self._apart.values())

    def is_live(self, subscriber: Subscriber) -> bool:
        """Say whether it gets what is dispatched."""
        if self._terms is not None and subscriber in self._terms:
            return True
        return any(subscriber in lane for lane in self._lanes.values())

    def has(self, subscriber: Subscriber) -> bool:
        """Say whether it is subscribed, however far it has got."""
        return subscriber in self.catching or self.is_live(subscriber)

    def go_live(self, subscriber: Subscriber, grant: Grant, *, has_last: bool) -> None:
        """Begin to write to a subscriber that stands at the channel's offset.

        `has_last`: it was sent the newest publication, in this subscription.
        """
        lane = self._lane(subscriber, grant)
        lane.enter(subscriber, subscriber.wire, has_last=has_last and self._last_is_stored)

    def _lane(self, subscriber: Subscriber, grant: Grant) -> Lane:
        form, allows = subscriber.form, grant.options.delta_publish
        terms: Terms = (form, grant.filter, grant.delta, grant.delta and allows)
        lanes = self._lanes
        if grant.max_rate or grant.filter is not None:
            terms = (subscriber,) if grant.max_rate else terms
            if self._terms is None:
                self._apart, self._terms = {}, {}
            self._terms[subscriber], lanes = terms, self._apart
        lane = lanes.get(terms)
        if lane is None:
            if grant.max_rate:
                lane = ConflatedLane(subscriber, self.name, grant, self._frame_bytes_max)
            elif grant.delta:
                lane = DeltaLane(form, self.name, allows=allows)
            else:
                lane = Lane(form, grant.filter)
            lanes[terms] = lane
        return lane

    def hear(self, subscriber: Subscriber) -> None:
        """Tell a subscriber who joins and leaves from now on."""
        if self._hearers is None:
            self._hearers = {}
        self._hearers[subscriber] = None

    def leave(self, subscriber: Subscriber) -> None:
        """Forget a subscriber, however far it has got."""
        self.catching.pop(subscriber, None)
        terms, lanes = self._terms.pop(subscriber, None) if self._terms else None, self._apart
        if terms is None:
            lanes = self._lanes
            terms = next((terms for terms, lane in lanes.items() if subscriber in lane), None)
        if terms is not None:
            lane = lanes[terms]
            lane.leave(subscriber)
            if not len(lane):
                del lanes[terms]
        if self._hearers is not None:
            self._hearers.pop(subscriber, None)
            self._hearers = self._hearers or None

    # --- what is dispatched

    def dispatch(self, offset: int, event: Event) -> bool:
        """Take the channel's next publication; False: there is a hole, which only a bug makes."""
        last = self.offset
        if last is not None and offset <= last:
            return True
        if last is not None and offset != last + 1 and (self._lanes or self._apart):
            return False
        self.offset = offset
        for catching in self.catching.values():
            catching.note(offset, event)
        if self._lanes or self._apart:
            self._pending.append((offset, event))
        return True

    def reset(self) -> None:
        """Forget where the channel stood: its log has another epoch, and those who catch up must ask anew."""
        self.flush()
        self.offset = None
        for catching in self.catching.values():
            catching.pause()

    def dispatch_ephemeral(self, publication: EphemeralPublication) -> None:
        """Take a publication without offset; those that still catch up miss it."""
        if self._lanes or self._apart:
            event = Event(
                0, b"", PUBLICATION_CREATED, 0, publication.data, (), publication.info, publication.tags,
                flags=publication.flags,
            )  # fmt: skip
            self._pending.append((0, event))

    def announce(self, push: Joined | Left) -> None:
        """Tell who joined or left to those who hear of it, but not to itself."""
        if self._hearers is None:
            return
        self.flush()
        messages: dict[Codec, bytes] = {}
        for subscriber in self._hearers or ():  # what was written may have been the end of all of them
            if subscriber.client_id == push.info.client:
                continue
            codec = subscriber.form.codec
            message = messages.get(codec)
            if message is None:
                message = messages[codec] = codec.encode_push(push)
            subscriber.push([message])

    def chain_of(self, codec: Codec, grant: Grant) -> Chain:
        """Return what makes the pushes of a subscriber with delta that is behind the others."""
        return Chain(codec, self.name, None, allows=grant.options.delta_publish)

    def flush(self) -> None:
        """Write what this tick gathered to every live subscriber: the same bytes to all that are alike."""
        pending, self._pending = self._pending, []
        if not pending:
            return
        self._last_is_stored = pending[-1][0] > 0
        encoded = Encoded(self.name, pending)
        spared = self._spared(pending) if encoded.flags & SPARES_SENDER else {}
        for lane in list(self._all()):
            if lane.can_not_show(encoded):
                lane.refuse_payload()
            else:
                lane.write(encoded, spared, self._frame_bytes_max)

    def _spared(self, pending: Pending) -> dict[Subscriber, set[int]]:
        spared: dict[Subscriber, set[int]] = {}
        for place, (_, event) in enumerate(pending):
            if event.flags & SPARES_SENDER and event.info is not None:
                sender = self._find(event.info.client)
                if sender is not None:
                    spared.setdefault(sender, set()).add(place)
        return spared

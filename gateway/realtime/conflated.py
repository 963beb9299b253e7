"""A subscriber that wants at most so many publications a second, of each key the latest."""

import asyncio
from collections.abc import Sequence

from core.channels.conflation import Conflation, key_of
from core.channels.filter import matches
from core.connections.subscription import Grant
from core.streams.event import Event, size_of
from gateway.realtime.lane import Chain, Encoded, Lane, Spared, Subscriber, Wire


class ConflatedLane(Lane):
    """One subscriber alone: what waits for it, and the timer of the next.

    Args:
        subscriber: whose lane it is.
        channel: its name.
        grant: its terms.
        frame_bytes_max: of what is written at once.
    """

    __slots__ = ("_bytes_max", "_chain", "_channel", "_timer", "_waiting")

    def __init__(self, subscriber: Subscriber, channel: str, grant: Grant, frame_bytes_max: int) -> None:
        super().__init__(subscriber.form, grant.filter)
        self._channel = channel
        self._bytes_max = frame_bytes_max
        self._waiting: Conflation[Event] = Conflation(grant.max_rate, size_of)
        self._timer: asyncio.TimerHandle | None = None
        self._chain = (
            Chain(self.form.codec, channel, None, allows=grant.options.delta_publish) if grant.delta else None
        )

    def enter(self, subscriber: Subscriber, wire: Wire, *, has_last: bool) -> None:  # noqa: ARG002 (its own chain begins anew)
        """Begin to write to it."""
        self.wires[subscriber] = wire

    def leave(self, subscriber: Subscriber) -> bool:
        """Stop writing to it; False: it was not here."""
        if self._timer is not None and subscriber in self.wires:
            self._timer.cancel()
        return super().leave(subscriber)

    def write(self, encoded: Encoded, spared: Spared, bytes_max: int) -> None:  # noqa: ARG002 (known since it entered)
        """Take what a tick gathered; write what may go out now."""
        now_s = asyncio.get_running_loop().time()
        unwanted = next((spared[subscriber] for subscriber in self.wires if subscriber in spared), ())
        tags = self._filter
        sent: list[tuple[int, Event]] = []
        for place, (offset, event) in enumerate(encoded.pending):
            if place not in unwanted and (tags is None or matches(tags, event.tags)):
                sent += self._waiting.offer(offset, key_of(event.tags), event, now_s)
        self._send(sent)

    def _send(self, publications: Sequence[tuple[int, Event]]) -> None:
        form, loop = self.form, asyncio.get_running_loop()
        if self._chain is not None:
            messages = self._chain.messages(publications)
        else:
            head = form.codec.head_of(self._channel)
            messages = [form.codec.encode_publication(head, offset, event) for offset, event in publications]
        for frame in form.frames(messages, self._bytes_max):
            for wire in self.wires.values():
                wire.write(frame)
        due_s = self._waiting.due_s
        if self._timer is None and due_s is not None:
            self._timer = loop.call_at(due_s, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._send(self._waiting.tick(asyncio.get_running_loop().time()))

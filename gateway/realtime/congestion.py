"""Slows down an organization's publishers on this replica when many of a channel's readers can't follow.

One reader that does not read is slow, and is told so (3008). When a quarter are, it is the way to them that
is full: a small machine, the edge in front. To drop them all would make them come back at once and read what
they missed, which is more work than before. So those who publish through here wait a little instead: their
sockets are read no further until the readers have caught up, or for `HOLD_S` at most.
"""

from itertools import islice
from typing import Protocol

from adapters.telemetry.tasks import Tasks
from core.ports import Clock
from gateway.realtime.channel import Channel

LOOK_S = 0.02
HOLD_S = 2.0
SAMPLE = 32
MANY = 4
"""More than one in so many."""
SHARE_OF_OUTBOX = 8
"""Behind is who has more than this part of the largest outbox unsent; half of that has caught up again."""


class Publisher(Protocol):
    """Somebody who can be made to wait."""

    def hold(self) -> None:
        """Read nothing more from it."""
        ...

    def release(self) -> None:
        """Read on."""
        ...


class Congestion:
    """Of one organization on one replica.

    Args:
        outbox_bytes_max: past it a reader is dropped.
        clock: for intervals.
        tasks: owner of the waiting.
    """

    def __init__(self, outbox_bytes_max: int, clock: Clock, tasks: Tasks) -> None:
        self._bytes_max = outbox_bytes_max // SHARE_OF_OUTBOX
        self._clock = clock
        self._tasks = tasks
        self._next_look_s = 0.0
        self._start = 0
        self._channel: Channel | None = None
        self._held: dict[Publisher, None] = {}

    @property
    def is_on(self) -> bool:
        """Whether publishers have to wait."""
        return self._channel is not None

    def look(self, channel: Channel) -> None:
        """See how far a channel's readers are behind, after something was written to them."""
        now = self._clock.monotonic()
        if now < self._next_look_s or self.is_on:
            return
        self._next_look_s = now + LOOK_S
        if self._is_behind(channel, self._bytes_max):
            self._channel = channel
            self._tasks.spawn("congestion", self._wait())

    def _is_behind(self, channel: Channel, bytes_max: int) -> bool:
        # Spread over all of them, and others each time.
        step = max(1, channel.live_count // SAMPLE)
        self._start = (self._start + 1) % step
        sample = islice(channel.wires(), self._start, None, step)
        unsent = [wire.get_write_buffer_size() for wire in sample]
        return MANY * sum(size > bytes_max for size in unsent) > len(unsent)

    def hold(self, publisher: Publisher) -> None:
        """Make a publisher wait with the others."""
        if self.is_on and publisher not in self._held:
            self._held[publisher] = None
            publisher.hold()

    async def _wait(self) -> None:
        deadline = self._clock.monotonic() + HOLD_S
        try:
            while (
                self._channel is not None
                and self._is_behind(self._channel, self._bytes_max // 2)
                and self._clock.monotonic() < deadline
            ):
                await self._clock.sleep(LOOK_S)
        finally:
            self._channel = None
            held, self._held = self._held, {}
            for publisher in held:
                publisher.release()

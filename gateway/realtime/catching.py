"""What is dispatched on a channel while a subscription is between its registration and its first push."""

from collections import deque

from core.streams.event import Event, size_of


class Catching:
    """A subscription between its registration and its first live push: notes what is dispatched meanwhile.

    Past `events_max`, or when all but the last hold `bytes_max`, everything is dropped, for it is in the log.
    """

    __slots__ = ("_bytes", "_bytes_max", "_events_max", "noted", "overflowed")

    def __init__(self, events_max: int, bytes_max: int) -> None:
        self._events_max = events_max
        self._bytes_max = bytes_max
        self._bytes = 0
        self.noted: deque[tuple[int, Event]] = deque()
        self.overflowed = False

    def note(self, offset: int, event: Event) -> None:
        """Keep a publication for later, if there is room."""
        if self.overflowed:
            return
        if len(self.noted) >= self._events_max or self._bytes >= self._bytes_max:
            self.pause()
            return
        self._bytes += size_of(event)
        self.noted.append((offset, event))

    def pause(self) -> None:
        """Drop what is noted, and note nothing: it will be read from the log."""
        self.overflowed = True
        self.noted.clear()
        self._bytes = 0

    def resume(self) -> None:
        """Note again."""
        self.overflowed = False

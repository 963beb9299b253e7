"""The newest events of one organization in memory: what most returning readers have missed."""

from collections import deque

from core.streams.event import Event, size_of


class Recent:
    """Events contiguous by `seq`, findable by channel; the oldest leave when there are too many bytes."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._events: deque[Event] = deque()
        self._channels: dict[str, deque[tuple[int, Event]]] = {}

    def add(self, event: Event) -> None:
        """Take the next event of the log."""
        self._events.append(event)
        self._bytes += size_of(event)
        for channel, offset in event.entries:
            self._channels.setdefault(channel, deque()).append((offset, event))
        while self._bytes > self._bytes_max and len(self._events) > 1:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        event = self._events.popleft()
        self._bytes -= size_of(event)
        for channel, _ in event.entries:
            line = self._channels[channel]
            line.popleft()
            if not line:
                del self._channels[channel]

    def clear(self) -> None:
        """Forget everything: the log lost continuity, or a part was not seen."""
        self._events.clear()
        self._channels.clear()
        self._bytes = 0

    def after_seq(self, seq: int, limit: int) -> list[Event] | None:
        """Return at most `limit` events after `seq`, or None when memory does not reach back to there."""
        if not self._events or self._events[0].seq > seq + 1:
            return None
        start = seq + 1 - self._events[0].seq
        return [self._events[index] for index in range(start, min(start + limit, len(self._events)))]

    def after_offset(self, channel: str, offset: int, limit: int) -> list[tuple[int, Event]] | None:
        """Return at most `limit` publications of a channel after `offset`, or None: memory begins later."""
        line = self._channels.get(channel)
        if not line or line[0][0] > offset + 1:
            return None
        start = offset + 1 - line[0][0]
        return [line[index] for index in range(start, min(start + limit, len(line)))]

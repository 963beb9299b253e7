"""One channel of one organization on this replica: its subscribers, and the bytes that they share."""

from collections import deque
from typing import Protocol

from core.connections.codec_json import encode_ephemeral, encode_push, push_prefix
from core.streams.event import PUBLICATION_CREATED, EphemeralPublication, Event, size_of
from gateway.realtime.framing import framed


class Wire(Protocol):
    """Where shared bytes go: the socket of one subscriber."""

    def write(self, data: bytes) -> None:
        """Send bytes that are framed already."""
        ...

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait for the peer to read."""
        ...


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


class Channel:
    """Live subscribers stand at the channel's own offset, so the guard costs nothing per subscriber.

    `offset` is that of the newest publication dispatched here, None while nobody knows it.
    """

    __slots__ = ("_frame_bytes_max", "_pending", "_prefix", "catching", "live", "name", "offset")

    def __init__(self, name: str, frame_bytes_max: int) -> None:
        self.name = name
        self.offset: int | None = None
        self.live: dict[object, Wire] = {}
        self.catching: dict[object, Catching] = {}
        self._prefix = push_prefix(name)
        self._pending: list[bytes] = []
        self._frame_bytes_max = frame_bytes_max

    @property
    def is_idle(self) -> bool:
        """Whether nobody is here."""
        return not self.live and not self.catching

    def dispatch(self, offset: int, event: Event) -> bool:
        """Take the channel's next publication; False: there is a hole, which only a bug makes."""
        last = self.offset
        if last is not None and offset <= last:
            return True
        if last is not None and offset != last + 1 and self.live:
            return False
        self.offset = offset
        for catching in self.catching.values():
            catching.note(offset, event)
        if self.live:
            self._pending.append(encode_push(self._prefix, offset, event))
        return True

    def reset(self) -> None:
        """Forget where the channel stood: its log has another epoch, and those who catch up must ask anew."""
        self.flush()
        self.offset = None
        for catching in self.catching.values():
            catching.pause()

    def dispatch_ephemeral(self, publication: EphemeralPublication) -> None:
        """Take a publication without offset; those that still catch up miss it."""
        if self.live:
            event = Event(
                0, b"", PUBLICATION_CREATED, 0, publication.data, (), publication.info, publication.tags
            )
            self._pending.append(encode_ephemeral(self._prefix, event))

    def push_of(self, offset: int, event: Event) -> bytes:
        """Return one publication as its push, for a subscriber that is behind the others."""
        return encode_push(self._prefix, offset, event)

    def flush(self) -> None:
        """Write what this tick gathered to every live subscriber: the same bytes to all."""
        pending = self._pending
        if not pending:
            return
        self._pending = []
        for shared in frames_of(pending, self._frame_bytes_max):
            for wire in self.live.values():
                wire.write(shared)


def frames_of(messages: list[bytes], bytes_max: int) -> list[bytes]:
    """Join messages into as few frames as the limit allows; a longer message has a frame of its own."""
    return [framed(payload) for payload in joined(messages, bytes_max)]


def joined(lines: list[bytes], bytes_max: int) -> list[bytes]:
    """Join lines into as few payloads as the limit allows; a longer line has a payload of its own."""
    payloads = []
    size = start = 0
    for index, line in enumerate(lines):
        if size and size + len(line) > bytes_max:
            payloads.append(b"\n".join(lines[start:index]))
            start, size = index, 0
        size += len(line) + 1
    if lines:
        payloads.append(b"\n".join(lines[start:]))
    return payloads

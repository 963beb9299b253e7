"""Frames out of the bytes of a server, which arrive in arbitrary pieces."""

from collections.abc import Iterator

CLOSE = 8


class Inbox:
    """Cuts one socket's bytes into frames, which a server neither masks nor fragments."""

    def __init__(self) -> None:
        self._seen = bytearray()

    def frames(self, piece: bytes) -> Iterator[tuple[int, bytes]]:
        """Take what has arrived, and yield opcode and payload of each frame that is whole."""
        seen = self._seen
        seen += piece
        start = 0
        while (head := _head(seen, start)) is not None:
            begin, end = head
            if end > len(seen):
                break
            yield seen[start] & 0x0F, bytes(seen[begin:end])
            start = end
        del seen[:start]


def close_code(payload: bytes) -> int:
    """Return the code of a close frame; 1005: it has none."""
    return int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1005


def _head(seen: bytearray, start: int) -> tuple[int, int] | None:
    """Return where a frame's payload begins and ends, or None when its head is not whole."""
    if len(seen) < start + 2:
        return None
    size = seen[start + 1] & 0x7F
    begin = start + 2
    if size >= 126:
        begin += 2 if size == 126 else 8
        if len(seen) < begin:
            return None
        size = int.from_bytes(seen[start + 2 : begin], "big")
    return begin, begin + size

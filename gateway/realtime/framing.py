"""A WebSocket frame made once and written to many: one whole message (RFC 6455 §5.2, server side)."""

from typing import Final

TEXT: Final = 0x81
BINARY: Final = 0x82
PONG: Final = 0x8A
SHORT: Final = 125
MEDIUM: Final = 0xFFFF


def framed(payload: bytes, *, binary: bool = False) -> bytes:
    """Return the payload with its header."""
    size, first = len(payload), BINARY if binary else TEXT
    if size <= SHORT:
        return bytes((first, size)) + payload
    if size <= MEDIUM:
        return bytes((first, 0x7E)) + size.to_bytes(2, "big") + payload
    return bytes((first, 0x7F)) + size.to_bytes(8, "big") + payload


def pong_of(payload: bytes) -> bytes:
    """Return the answer to a ping with this payload, which has at most 125 bytes (§5.5)."""
    return bytes((PONG, len(payload))) + payload

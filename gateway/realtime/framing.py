"""A WebSocket frame made once and written to many: one whole message (RFC 6455 §5.2, server side)."""

from typing import Final

TEXT: Final = 0x81
BINARY: Final = 0x82
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

"""A WebSocket frame made once and written to many: one whole text message (RFC 6455 §5.2, server side)."""

from typing import Final

SHORT: Final = 125
MEDIUM: Final = 0xFFFF


def framed(payload: bytes) -> bytes:
    """Return the payload with its header."""
    size = len(payload)
    if size <= SHORT:
        return bytes((0x81, size)) + payload
    if size <= MEDIUM:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload

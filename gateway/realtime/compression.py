"""permessage-deflate (RFC 7692) without a compressor per connection.

Both directions forget what was said at the end of each message. So one compressor serves a whole replica,
and a compressed frame is made once and written to everybody, like any other.
"""

import zlib
from collections.abc import Sequence
from typing import Final

from core.connections.codec import Codec
from gateway.realtime.forms import Form
from gateway.realtime.framing import framed

RSV1: Final = 0x40
WINDOW_BITS: Final = 12
"""Clients may ask us for a window as small as this; for our frames a larger one gains next to nothing."""
MEMORY_LEVEL: Final = 5
LEVEL: Final = 1
COMPRESSED_FROM_BYTES: Final = 256
"""What is shorter hardly shrinks."""

_NAME: Final = "permessage-deflate"
_ANSWER: Final = f"{_NAME}; server_no_context_takeover; client_no_context_takeover"
_TAIL: Final = b"\x00\x00\xff\xff"
"""Ends each message, and is left out on the wire (§7.2.1)."""
_BITS: Final = frozenset(map(str, range(8, 16)))


class InflationError(Exception):
    """The payload is nothing that was compressed."""


def accepted(offers: str) -> str:
    """Return the answer to the first offer that we can keep; "": to none.

    Args:
        offers: `Sec-WebSocket-Extensions` of a request, all its lines joined by commas.

    Source: RFC 7692 §5 and §7.1.
    """
    for offer in offers.split(","):
        name, *parameters = (part.strip() for part in offer.split(";"))
        named = dict(part.replace(" ", "").replace('"', "").partition("=")[::2] for part in parameters)
        if name != _NAME or len(named) < len(parameters) or not _are_known(named):
            continue
        if "server_max_window_bits" in named:
            return f"{_ANSWER}; server_max_window_bits={WINDOW_BITS}"
        return _ANSWER
    return ""


def _are_known(named: dict[str, str]) -> bool:
    for name, value in named.items():
        match name:
            case "server_no_context_takeover" | "client_no_context_takeover" if not value:
                continue
            case "client_max_window_bits" if not value or value in _BITS:
                continue
            case "server_max_window_bits" if value in _BITS and int(value) >= WINDOW_BITS:
                continue
            case _:
                return False
    return True


class Deflater:
    """Compresses messages, each for itself."""

    def __init__(self) -> None:
        self._compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, -WINDOW_BITS, MEMORY_LEVEL)

    def deflate(self, payload: bytes) -> bytes:
        """Return a payload that is not empty as what stands in the frame."""
        compressor = self._compressor
        # A full flush forgets what came before (zlib's manual): the next message knows nothing of this one.
        return (compressor.compress(payload) + compressor.flush(zlib.Z_FULL_FLUSH)).removesuffix(_TAIL)


def inflate(payload: bytes, bytes_max: int) -> bytes | None:
    """Return the message of a compressed payload; None: it is longer than `bytes_max`, and was not unpacked.

    Raises:
        InflationError: it was never compressed.

    Source: RFC 7692 §7.2.2.
    """
    decompressor = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        message = decompressor.decompress(payload + _TAIL, bytes_max + 1)
    except zlib.error as error:
        raise InflationError from error
    if len(message) > bytes_max:
        return None
    # Behind a block that says it is the last stands at most an empty one (§7.2.3.4).
    if decompressor.unused_data.removesuffix(_TAIL) not in {b"", b"\x00"}:
        raise InflationError
    return message


def deflated_form(name: str, codec: Codec, deflater: Deflater, *, binary: bool = False) -> Form:
    """Return the form of WebSocket frames that are compressed where it pays."""

    def wrap(messages: Sequence[bytes]) -> bytes:
        payload = codec.join(messages)
        if len(payload) < COMPRESSED_FROM_BYTES:
            return framed(payload, binary=binary)
        frame = framed(deflater.deflate(payload), binary=binary)
        return bytes((frame[0] | RSV1,)) + frame[1:]

    return Form(name, codec, wrap)

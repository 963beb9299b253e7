"""What is said in one tick of the loop leaves in one frame.

Alone a message leaves in the tick in which it was said; under load frames grow by themselves.
"""

import asyncio
import struct
from typing import Final

from picows import WSMsgType, WSTransport

from adapters.links.frames import ENCODER, FromCaller, FromOwner

# picows writes its own header in front of the payload, into at most 14 bytes that it asks us to leave; then
# follows msgpack's `array 32`: 0xdd and the number of messages.
_WEBSOCKET_HEADER_BYTES: Final = 14
_LIST_HEADER: Final = struct.Struct(">BI")
_ARRAY_32: Final = 0xDD
_START: Final = _WEBSOCKET_HEADER_BYTES + _LIST_HEADER.size
_BLANK: Final = bytes(_START)


class MessageTooLongError(Exception):
    """One message alone is longer than a frame may be. Nothing was sent of it."""


class Outbox:
    """Gathers messages for one link; whoever adds need not flush. After `close` it takes and sends nothing.

    Holds at most one frame: what would not fit into it sends the gathered ones first. What the transport
    cannot send at once is the transport's to hold, and its owner's to limit.

    Args:
        frame_bytes_max: the longest payload that the other end accepts.
    """

    def __init__(self, transport: WSTransport, frame_bytes_max: int) -> None:
        self._transport = transport
        self._payload_bytes_max = frame_bytes_max - _LIST_HEADER.size
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray(_BLANK)
        self._messages = 0
        self._closed = False

    def add(self, message: FromCaller | FromOwner) -> int:
        """Put a message into this tick's frame and return its length in bytes.

        Raises:
            MessageTooLongError: it can never be sent.
        """
        if self._closed:
            return 0
        start = len(self._buffer)
        ENCODER.encode_into(message, self._buffer, start)
        size = len(self._buffer) - start
        if len(self._buffer) - _START > self._payload_bytes_max:
            encoded = bytes(self._buffer[start:])
            del self._buffer[start:]
            self.add_encoded(encoded)
        else:
            self._added()
        return size

    def add_encoded(self, encoded: bytes) -> None:
        """Put an encoded message into this tick's frame: the same bytes may go to many links.

        Raises:
            MessageTooLongError: it can never be sent.
        """
        if self._closed:
            return
        if len(encoded) > self._payload_bytes_max:
            raise MessageTooLongError(len(encoded))
        if len(self._buffer) - _START + len(encoded) > self._payload_bytes_max:
            self.flush()
        self._buffer += encoded
        self._added()

    def _added(self) -> None:
        self._messages += 1
        if self._messages == 1:
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Send what was gathered, now."""
        if not self._messages:
            return
        buffer, self._buffer = self._buffer, bytearray(_BLANK)
        _LIST_HEADER.pack_into(buffer, _WEBSOCKET_HEADER_BYTES, _ARRAY_32, self._messages)
        self._messages = 0
        self._transport.send_reuse_external_bytearray(WSMsgType.BINARY, buffer, _WEBSOCKET_HEADER_BYTES)

    def close(self) -> None:
        """Drop what was gathered and take no more: the link has ended."""
        self._closed = True
        self._buffer = bytearray(_BLANK)
        self._messages = 0

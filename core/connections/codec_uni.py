"""The protocol of unidirectional transports: the client asks once, and then only the server speaks.

What comes is one bare connect request in JSON, what goes are bare pushes (§13 of the protocol).
"""

from collections.abc import Sequence
from typing import Final

import msgspec
import orjson

from core.connections.codec import ProtocolError
from core.connections.codec_json import VALUES, patch, publication
from core.connections.codec_objects import connected_object, push_object
from core.connections.codec_requests import ConnectRequest, connect_of
from core.connections.frames import Command, Connected, Push, Reply
from core.streams.event import Event

CONNECT_ID: Final = 1
"""The id of the command that a bare connect request stands for."""

_DECODE: Final = msgspec.json.Decoder(ConnectRequest).decode


class UniCodec:
    """The encoding of pushes alone."""

    is_json: Final = True
    ping: Final = b"{}"

    def decode(self, message: bytes, commands_max: int) -> list[Command]:  # noqa: ARG002 (it is always one)
        """Return the connect command that the message stands for."""
        try:
            message.decode()  # the parser copies payloads without a look at their UTF-8
            return [connect_of(CONNECT_ID, _DECODE(message))]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ProtocolError from None

    def encode_reply(self, id_: int, reply: Reply, version: str) -> bytes:  # noqa: ARG002 (pushes have none)
        """Return the connect reply as a push."""
        assert isinstance(reply, Connected)  # noqa: S101 (the only command is answered so, or by a disconnect)
        return orjson.dumps({"connect": connected_object(reply, version, VALUES)})

    def encode_push(self, push: Push) -> bytes:
        """Return a push without anything around it."""
        return orjson.dumps(push_object(push, VALUES))

    def head_of(self, channel: str) -> bytes:
        """Return how every publication pushed on a channel begins; it ends with `}`."""
        return b'{"channel":%b,"pub":' % orjson.dumps(channel)

    def encode_publication(self, head: bytes, offset: int, event: Event) -> bytes:
        """Return a push without anything around it."""
        return b"%b%b}" % (head, publication(offset, event))

    def encode_patch(self, head: bytes, offset: int, event: Event, base: bytes | None) -> bytes:
        """Return a push without anything around it."""
        return b"%b%b}" % (head, patch(offset, event, base))

    def join(self, messages: Sequence[bytes]) -> bytes:
        """Return lines, the last one without its newline."""
        return b"\n".join(messages)


UNI: Final = UniCodec()

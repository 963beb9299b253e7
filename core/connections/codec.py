"""What an encoding of the protocol can do: bytes in, commands out; replies and pushes in, bytes out.

A message is one command, reply or push, encoded whole; `join` makes of several what one frame, chunk or
body may hold. Nothing here knows a transport.
"""

from collections.abc import Sequence
from typing import Protocol

from core.connections.frames import Command, Push, Reply
from core.streams.event import Event


class ProtocolError(Exception):
    """The message is no sequence of commands: the connection ends with 3501."""


class Codec(Protocol):
    """One encoding. All methods are pure; `Event` payloads pass through as the bytes they are."""

    @property
    def is_json(self) -> bool:
        """Whether only payloads that are JSON can be shown (any other ends the connection with 3506)."""
        ...

    @property
    def ping(self) -> bytes:
        """The server's ping."""
        ...

    def decode(self, message: bytes, commands_max: int) -> list[Command]:
        """Return the commands of one frame or body, in order.

        Raises:
            ProtocolError: it holds no commands, an unknown one, or too many.
        """
        ...

    def encode_reply(self, id_: int, reply: Reply, version: str) -> bytes:
        """Return one reply; `version` is the server's, for those that tell it."""
        ...

    def encode_push(self, push: Push) -> bytes:
        """Return one push that is no publication."""
        ...

    def head_of(self, channel: str) -> bytes:
        """Return what the two methods below want to know of a channel, made once for all its publications."""
        ...

    def encode_publication(self, head: bytes, offset: int, event: Event) -> bytes:
        """Return one publication as a push; without offset when that is 0."""
        ...

    def encode_patch(self, head: bytes, offset: int, event: Event, base: bytes | None) -> bytes:
        """Return one publication as a push to subscribers with delta (§8 of the protocol).

        `base`: the payload that they have; None: send this one whole, in the form that delta wants.
        """
        ...

    def join(self, messages: Sequence[bytes]) -> bytes:
        """Return several messages as one."""
        ...

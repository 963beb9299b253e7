"""The forms that messages take on the wires: an encoding, and what stands around it.

Subscribers of one form share the bytes that are written to them, so there is one object of each form in a
replica.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from core.connections.codec import Codec
from gateway.realtime.framing import framed


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """How messages look on one kind of wire.

    `wrap` makes what is written of messages that belong together.
    """

    name: str
    codec: Codec
    wrap: Callable[[Sequence[bytes]], bytes]

    def frames(self, messages: Sequence[bytes], bytes_max: int) -> list[bytes]:
        """Return messages in as few writes as the limit allows; a longer message has one of its own."""
        if len(messages) == 1:
            return [self.wrap(messages)]
        frames = []
        size = start = 0
        for index, message in enumerate(messages):
            if size and size + len(message) > bytes_max:
                frames.append(self.wrap(messages[start:index]))
                start, size = index, 0
            size += len(message) + 1
        if messages:
            frames.append(self.wrap(messages[start:]))
        return frames


_EVENT: Final = b"data: %b\n\n"


def websocket_form(name: str, codec: Codec, *, binary: bool = False) -> Form:
    """Return the form of WebSocket frames, text or binary."""
    return Form(name, codec, lambda messages: framed(codec.join(messages), binary=binary))


def frame_form(name: str, codec: Codec) -> Form:
    """Return the form of text frames with one message each."""
    return Form(name, codec, lambda messages: b"".join(map(framed, messages)))


def sse_form(name: str, codec: Codec) -> Form:
    """Return the form of server-sent events: one event a message."""
    return Form(name, codec, lambda messages: b"".join([_EVENT % message for message in messages]))


def stream_form(name: str, codec: Codec) -> Form:
    """Return the form of a streamed body: whole messages, each line ended."""
    end = b"\n" if codec.is_json else b""
    return Form(name, codec, lambda messages: codec.join(messages) + end)

"""The protocol in JSON: one object a line, payloads embedded as the bytes they are.

No raw newline may stand inside an object, since clients split before they parse. In valid JSON a raw CR
or LF stands only between tokens, so these two bytes are dropped from payloads and nothing else is
changed. Payloads are JSON here: who may have others asks `core.streams.event_object.is_json` first.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import msgspec
import orjson

from core.connections.codec import ProtocolError
from core.connections.codec_objects import Values, push_object, reply_object
from core.connections.codec_requests import (
    METHODS,
    CommandOf,
    CommandRequest,
    history_of,
    message_of,
    subscribe_of,
)
from core.connections.delta import patch_of
from core.connections.frames import Command, Pong, Push, Reply
from core.streams.event import ClientInfo, Event
from core.streams.event_object import channel_payload

_DECODE: Final = msgspec.json.Decoder(CommandRequest).decode
_COMMAND_OF: Final[dict[str, CommandOf]] = {
    **METHODS,
    "subscribe": lambda id_, request: subscribe_of(id_, request, request.tf),
    "history": lambda id_, request: history_of(id_, request, request.since),
}
_METHODS: Final = [
    (name, _COMMAND_OF[name]) for name in CommandRequest.__struct_fields__ if name in _COMMAND_OF
]


HEADS_MAX: Final = 4_096
"""Channels whose beginning of a push is kept in memory."""


class JsonCodec:
    """The encoding of text frames, server-sent events and lines."""

    is_json: Final = True
    ping: Final = b"{}"

    def decode(self, message: bytes, commands_max: int) -> list[Command]:
        """Return the commands of a message; one newline may follow the last."""
        lines = message.removesuffix(b"\n").split(b"\n")
        if len(lines) > commands_max:
            raise ProtocolError
        try:
            message.decode()  # as a whole, since the parser copies payloads without a look at their UTF-8
            return [_command_of(_DECODE(line)) for line in lines]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ProtocolError from None

    def encode_reply(self, id_: int, reply: Reply, version: str) -> bytes:
        """Return a line without its newline."""
        kind, result = reply_object(reply, version, VALUES)
        return orjson.dumps({"id": id_, kind: result})

    def encode_push(self, push: Push) -> bytes:
        """Return a line without its newline."""
        return orjson.dumps({"push": push_object(push, VALUES)})

    def head_of(self, channel: str) -> bytes:
        """Return how every publication pushed on a channel begins; it ends with `}}`."""
        return _head_of(channel)

    def encode_publication(self, head: bytes, offset: int, event: Event) -> bytes:
        """Return a line without its newline."""
        return b"%b%b}}" % (head, publication(offset, event))

    def encode_patch(self, head: bytes, offset: int, event: Event, base: bytes | None) -> bytes:
        """Return a line without its newline."""
        return b"%b%b}}" % (head, patch(offset, event, base))

    def join(self, messages: Sequence[bytes]) -> bytes:
        """Return lines, the last one without its newline."""
        return b"\n".join(messages)


JSON: Final = JsonCodec()


@lru_cache(maxsize=HEADS_MAX)
def _head_of(channel: str) -> bytes:
    return b'{"push":{"channel":%b,"pub":' % orjson.dumps(channel)


def embedded(payload: bytes) -> bytes:
    """Return a payload as it may stand inside a line."""
    if b"\n" in payload or b"\r" in payload:
        return payload.translate(None, b"\r\n")
    return payload


def publication(offset: int, event: Event) -> bytes:
    """Return a publication: data, info where a client published it, tags, offset where it is stored."""
    data = embedded(channel_payload(event))
    if event.info is None and not event.tags and offset:
        return b'{"data":%b,"offset":%d}' % (data, offset)
    return _with_data(data, offset, event)


def patch(offset: int, event: Event, base: bytes | None) -> bytes:
    """Return a publication whose data is text: the document itself, or a patch of the one before.

    JSON is UTF-8, and so is a patch of it (`patch_of`).
    """
    payload = channel_payload(event)
    if base is not None and (difference := patch_of(base, payload)) is not None:
        return _with_data(orjson.dumps(difference.decode()), offset, event, end=b',"delta":true}')
    return _with_data(orjson.dumps(payload.decode()), offset, event)


def _with_data(data: bytes, offset: int, event: Event, end: bytes = b"}") -> bytes:
    info = b"" if event.info is None else b',"info":%b' % _info(event.info)
    tags = b',"tags":%b' % orjson.dumps(event.tags) if event.tags else b""
    where = b',"offset":%d' % offset if offset else b""
    return b'{"data":%b%b%b%b%b' % (data, info, tags, where, end)


def _info(info: ClientInfo) -> bytes:
    about = orjson.dumps({"user": info.user, "client": info.client})
    if info.connection_info:
        about = b'%b,"conn_info":%b}' % (about[:-1], embedded(info.connection_info))
    if info.channel_info:
        about = b'%b,"chan_info":%b}' % (about[:-1], embedded(info.channel_info))
    return about


def _raw(payload: bytes) -> orjson.Fragment | None:
    return orjson.Fragment(embedded(payload)) if payload else None


VALUES: Final = Values(
    _raw,
    lambda info: orjson.Fragment(_info(info)),
    lambda offset, event: orjson.Fragment(publication(offset, event)),
    lambda offset, event, base: orjson.Fragment(patch(offset, event, base)),
)


def _command_of(request: CommandRequest) -> Command:
    id_ = request.id
    if not id_:
        return Pong() if request.send is None else message_of(request.send)
    for method, command_of in _METHODS:
        if (asked := getattr(request, method)) is not None:
            return command_of(id_, asked)
    raise ProtocolError

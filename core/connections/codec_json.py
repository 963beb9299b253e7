"""The protocol in JSON: one object a line, payloads embedded as the bytes they are.

No raw newline may stand inside an object, since clients split before they parse. In valid JSON a raw CR
or LF stands only between tokens, so these two bytes are dropped from payloads and nothing else is
changed.
"""

from collections.abc import Iterable
from typing import Annotated, Final

import msgspec
import orjson

from core.connections.codes import CLOSES, ERRORS, TEMPORARY, UNSUBSCRIBES
from core.connections.frames import (
    Command,
    Connect,
    Connected,
    ErrorReply,
    History,
    HistoryPage,
    Pong,
    Publish,
    Published,
    Refresh,
    Refreshed,
    Reply,
    Subscribe,
    Subscribed,
    Unserved,
    Unsubscribe,
    Unsubscribed,
)
from core.streams.event import Event
from core.streams.event_object import channel_payload
from core.streams.position import Position

PING: Final = b"{}"
SERVER: Final = "tidings"
REJECT_UNRECOVERABLE: Final = 2
ID_MAX: Final = 2**32 - 1
OFFSET_MAX: Final = 2**63 - 1
UNSERVED: Final = ("presence", "presence_stats", "rpc", "sub_refresh", "send", "ping")


class ProtocolError(Exception):
    """The frame is no sequence of commands: the connection ends with 3501."""


_Id = Annotated[int, msgspec.Meta(ge=0, le=ID_MAX)]
_Offset = Annotated[int, msgspec.Meta(ge=0, le=OFFSET_MAX)]


class _Connect(msgspec.Struct, omit_defaults=True):
    token: str = ""


class _Subscribe(msgspec.Struct):
    channel: str = ""
    recover: bool = False
    offset: _Offset = 0
    epoch: str = ""
    flag: int = 0
    delta: str = ""
    type: int = 0


class _Channel(msgspec.Struct):
    channel: str = ""
    token: str = ""


class _Publish(msgspec.Struct):
    channel: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")
    idempotency_key: str = ""
    type: int = 0


class _Since(msgspec.Struct):
    offset: _Offset = 0
    epoch: str = ""


class _History(msgspec.Struct):
    channel: str = ""
    limit: int = 0
    since: _Since | None = None
    reverse: bool = False


class _Opaque(msgspec.Struct):
    """An object whose members are nobody's business, since its method is not served."""


class _Command(msgspec.Struct):
    id: _Id = 0
    publish: _Publish | None = None
    connect: _Connect | None = None
    subscribe: _Subscribe | None = None
    unsubscribe: _Channel | None = None
    history: _History | None = None
    refresh: _Connect | None = None
    presence: _Channel | None = None
    presence_stats: _Channel | None = None
    rpc: _Opaque | None = None
    sub_refresh: _Channel | None = None
    send: _Opaque | None = None
    ping: _Opaque | None = None


_DECODE: Final = msgspec.json.Decoder(_Command).decode


def decode(message: bytes, commands_max: int) -> list[Command]:
    """Return the commands of one message, in order.

    Raises:
        ProtocolError: no JSON in UTF-8, no known method, an unknown delta, or too many at once.
    """
    lines = message.removesuffix(b"\n").split(b"\n")
    if len(lines) > commands_max:
        raise ProtocolError
    try:
        message.decode()  # as a whole, since the parser copies payloads without a look at their UTF-8
        return [_command_of(_DECODE(line)) for line in lines]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ProtocolError from None


def _command_of(frame: _Command) -> Command:
    id_ = frame.id
    if not id_:
        return Unserved(0, "send") if frame.send is not None else Pong()
    if (publish := frame.publish) is not None:
        if publish.type:
            return Unserved(id_, "map_publish", _required(publish.channel))
        return Publish(id_, _required(publish.channel), bytes(publish.data), publish.idempotency_key)
    if (subscribe := frame.subscribe) is not None:
        return _subscribe_of(id_, subscribe)
    if frame.connect is not None:
        return Connect(id_, frame.connect.token)
    if frame.unsubscribe is not None:
        return Unsubscribe(id_, _required(frame.unsubscribe.channel))
    if (history := frame.history) is not None:
        since = None if history.since is None else Position(history.since.epoch, history.since.offset)
        return History(id_, _required(history.channel), history.limit, since, history.reverse)
    if frame.refresh is not None:
        return Refresh(id_, frame.refresh.token)
    return _unserved_of(id_, frame)


def _subscribe_of(id_: int, subscribe: _Subscribe) -> Command:
    channel = _required(subscribe.channel)
    if subscribe.type:
        return Unserved(id_, "shared_poll" if subscribe.type == 4 else "map", channel)  # noqa: PLR2004 (§4.2 of the protocol)
    if subscribe.delta not in ("", "fossil"):
        raise ProtocolError
    since = Position(subscribe.epoch, subscribe.offset) if subscribe.recover else None
    return Subscribe(id_, channel, since, bool(subscribe.flag & REJECT_UNRECOVERABLE))


def _unserved_of(id_: int, frame: _Command) -> Command:
    for method in UNSERVED:
        member = getattr(frame, method)
        if member is not None:
            channel = _required(member.channel) if method in ("presence", "presence_stats") else ""
            return Unserved(id_, method, channel)
    raise ProtocolError


def _required(channel: str) -> str:
    if not channel:
        raise ProtocolError
    return channel


def embedded(payload: bytes) -> bytes:
    """Return a payload as it may stand inside a line."""
    if b"\n" in payload or b"\r" in payload:
        return payload.translate(None, b"\r\n")
    return payload


def encode_publication(offset: int, event: Event) -> bytes:
    """Return a publication: data, info where a client published it, offset, tags."""
    data = embedded(channel_payload(event))
    if event.info is None and not event.tags:
        return b'{"data":%b,"offset":%d}' % (data, offset)
    rest = b""
    if (info := event.info) is not None:
        about = b'"user":%b,"client":%b' % (orjson.dumps(info.user), orjson.dumps(info.client))
        if info.connection_info:
            about += b',"conn_info":%b' % embedded(info.connection_info)
        rest += b',"info":{%b}' % about
    if event.tags:
        rest += b',"tags":%b' % orjson.dumps(event.tags)
    return b'{"data":%b%b,"offset":%d}' % (data, rest, offset)


def push_prefix(channel: str) -> bytes:
    """Return how every publication pushed on a channel begins; it ends with `}}`."""
    return b'{"push":{"channel":%b,"pub":' % orjson.dumps(channel)


def encode_push(prefix: bytes, offset: int, event: Event) -> bytes:
    """Return one publication as a push; encoded once, for every subscriber alike."""
    return b"%b%b}}" % (prefix, encode_publication(offset, event))


def encode_ephemeral(prefix: bytes, event: Event) -> bytes:
    """Return a publication without offset as a push."""
    return b"%b%b}}}" % (prefix, encode_publication(0, event).removesuffix(b',"offset":0}'))


def encode_unsubscribe(channel: str, code: int) -> bytes:
    """Return the push that ends a subscription from the server's side."""
    body = {"channel": channel, "unsubscribe": {"code": code, "reason": UNSUBSCRIBES[code]}}
    return orjson.dumps({"push": body})


def close_reason(code: int) -> str:
    """Return the reason of a close frame: never empty, never JSON."""
    return CLOSES.get(code, "disconnected")


def _publications(publications: Iterable[tuple[int, Event]]) -> bytes:
    return b",".join([encode_publication(offset, event) for offset, event in publications])


def encode_reply(id_: int, reply: Reply, version: str = SERVER) -> bytes:
    """Return one reply as a line without its newline."""
    match reply:
        case Published():
            return b'{"id":%d,"publish":{"offset":%d,"epoch":"%b"}}' % (
                id_,
                reply.offset,
                reply.epoch.encode(),
            )
        case Subscribed():
            return b'{"id":%d,"subscribe":%b}' % (id_, _subscribed(reply))
        case Unsubscribed():
            return b'{"id":%d,"unsubscribe":{}}' % id_
        case HistoryPage():
            listed = _publications(reply.publications)
            where = (reply.epoch.encode(), reply.offset)
            return b'{"id":%d,"history":{"publications":[%b],"epoch":"%b","offset":%d}}' % (
                id_,
                listed,
                *where,
            )
        case Connected():
            body = {"client": reply.client, "version": version} | _expiry(reply.ttl_s)
            return orjson.dumps({"id": id_, "connect": body | {"ping": reply.ping_s, "pong": True}})
        case Refreshed():
            body = {"client": reply.client, "version": version} | _expiry(reply.ttl_s)
            return orjson.dumps({"id": id_, "refresh": body})
        case ErrorReply(code=code):
            error: dict[str, object] = {"code": code, "message": ERRORS[code]}
            if code in TEMPORARY:
                error["temporary"] = True
            return orjson.dumps({"id": id_, "error": error})


def _expiry(ttl_s: int | None) -> dict[str, object]:
    return {} if ttl_s is None else {"expires": True, "ttl": max(1, ttl_s)}


def _subscribed(reply: Subscribed) -> bytes:
    parts = [b'"recoverable":true,"positioned":true,"epoch":"%b"' % reply.epoch.encode()]
    if reply.offset:
        parts.append(b'"offset":%d' % reply.offset)
    if reply.was_recovering:
        parts.append(b'"was_recovering":true')
    if reply.recovered:
        parts.append(b'"recovered":true')
    if reply.publications:
        parts.append(b'"publications":[%b]' % _publications(reply.publications))
    return b"{%b}" % b",".join(parts)

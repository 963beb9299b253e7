"""What the requests of clients mean, whichever encoding they came in.

A request is a message of `client_pb2` or, in JSON, a struct with the same fields. Fields that are not known
are passed over; those that are not served are read only to refuse what they ask for.
"""

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Annotated, Any, Final

import msgspec

from core.channels.filter import FilterNode
from core.connections import client_pb2 as pb
from core.connections.codec import ProtocolError
from core.connections.frames import (
    Command,
    Connect,
    History,
    Message,
    Presence,
    PresenceStats,
    Publish,
    Refresh,
    Rpc,
    Since,
    SubRefresh,
    Subscribe,
    Unserved,
    Unsubscribe,
)
from core.streams.position import Position

ID_MAX: Final = 2**32 - 1
OFFSET_MAX: Final = 2**63 - 1
REJECT_UNRECOVERABLE: Final = 2
SHARED_POLL: Final = 4
DELTA: Final = "fossil"

_Unsigned = Annotated[int, msgspec.Meta(ge=0)]
_NOTHING: Final = msgspec.Raw(b"")


class PositionRequest(msgspec.Struct):
    """Where a reader stands."""

    offset: _Unsigned = 0
    epoch: str = ""


class SubscribeRequest(PositionRequest):
    """Of a subscription; among the `subs` of a connection its channel is their key."""

    channel: str = ""
    token: str = ""
    recover: bool = False
    data: msgspec.Raw = _NOTHING
    join_leave: bool = False
    delta: str = ""
    tf: FilterNode | None = None
    flag: int = 0
    type: int = 0
    max_rate: float = 0.0


class ConnectRequest(msgspec.Struct):
    """Who connects."""

    token: str = ""
    data: msgspec.Raw = _NOTHING
    subs: dict[str, SubscribeRequest] = {}
    name: str = ""
    version: str = ""
    headers: dict[str, str] = {}


class ChannelRequest(msgspec.Struct):
    """Of methods that want to know a channel alone."""

    channel: str = ""


class PublishRequest(msgspec.Struct):
    """What is published."""

    channel: str = ""
    data: msgspec.Raw = _NOTHING
    type: int = 0
    idempotency_key: str = ""
    exclude_self: bool = False


class HistoryRequest(msgspec.Struct):
    """Which part of a channel is asked for."""

    channel: str = ""
    limit: int = 0
    since: PositionRequest | None = None
    reverse: bool = False


class PingRequest(msgspec.Struct):
    """Nothing."""


class SendRequest(msgspec.Struct):
    """A message."""

    data: msgspec.Raw = _NOTHING


class RpcRequest(msgspec.Struct):
    """A call."""

    data: msgspec.Raw = _NOTHING
    method: str = ""


class RefreshRequest(msgspec.Struct):
    """A new token."""

    token: str = ""


class SubRefreshRequest(msgspec.Struct):
    """A new token of a subscription."""

    channel: str = ""
    token: str = ""
    type: int = 0


class CommandRequest(msgspec.Struct):
    """A command: its id and one of its methods; of several it is the first, in this order."""

    id: Annotated[int, msgspec.Meta(ge=0, le=ID_MAX)] = 0
    connect: ConnectRequest | None = None
    subscribe: SubscribeRequest | None = None
    unsubscribe: ChannelRequest | None = None
    publish: PublishRequest | None = None
    presence: ChannelRequest | None = None
    presence_stats: ChannelRequest | None = None
    history: HistoryRequest | None = None
    ping: PingRequest | None = None
    send: SendRequest | None = None
    rpc: RpcRequest | None = None
    refresh: RefreshRequest | None = None
    sub_refresh: SubRefreshRequest | None = None


def connect_of(id_: int, request: ConnectRequest | pb.ConnectRequest) -> Connect:
    """Return what the request of a connection means."""
    return Connect(
        id_,
        request.token,
        bytes(request.data),
        _subscriptions_of(request.subs),
        request.name,
        request.version,
        dict(request.headers),
    )


def _subscriptions_of(subs: Mapping[str, SubscribeRequest | pb.SubscribeRequest]) -> dict[str, Since]:
    return {
        _required(channel): Since(
            _position_of(request) if request.recover else None, delta=_is_delta(request.delta)
        )
        for channel, request in subs.items()
    }


def subscribe_of(
    id_: int, request: SubscribeRequest | pb.SubscribeRequest, wanted: FilterNode | None
) -> Command:
    """Return what the request of a subscription means; whether the filter makes sense is not asked here."""
    channel = _required(request.channel)
    if request.type:
        return Unserved(id_, "shared_poll" if request.type == SHARED_POLL else "map", channel)
    if not (isfinite(request.max_rate) and request.max_rate >= 0):
        raise ProtocolError
    return Subscribe(
        id_,
        channel,
        _position_of(request) if request.recover else None,
        bool(request.flag & REJECT_UNRECOVERABLE),
        request.token,
        bytes(request.data),
        request.join_leave,
        _is_delta(request.delta),
        wanted,
        request.max_rate,
    )


def publish_of(id_: int, request: PublishRequest | pb.PublishRequest) -> Command:
    """Return what the request to publish means."""
    channel = _required(request.channel)
    if request.type:
        return Unserved(id_, "map_publish", channel)
    return Publish(id_, channel, bytes(request.data), request.idempotency_key, request.exclude_self)


def history_of(
    id_: int,
    request: HistoryRequest | pb.HistoryRequest,
    since: PositionRequest | pb.StreamPosition | None,
) -> Command:
    """Return what the request of a channel's history means."""
    start = None if since is None else _position_of(since)
    return History(id_, _required(request.channel), request.limit, start, request.reverse)


def message_of(request: SendRequest | pb.SendRequest) -> Message:
    """Return what a client sends without wanting to know more."""
    return Message(bytes(request.data))


def _sub_refresh_of(id_: int, request: SubRefreshRequest | pb.SubRefreshRequest) -> Command:
    if request.type:
        return Unserved(id_, "shared_poll", request.channel)
    return SubRefresh(id_, request.channel, request.token)


def _position_of(
    request: PositionRequest | SubscribeRequest | pb.SubscribeRequest | pb.StreamPosition,
) -> Position:
    if request.offset > OFFSET_MAX:
        raise ProtocolError
    return Position(request.epoch, request.offset)


def _is_delta(name: str) -> bool:
    if name not in ("", DELTA):
        raise ProtocolError
    return name == DELTA


def _required(channel: str) -> str:
    if not channel:
        raise ProtocolError
    return channel


CommandOf = Callable[[int, Any], Command]
METHODS: Final[dict[str, CommandOf]] = {
    "publish": publish_of,
    "connect": connect_of,
    "unsubscribe": lambda id_, request: Unsubscribe(id_, _required(request.channel)),
    "presence": lambda id_, request: Presence(id_, _required(request.channel)),
    "presence_stats": lambda id_, request: PresenceStats(id_, _required(request.channel)),
    "rpc": lambda id_, request: Rpc(id_, request.method, bytes(request.data)),
    "refresh": lambda id_, request: Refresh(id_, request.token),
    "sub_refresh": _sub_refresh_of,
    "send": lambda _, request: message_of(request),
    "ping": lambda id_, _: Unserved(id_, "ping"),
}
"""What makes a command of a method's request. `subscribe` and `history` have members that may be missing, so
each encoding reads them itself."""

"""Replies and pushes as objects: the names and values of the protocol, before an encoding.

Zero values are left out, but for those that client libraries read without a default (§2 and §18 of the
protocol). Both encodings make their bytes of these objects.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from core.connections.codes import ERRORS, TEMPORARY, close_reason, unsubscribe_reason
from core.connections.frames import (
    Connected,
    ConnectionOpened,
    ConnectionRefreshed,
    Disconnected,
    ErrorReply,
    HistoryPage,
    Joined,
    Left,
    PresenceCount,
    PresenceList,
    Published,
    Push,
    Refreshed,
    Reply,
    RpcAnswer,
    ServerMessage,
    SubRefreshed,
    Subscribed,
    SubscriptionAdded,
    SubscriptionEnded,
    Unsubscribed,
)
from core.streams.event import ClientInfo, Event
from core.streams.event_object import channel_payload

Object = dict[str, Any]

SERVER: Final = "tidings 0.1.0"
"""What answers a connect as its version, by reply or by push; the release's, of `pyproject.toml`."""


@dataclass(frozen=True, slots=True)
class Values:
    """How an encoding shows what is no plain value inside an object.

    `raw` is for payloads, of an empty one it makes something false. `patch` is a publication in the form of
    delta, against the payload before it or, with None, whole.
    """

    raw: Callable[[bytes], object]
    info: Callable[[ClientInfo], object]
    publication: Callable[[int, Event], object]
    patch: Callable[[int, Event, bytes | None], object]


def reply_object(reply: Reply, version: str, values: Values) -> tuple[str, Object]:
    """Return the member of a reply that tells its kind, and what stands there."""
    match reply:
        case Published():
            return "publish", _published(reply)
        case Subscribed():
            return "subscribe", _subscribed(reply, values)
        case Unsubscribed():
            return "unsubscribe", {}
        case Connected():
            return "connect", connected_object(reply, version, values)
        case Refreshed():
            return "refresh", {"client": reply.client, "version": version, **_expiry(reply.ttl_s)}
        case SubRefreshed():
            return "sub_refresh", _expiry(reply.ttl_s)
        case ErrorReply():
            return "error", _error(reply)
        case HistoryPage() | PresenceList() | PresenceCount() | RpcAnswer():
            return _answer(reply, values)


def _answer(
    reply: HistoryPage | PresenceList | PresenceCount | RpcAnswer, values: Values
) -> tuple[str, Object]:
    match reply:
        case HistoryPage():
            listed = [values.publication(offset, event) for offset, event in reply.publications]
            return "history", {"publications": listed, "epoch": reply.epoch, "offset": reply.offset}
        case PresenceList():
            clients = {client: values.info(info) for client, info in reply.clients.items()}
            return "presence", {"presence": clients}
        case PresenceCount():
            return "presence_stats", {"num_clients": reply.clients, "num_users": reply.users}
        case RpcAnswer():
            return "rpc", present(data=values.raw(reply.data))


def push_object(push: Push, values: Values) -> Object:
    """Return a push that is no publication."""
    match push:
        case Joined():
            return {"channel": push.channel, "join": {"info": values.info(push.info)}}
        case Left():
            return {"channel": push.channel, "leave": {"info": values.info(push.info)}}
        case SubscriptionEnded():
            reason = push.reason or unsubscribe_reason(push.code)
            return {"channel": push.channel, "unsubscribe": {"code": push.code, "reason": reason}}
        case SubscriptionAdded():
            return {"channel": push.channel, "subscribe": _added(push.subscribed, values)}
        case ServerMessage():
            return {"message": present(data=values.raw(push.data))}
        case Disconnected():
            reason = push.reason or close_reason(push.code)
            return {"disconnect": {"code": push.code, "reason": reason}}
        case ConnectionRefreshed():
            return {"refresh": _expiry(push.ttl_s)}
        case ConnectionOpened():
            return {"connect": connected_object(push.connected, SERVER, values)}


def connected_object(reply: Connected, version: str, values: Values) -> Object:
    """Return what a client learns of its new connection."""
    return present(
        client=reply.client,
        version=version,
        **_expiry(reply.ttl_s),
        data=values.raw(reply.data),
        subs={channel: _subscribed(subscribed, values) for channel, subscribed in reply.subs.items()},
        ping=reply.ping_s,
        pong=reply.pong,
        session=reply.session,
        node=reply.node,
    )


def _published(reply: Published) -> Object:
    result: Object = {"offset": reply.offset, "epoch": reply.epoch} if reply.offset else {}
    if reply.seq:
        result["seq"] = reply.seq
    if reply.duplicate:
        result["duplicate"] = True
    return result


def _subscribed(reply: Subscribed, values: Values) -> Object:
    return present(
        **_expiry(reply.ttl_s),
        recoverable=reply.recoverable,
        positioned=True,
        epoch=reply.epoch,
        offset=reply.offset,
        was_recovering=reply.was_recovering,
        recovered=reply.recovered,
        publications=_recovered(reply, values),
        data=values.raw(reply.data),
        delta=reply.delta,
    )


def _recovered(reply: Subscribed, values: Values) -> list[object]:
    if not reply.delta:
        return [values.publication(offset, event) for offset, event in reply.publications]
    listed = []
    base = None
    for offset, event in reply.publications:
        listed.append(values.patch(offset, event, base))
        base = channel_payload(event) if reply.patches else None
    return listed


def _added(subscribed: Subscribed, values: Values) -> Object:
    return present(
        recoverable=subscribed.recoverable,
        positioned=True,
        epoch=subscribed.epoch,
        offset=subscribed.offset,
        data=values.raw(subscribed.data),
    )


def _error(reply: ErrorReply) -> Object:
    error: Object = {"code": reply.code, "message": reply.message or ERRORS.get(reply.code, "")}
    if reply.temporary or reply.code in TEMPORARY:
        error["temporary"] = True
    return error


def _expiry(ttl_s: int | None) -> Object:
    return {} if ttl_s is None else {"expires": True, "ttl": max(1, ttl_s)}


def present(**members: object) -> Object:
    """Return the members that have no zero value."""
    return {name: value for name, value in members.items() if value}

"""Commands of clients as hypothesis draws them, and as client libraries write them."""

from collections.abc import Callable
from typing import Any

import orjson
from centrifuge.protocol import client_pb2 as sdk
from hypothesis import strategies as st

from core.channels.filter import FilterNode
from core.connections import client_pb2 as pb
from core.connections.codec_requests import ID_MAX, OFFSET_MAX
from core.connections.frames import (
    Command,
    Connect,
    History,
    Message,
    Pong,
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

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
CHANNELS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
IDS = st.integers(1, ID_MAX)
POSITIONS = st.builds(Position, TEXTS, st.integers(0, OFFSET_MAX))
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda of: st.lists(of, max_size=3) | st.dictionaries(TEXTS, of, max_size=3),
    max_leaves=6,
)
PAYLOADS = JSON_VALUES.map(orjson.dumps)
OPTIONAL = st.just(b"") | PAYLOADS
NODES = st.recursive(
    st.builds(FilterNode, TEXTS, TEXTS, TEXTS, TEXTS, st.lists(TEXTS, max_size=2).map(tuple)),
    lambda of: st.builds(FilterNode, TEXTS, nodes=st.lists(of, max_size=2).map(tuple)),
    max_leaves=4,
)
FLAGS = st.booleans()
COMMANDS: st.SearchStrategy[Command] = st.one_of(
    st.builds(
        Connect,
        IDS,
        TEXTS,
        OPTIONAL,
        st.dictionaries(CHANNELS, st.builds(Since, st.none() | POSITIONS, FLAGS), max_size=2),
        TEXTS,
        TEXTS,
        st.dictionaries(TEXTS, TEXTS, max_size=2),
    ),
    st.builds(
        Subscribe,
        IDS,
        CHANNELS,
        st.none() | POSITIONS,
        FLAGS,
        TEXTS,
        OPTIONAL,
        FLAGS,
        FLAGS,
        st.none() | NODES,
        st.floats(0, 1_000),
    ),
    st.builds(Unsubscribe, IDS, CHANNELS),
    st.builds(Publish, IDS, CHANNELS, OPTIONAL, TEXTS, FLAGS),
    st.builds(History, IDS, CHANNELS, st.integers(-(2**31), 2**31 - 1), st.none() | POSITIONS, FLAGS),
    st.builds(Presence, IDS, CHANNELS),
    st.builds(PresenceStats, IDS, CHANNELS),
    st.builds(Rpc, IDS, TEXTS, OPTIONAL),
    st.builds(Message, OPTIONAL),
    st.builds(Refresh, IDS, TEXTS),
    st.builds(SubRefresh, IDS, TEXTS, TEXTS),
    st.just(Pong()),
    st.builds(Unserved, IDS, st.just("ping")),
    st.builds(Unserved, IDS, st.sampled_from(["map", "map_publish", "shared_poll"]), CHANNELS),
)


def as_json(command: Command) -> bytes:
    """Return a command as one line."""
    return orjson.dumps(_body(command, orjson.Fragment))


def as_protobuf(command: Command) -> bytes:
    """Return a command after its length, written by our own schema, which has all its fields."""
    return delimited(pb.Command(**_body(command, bytes)))


def as_sdk_protobuf(command: Command) -> bytes:
    """Return a command after its length, written by the schema of an official library."""
    return delimited(sdk.Command(**_known(sdk.Command.DESCRIPTOR, _body(command, bytes))))


def delimited(message: Any) -> bytes:
    """Return a message after its length."""
    content = message.SerializeToString()
    size, length = len(content), bytearray()
    while size > 127:
        length.append(size % 128 + 128)
        size //= 128
    return bytes((*length, size)) + content


def _known(descriptor: Any, body: dict[str, Any]) -> dict[str, Any]:
    """Return a message's members without those that its schema does not know."""
    known = {}
    for name, value in body.items():
        if (field := descriptor.fields_by_name.get(name)) is not None:
            of_message = field.message_type is not None and isinstance(value, dict)
            is_map = of_message and field.message_type.GetOptions().map_entry
            known[name] = _known(field.message_type, value) if of_message and not is_map else value
    return known


def _body(command: Command, raw: Callable[[bytes], object]) -> dict[str, Any]:
    """Return a command's members; `raw` embeds a payload."""
    if isinstance(command, Pong):
        return {}
    if isinstance(command, Message):
        return {"send": _payload(command.data, raw)}
    method, request = _request(command, raw)
    return {"id": command.id, method: request}


def _request(command: Any, raw: Callable[[bytes], object]) -> tuple[str, dict[str, Any]]:
    match command:
        case Connect():
            subs = {channel: _since(since.since, since.delta) for channel, since in command.subs.items()}
            about = {"token": command.token, "name": command.name, "version": command.version}
            return "connect", {
                **about, "subs": subs, "headers": command.headers, **_payload(command.data, raw),
            }  # fmt: skip
        case Subscribe():
            return "subscribe", _subscribe(command, raw)
        case Publish():
            about = {"channel": command.channel, "idempotency_key": command.idempotency_key}
            payload = _payload(command.data, raw)
            return "publish", {**about, "exclude_self": command.exclude_self, **payload}
        case History(_, channel, limit, since, reverse):
            start = {} if since is None else {"since": {"epoch": since.epoch, "offset": since.number}}
            return "history", {"channel": channel, "limit": limit, "reverse": reverse, **start}
        case Rpc():
            return "rpc", {"method": command.method, **_payload(command.data, raw)}
        case Refresh():
            return "refresh", {"token": command.token}
        case SubRefresh():
            return "sub_refresh", {"channel": command.channel, "token": command.token}
        case Unserved():
            return _unserved(command)
        case _:
            name = {Unsubscribe: "unsubscribe", Presence: "presence", PresenceStats: "presence_stats"}
            return name[type(command)], {"channel": command.channel}


def _subscribe(command: Subscribe, raw: Callable[[bytes], object]) -> dict[str, Any]:
    request = {
        "channel": command.channel,
        "token": command.token,
        "join_leave": command.join_leave,
        "flag": 3 if command.reject_unrecoverable else 1,
        "max_rate": command.max_rate,
        **_since(command.since, command.delta),
        **_payload(command.data, raw),
    }
    return request if command.filter is None else {**request, "tf": _node(command.filter)}


def _since(since: Position | None, delta: bool) -> dict[str, Any]:  # noqa: FBT001 (as it stands in the frames)
    form = {"delta": "fossil" if delta else ""}
    return form if since is None else {**form, "recover": True, "epoch": since.epoch, "offset": since.number}


def _node(node: FilterNode) -> dict[str, Any]:
    inner = {"vals": list(node.vals), "nodes": [_node(child) for child in node.nodes]}
    return {"op": node.op, "key": node.key, "cmp": node.cmp, "val": node.val, **inner}


def _unserved(command: Unserved) -> tuple[str, dict[str, Any]]:
    match command.method:
        case "map":
            return "subscribe", {"channel": command.channel, "type": 1}
        case "shared_poll":
            return "subscribe", {"channel": command.channel, "type": 4}
        case "map_publish":
            return "publish", {"channel": command.channel, "type": 1}
        case method:
            return method, {}


def _payload(data: bytes, raw: Callable[[bytes], object]) -> dict[str, Any]:
    return {"data": raw(data)} if data else {}

"""What requests mean, and what none may ask for."""

from math import inf, nan
from typing import Any

import msgspec
import pytest

from core.channels.filter import FilterNode
from core.connections import client_pb2 as pb
from core.connections.codec import ProtocolError
from core.connections.codec_requests import (
    METHODS,
    OFFSET_MAX,
    ChannelRequest,
    CommandRequest,
    ConnectRequest,
    HistoryRequest,
    PingRequest,
    PositionRequest,
    PublishRequest,
    RefreshRequest,
    RpcRequest,
    SendRequest,
    SubRefreshRequest,
    SubscribeRequest,
    connect_of,
    history_of,
    message_of,
    publish_of,
    subscribe_of,
)
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

RAW = msgspec.Raw(b"[1]")
JWT = "t"
NODE = FilterNode(key="k", cmp="ex")


def test_a_connection_is_asked_for_with_everything_that_stands_there() -> None:
    subs = {"a": SubscribeRequest(recover=True, offset=3, epoch="e"), "b": SubscribeRequest(delta="fossil")}
    asked = ConnectRequest("t", RAW, subs, "js", "1.2", {"h": "v"})
    since = {"a": Since(Position("e", 3)), "b": Since(delta=True)}
    assert connect_of(1, asked) == Connect(1, "t", b"[1]", since, "js", "1.2", {"h": "v"})


@pytest.mark.parametrize(
    "sub", [SubscribeRequest(delta="other"), SubscribeRequest(recover=True, offset=2**63)]
)
def test_a_connection_with_a_bad_subscription_is_refused(sub: SubscribeRequest) -> None:
    with pytest.raises(ProtocolError):
        connect_of(1, ConnectRequest(subs={"a": sub}))


@pytest.mark.parametrize(
    ("asked", "wanted", "command"),
    [
        (SubscribeRequest(channel="a"), None, Subscribe(1, "a")),
        (SubscribeRequest(channel="a", offset=3, epoch="e"), None, Subscribe(1, "a")),
        (SubscribeRequest(channel="a", offset=3, epoch="e", recover=True, flag=1), None,
         Subscribe(1, "a", Position("e", 3))),
        (SubscribeRequest(channel="a", flag=3), NODE,
         Subscribe(1, "a", reject_unrecoverable=True, filter=NODE)),
        (SubscribeRequest(channel="a", token=JWT, data=RAW), None,
         Subscribe(1, "a", token=JWT, data=b"[1]")),
        (SubscribeRequest(channel="a", join_leave=True, delta="fossil", max_rate=2.5), None,
         Subscribe(1, "a", join_leave=True, delta=True, max_rate=2.5)),
        (SubscribeRequest(channel="a", type=1), None, Unserved(1, "map", "a")),
        (SubscribeRequest(channel="a", type=4), None, Unserved(1, "shared_poll", "a")),
    ],
    ids=range(8),
)  # fmt: skip
def test_what_a_subscription_asks_for(
    asked: SubscribeRequest, wanted: FilterNode | None, command: Command
) -> None:
    assert subscribe_of(1, asked, wanted) == command


@pytest.mark.parametrize(
    "asked",
    [
        SubscribeRequest(),
        SubscribeRequest(type=1),
        SubscribeRequest(channel="a", delta="other"),
        SubscribeRequest(channel="a", recover=True, offset=OFFSET_MAX + 1),
        SubscribeRequest(channel="a", max_rate=-1.0),
        SubscribeRequest(channel="a", max_rate=nan),
        SubscribeRequest(channel="a", max_rate=inf),
    ],
    ids=range(7),
)
def test_what_no_subscription_may_ask_for(asked: SubscribeRequest) -> None:
    with pytest.raises(ProtocolError):
        subscribe_of(1, asked, None)


def test_what_is_published() -> None:
    assert publish_of(1, PublishRequest("a", RAW)) == Publish(1, "a", b"[1]")
    full = PublishRequest("a", RAW, 0, "k", exclude_self=True)
    assert publish_of(1, full) == Publish(1, "a", b"[1]", "k", exclude_self=True)
    assert publish_of(1, PublishRequest("a", RAW, 1)) == Unserved(1, "map_publish", "a")


def test_which_part_of_a_history_is_asked_for() -> None:
    assert history_of(1, HistoryRequest("a", -1), None) == History(1, "a", -1)
    since = PositionRequest(3, "e")
    assert history_of(1, HistoryRequest("a", 5, reverse=True), since) == (
        History(1, "a", 5, Position("e", 3), reverse=True)
    )
    with pytest.raises(ProtocolError):
        history_of(1, HistoryRequest("a"), PositionRequest(OFFSET_MAX + 1))


def test_a_message_of_protobuf_means_what_its_struct_means() -> None:
    assert message_of(SendRequest(RAW)) == message_of(pb.SendRequest(data=b"[1]")) == Message(b"[1]")
    subs = {"a": {"recover": True, "offset": 3, "epoch": "e"}}
    of_protobuf = pb.ConnectRequest(token=JWT, subs=subs, headers={"h": "v"})
    assert connect_of(1, of_protobuf) == Connect(
        1, JWT, subs={"a": Since(Position("e", 3))}, headers={"h": "v"}
    )


@pytest.mark.parametrize(
    ("method", "asked", "command"),
    [
        ("publish", PublishRequest("a", RAW), Publish(1, "a", b"[1]")),
        ("connect", ConnectRequest(), Connect(1)),
        ("unsubscribe", ChannelRequest("a"), Unsubscribe(1, "a")),
        ("presence", ChannelRequest("a"), Presence(1, "a")),
        ("presence_stats", ChannelRequest("a"), PresenceStats(1, "a")),
        ("rpc", RpcRequest(RAW, "m"), Rpc(1, "m", b"[1]")),
        ("refresh", RefreshRequest("t"), Refresh(1, "t")),
        ("sub_refresh", SubRefreshRequest("a", "t"), SubRefresh(1, "a", "t")),
        ("sub_refresh", SubRefreshRequest("", "t"), SubRefresh(1, "", "t")),
        ("sub_refresh", SubRefreshRequest("a", "t", 4), Unserved(1, "shared_poll", "a")),
        ("send", SendRequest(RAW), Message(b"[1]")),
        ("ping", PingRequest(), Unserved(1, "ping")),
    ],
    ids=range(12),
)
def test_each_method_has_its_command(method: str, asked: Any, command: Command) -> None:
    assert METHODS[method](1, asked) == command


@pytest.mark.parametrize("method", ["publish", "unsubscribe", "presence", "presence_stats"])
def test_a_command_about_no_channel_is_none(method: str) -> None:
    with pytest.raises(ProtocolError):
        METHODS[method](1, PublishRequest())


def test_the_methods_are_those_that_a_command_may_have() -> None:
    fields = {field.name for field in msgspec.structs.fields(CommandRequest)}
    assert fields - {"id"} == METHODS.keys() | {"subscribe", "history"}
    assert fields == set(pb.Command.DESCRIPTOR.fields_by_name)

"""What stands in replies and pushes: everything that client libraries read without asking, and no zeros."""

import pytest
from msgspec.structs import replace

from core.connections.codec_objects import Object, Values, connected_object, push_object, reply_object
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
from core.streams.event import ClientInfo
from tests.helpers.replies import published

ANN = ClientInfo("ann", "c")
VALUES = Values(
    raw=lambda payload: payload,
    info=lambda info: info,
    publication=lambda offset, event: (offset, event.data),
    patch=lambda offset, event, base: (offset, event.data, base),
)
ONE, TWO, THREE = ((offset, published(b"%d" % offset)) for offset in (1, 2, 3))
PLAIN = Subscribed("e", 2)
SHOWN = {"recoverable": True, "positioned": True, "epoch": "e", "offset": 2}


@pytest.mark.parametrize(
    ("reply", "kind", "result"),
    [
        (Published("e", 4), "publish", {"offset": 4, "epoch": "e"}),
        (Published("e", 4, 9, duplicate=True), "publish",
         {"offset": 4, "epoch": "e", "seq": 9, "duplicate": True}),
        (Published("", 0), "publish", {}),
        (PLAIN, "subscribe", SHOWN),
        (Subscribed("e", 0, recoverable=False), "subscribe", {"positioned": True, "epoch": "e"}),
        (replace(PLAIN, was_recovering=True, recovered=True), "subscribe",
         {**SHOWN, "was_recovering": True, "recovered": True}),
        (replace(PLAIN, ttl_s=60, data=b"{}"), "subscribe",
         {"expires": True, "ttl": 60, **SHOWN, "data": b"{}"}),
        (Unsubscribed(), "unsubscribe", {}),
        (Connected("c", 25), "connect", {"client": "c", "version": "v", "ping": 25, "pong": True}),
        (Refreshed("c", 0), "refresh", {"client": "c", "version": "v", "expires": True, "ttl": 1}),
        (Refreshed("c", None), "refresh", {"client": "c", "version": "v"}),
        (SubRefreshed(60), "sub_refresh", {"expires": True, "ttl": 60}),
        (SubRefreshed(None), "sub_refresh", {}),
        (HistoryPage("e", 0, []), "history", {"publications": [], "epoch": "e", "offset": 0}),
        (HistoryPage("e", 1, [ONE]), "history", {"publications": [(1, b"1")], "epoch": "e", "offset": 1}),
        (PresenceList({}), "presence", {"presence": {}}),
        (PresenceList({"c": ANN}), "presence", {"presence": {"c": ANN}}),
        (PresenceCount(0, 0), "presence_stats", {"num_clients": 0, "num_users": 0}),
        (RpcAnswer(b"[]"), "rpc", {"data": b"[]"}),
        (RpcAnswer(b""), "rpc", {}),
        (ErrorReply(103), "error", {"code": 103, "message": "permission denied"}),
        (ErrorReply(100), "error", {"code": 100, "message": "internal server error", "temporary": True}),
        (ErrorReply(400, "no", temporary=True), "error", {"code": 400, "message": "no", "temporary": True}),
        (ErrorReply(400), "error", {"code": 400, "message": ""}),
    ],
    ids=range(24),
)  # fmt: skip
def test_what_stands_in_a_reply(reply: Reply, kind: str, result: Object) -> None:
    assert reply_object(reply, "v", VALUES) == (kind, result)


def test_what_stands_in_a_connect_reply() -> None:
    full = Connected("c", 25, 60, b"{}", {"a": PLAIN}, "s", "n", pong=False)
    assert connected_object(full, "v", VALUES) == {
        "client": "c",
        "version": "v",
        "expires": True,
        "ttl": 60,
        "data": b"{}",
        "subs": {"a": SHOWN},
        "ping": 25,
        "session": "s",
        "node": "n",
    }


@pytest.mark.parametrize(
    ("delta", "patches", "listed"),
    [
        (False, False, [(1, b"1"), (2, b"2"), (3, b"3")]),
        (True, False, [(1, b"1", None), (2, b"2", None), (3, b"3", None)]),
        (True, True, [(1, b"1", None), (2, b"2", b"1"), (3, b"3", b"2")]),
    ],
)
def test_a_recovered_list_begins_whole_and_goes_on_as_patches_where_they_are_allowed(
    *, delta: bool, patches: bool, listed: list[object]
) -> None:
    recovered = replace(PLAIN, publications=[ONE, TWO, THREE], delta=delta, patches=patches)
    _, result = reply_object(recovered, "v", VALUES)
    assert result["publications"] == listed
    assert result.get("delta", False) is delta


@pytest.mark.parametrize(
    ("push", "shown"),
    [
        (Joined("a", ANN), {"channel": "a", "join": {"info": ANN}}),
        (Left("a", ANN), {"channel": "a", "leave": {"info": ANN}}),
        (SubscriptionEnded("a", 2000),
         {"channel": "a", "unsubscribe": {"code": 2000, "reason": "server unsubscribe"}}),
        (SubscriptionEnded("a", 2700, "go"), {"channel": "a", "unsubscribe": {"code": 2700, "reason": "go"}}),
        (SubscriptionAdded("a", replace(PLAIN, data=b"{}", publications=[ONE], delta=True, ttl_s=60)),
         {"channel": "a", "subscribe": {**SHOWN, "data": b"{}"}}),
        (ServerMessage(b"[]"), {"message": {"data": b"[]"}}),
        (Disconnected(3503), {"disconnect": {"code": 3503, "reason": "force disconnect"}}),
        (Disconnected(4100, "go"), {"disconnect": {"code": 4100, "reason": "go"}}),
        (ConnectionRefreshed(60), {"refresh": {"expires": True, "ttl": 60}}),
        (ConnectionRefreshed(None), {"refresh": {}}),
        (ConnectionOpened(Connected("c", 25)),
         {"connect": {"client": "c", "version": "tidings 0.1.0", "ping": 25, "pong": True}}),
    ],
    ids=range(11),
)  # fmt: skip
def test_what_stands_in_a_push(push: Push, shown: Object) -> None:
    assert push_object(push, VALUES) == shown

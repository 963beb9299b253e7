"""Frames are values; what is left out has the meaning that the protocol gives to silence."""

from typing import Any, get_args

import pytest

from core.connections.frames import (
    Command,
    Connect,
    Connected,
    ConnectionOpened,
    ConnectionRefreshed,
    Disconnected,
    ErrorReply,
    History,
    HistoryPage,
    Joined,
    Left,
    Message,
    Pong,
    Presence,
    PresenceCount,
    PresenceList,
    PresenceStats,
    Publish,
    Published,
    Push,
    Refresh,
    Refreshed,
    Reply,
    Rpc,
    RpcAnswer,
    ServerMessage,
    Since,
    SubRefresh,
    SubRefreshed,
    Subscribe,
    Subscribed,
    SubscriptionAdded,
    SubscriptionEnded,
    Unserved,
    Unsubscribe,
    Unsubscribed,
)
from core.streams.event import ClientInfo

ANN = ClientInfo("ann", "c-1")
COMMANDS = [
    Connect(1),
    Subscribe(1, "a"),
    Unsubscribe(1, "a"),
    Publish(1, "a", b"1"),
    History(1, "a"),
    Presence(1, "a"),
    PresenceStats(1, "a"),
    Rpc(1, "sum"),
    Message(b"1"),
    Refresh(1, "token"),
    SubRefresh(1, "a", "token"),
    Pong(),
    Unserved(1, "map"),
]
REPLIES = [
    Connected("c", 25),
    Subscribed("e", 1),
    Unsubscribed(),
    Published("e", 1),
    HistoryPage("e", 1, []),
    PresenceList({"c-1": ANN}),
    PresenceCount(2, 1),
    RpcAnswer(b"1"),
    Refreshed("c", None),
    SubRefreshed(None),
    ErrorReply(100),
]
PUSHES = [
    Joined("a", ANN),
    Left("a", ANN),
    SubscriptionEnded("a", 2500),
    SubscriptionAdded("a", Subscribed("e", 1)),
    ServerMessage(b"1"),
    Disconnected(3001),
    ConnectionRefreshed(None),
    ConnectionOpened(Connected("c", 25)),
]


def test_commands_replies_and_pushes_are_closed_unions() -> None:
    assert [type(command) for command in COMMANDS] == list(get_args(Command))
    assert [type(reply) for reply in REPLIES] == list(get_args(Reply))
    assert [type(push) for push in PUSHES] == list(get_args(Push))


@pytest.mark.parametrize(
    "frame", [Since(), *COMMANDS, *REPLIES, *PUSHES], ids=lambda frame: type(frame).__name__
)
def test_a_frame_cannot_be_changed_and_has_no_room_for_more(frame: Any) -> None:
    assert not hasattr(frame, "__dict__")
    for name in type(frame).__slots__:
        with pytest.raises(AttributeError):
            setattr(frame, name, None)


def test_what_a_client_leaves_out_asks_for_nothing_special() -> None:
    assert Connect(1) == Connect(1, "", b"", {}, "", "", {})
    assert Subscribe(1, "a") == Subscribe(1, "a", since=None, reject_unrecoverable=False, token="", data=b"")
    assert Subscribe(1, "a") == Subscribe(1, "a", join_leave=False, delta=False, filter=None, max_rate=0)
    assert Publish(1, "a", b"1") == Publish(1, "a", b"1", idempotency_key="", exclude_self=False)
    assert History(1, "a") == History(1, "a", limit=0, since=None, reverse=False)
    assert Rpc(1, "sum") == Rpc(1, "sum", b"")
    assert Unserved(1, "map") == Unserved(1, "map", channel="")


def test_two_frames_share_nothing_that_could_be_changed() -> None:
    assert Connect(1).subs is not Connect(1).subs
    assert Connect(1).headers is not Connect(1).headers
    assert Connected("c", 25).subs is not Connected("c", 25).subs
    assert Subscribed("e", 1).publications is not Subscribed("e", 1).publications


def test_a_subscription_starts_without_recovery_and_can_be_recovered() -> None:
    begun = Subscribed("e", 1)
    assert (begun.was_recovering, begun.recovered, begun.publications) == (False, False, [])
    assert (begun.recoverable, begun.delta, begun.patches) == (True, False, False)


def test_a_subscription_may_be_told_what_a_token_says_to_it() -> None:
    begun = Subscribed("e", 1, was_recovering=True, recovered=True)
    told = begun.with_terms(b"1", 60)
    assert told == Subscribed("e", 1, was_recovering=True, recovered=True, ttl_s=60, data=b"1")
    assert (begun.data, begun.ttl_s) == (b"", None)


def test_a_connection_does_not_expire_unless_its_reply_says_so_and_answers_pings() -> None:
    assert (Connected("c", 25).ttl_s, Connected("c", 25).pong) == (None, True)


def test_an_error_speaks_for_itself() -> None:
    assert ErrorReply(100) == ErrorReply(100, "", temporary=False)

"""Commands and replies are values: what is left out has the meaning that the protocol gives to silence."""

from dataclasses import FrozenInstanceError
from typing import Any, get_args

import pytest

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

COMMANDS = [
    Connect(1),
    Subscribe(1, "a"),
    Unsubscribe(1, "a"),
    Publish(1, "a", b"1"),
    History(1, "a"),
    Refresh(1, "token"),
    Pong(),
    Unserved(1, "rpc"),
]
REPLIES = [
    Connected("c", 25),
    Subscribed("e", 1),
    Unsubscribed(),
    Published("e", 1),
    HistoryPage("e", 1, []),
    Refreshed("c", None),
    ErrorReply(100),
]


def test_commands_and_replies_are_closed_unions() -> None:
    assert [type(command) for command in COMMANDS] == list(get_args(Command))
    assert {type(reply) for reply in REPLIES} == set(get_args(Reply))


@pytest.mark.parametrize("frame", [*COMMANDS, *REPLIES], ids=lambda frame: type(frame).__name__)
def test_a_frame_cannot_be_changed_and_has_no_room_for_more(frame: Any) -> None:
    assert not hasattr(frame, "__dict__")
    for name in type(frame).__slots__:
        with pytest.raises(FrozenInstanceError):
            setattr(frame, name, None)


def test_what_a_client_leaves_out_asks_for_nothing_special() -> None:
    assert Connect(1) == Connect(1, token="")
    assert Subscribe(1, "a") == Subscribe(1, "a", since=None, reject_unrecoverable=False)
    assert Publish(1, "a", b"1") == Publish(1, "a", b"1", idempotency_key="")
    assert History(1, "a") == History(1, "a", limit=0, since=None, reverse=False)
    assert Unserved(1, "rpc") == Unserved(1, "rpc", channel="")


def test_a_subscription_starts_without_recovery_and_with_publications_of_its_own() -> None:
    first, second = Subscribed("e", 1), Subscribed("e", 1)
    assert (first.was_recovering, first.recovered, first.publications) == (False, False, [])
    assert first.publications is not second.publications


def test_a_connection_does_not_expire_unless_its_reply_says_so() -> None:
    assert Connected("c", 25).ttl_s is None

"""Subscriptions end by a client's wish, by the server's will, or by time: each once, and no other."""

from dataclasses import replace

from core.connections.effects import Close, Leave, Send
from core.connections.ending import evict, evictions, expiries, unsubscribe
from core.connections.frames import Unsubscribe, Unsubscribed
from core.connections.lines import Evict
from core.connections.subscriptions import Subscriptions
from tests.helpers.connections import CHATTING, LIMITS, ROOM, A, B, ended, unsubscribed

CHAT = "chat:a"
OVER_S = 60 + LIMITS.expiry_grace_s
OVER = Evict(A, 2501, if_over=True)


def subscribed() -> Subscriptions:
    """Return the subscriptions of who has two, of which the first ends after a minute."""
    subscriptions = unsubscribed()
    subscriptions.begin(A, ROOM, 60.0)
    subscriptions.begin(CHAT, CHATTING)
    return subscriptions


# --- by the client's wish


def test_a_client_leaves_and_may_say_so_twice() -> None:
    subscriptions, answer = subscribed(), Send(3, Unsubscribed())
    assert unsubscribe(subscriptions, Unsubscribe(3, A)) == [Leave(A, ROOM), answer]
    assert unsubscribe(subscriptions, Unsubscribe(3, A)) == [answer]
    assert list(subscriptions) == [CHAT]


def test_where_others_see_who_is_there_they_know_before_the_reply() -> None:
    subscriptions = subscribed()
    assert unsubscribe(subscriptions, Unsubscribe(3, CHAT)) == [Leave(CHAT, CHATTING, 3)]
    assert list(subscriptions) == [A]


# --- by the server's will


def test_one_subscription_is_meant_or_all_of_them() -> None:
    subscriptions = subscribed()
    assert evictions(subscriptions, CHAT, 2000) == [Evict(CHAT, 2000)]
    assert evictions(subscriptions, B, 2000) == []
    assert evictions(subscriptions, "", 2500) == [Evict(A, 2500), Evict(CHAT, 2500)]


def test_the_client_is_told_that_a_subscription_ended_and_the_others_stay() -> None:
    subscriptions = subscribed()
    assert evict(subscriptions, Evict(CHAT, 2000)) == [ended(CHAT), Leave(CHAT, CHATTING)]
    assert evict(subscriptions, Evict(CHAT, 2000)) == []
    assert list(subscriptions) == [A]


# --- by time


def test_a_subscription_ends_a_grace_after_its_token_and_is_told_once() -> None:
    subscriptions = subscribed()
    assert expiries(subscriptions, OVER_S - 0.1) == []
    assert expiries(subscriptions, OVER_S) == [OVER]
    assert expiries(subscriptions, OVER_S) == []
    assert evict(subscriptions, OVER) == [ended(A, 2501), Leave(A, ROOM)]
    assert list(subscriptions) == [CHAT]


def test_a_subscription_that_was_renewed_meanwhile_is_spared() -> None:
    subscriptions = subscribed()
    assert expiries(subscriptions, OVER_S) == [OVER]
    subscriptions.end_at(A, 120.0)
    assert evict(subscriptions, OVER) == []
    assert list(subscriptions) == [A, CHAT]


def test_with_a_server_side_subscription_the_connection_ends() -> None:
    subscriptions = subscribed()
    subscriptions.begin(B, replace(ROOM, is_server_side=True), 60.0)
    assert expiries(subscriptions, OVER_S) == Close(3006)

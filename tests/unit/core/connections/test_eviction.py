"""Subscriptions that end without their client's wish: each is told once, and none that lives on."""

from dataclasses import replace

from core.connections.effects import Close, Leave
from core.connections.eviction import evict, evictions, expiries
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


# --- by the will of others


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

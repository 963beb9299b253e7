"""Subscriptions begin by a client's wish, by what others say, or by the server's will; never twice."""

from dataclasses import replace
from math import inf

from core.auth.override import Override
from core.connections.admission import ServerSide, Terms
from core.connections.beginning import add, admit, begin_together, subscribe
from core.connections.effects import Admit, Close, Join
from core.connections.frames import Subscribe
from core.connections.lines import Add
from core.connections.subscription import Grant
from tests.helpers.connections import (
    ASKING,
    LIMITS,
    RENEWABLE,
    ROOM,
    SECRET,
    TOKEN,
    A,
    B,
    asking,
    error,
    instant,
    lasting,
    moment,
    ruled,
    tokened,
    unsubscribed,
)

SUBSCRIBE = Subscribe(2, A)
OURS = replace(ROOM, is_server_side=True)
GRACE_S = LIMITS.expiry_grace_s


# --- by the client's wish


def test_a_client_is_subscribed_once() -> None:
    subscriptions = unsubscribed()
    assert subscribe(subscriptions, asking(), SUBSCRIBE) == Join(SUBSCRIBE, ROOM)
    assert subscriptions.grant(A) == ROOM
    assert subscribe(subscriptions, asking(), Subscribe(6, A)) == error(6, 105)


def test_a_refused_subscribe_takes_no_place() -> None:
    subscriptions = unsubscribed()
    assert subscribe(subscriptions, asking(), Subscribe(6, "closed:a")) == error(6, 103)
    assert list(subscriptions) == []


def test_a_client_has_so_many_channels_and_no_more() -> None:
    subscriptions, more = unsubscribed(channels_max=2), Subscribe(6, "room:c")
    subscribe(subscriptions, asking(), SUBSCRIBE)
    subscribe(subscriptions, asking(), Subscribe(3, B))
    assert subscribe(subscriptions, asking(), more) == error(6, 106)
    assert subscribe(subscriptions, asking(), Subscribe(7, A)) == error(7, 105)
    subscriptions.drop(B)
    assert subscribe(subscriptions, asking(), more) == Join(more, ROOM)


def test_a_place_is_held_while_others_decide() -> None:
    for command, ask_backend in ((TOKEN, False), (Subscribe(2, "asking:a"), True)):
        subscriptions = unsubscribed(channels_max=1)
        assert subscribe(subscriptions, asking(), command) == Admit(command, ask_backend=ask_backend)
        assert (list(subscriptions), subscriptions.grant(command.channel)) == ([command.channel], None)
        assert subscribe(subscriptions, asking(), SUBSCRIBE) == error(2, 106)


# --- by what others say


def test_a_token_brings_the_terms_of_the_subscription() -> None:
    subscriptions = unsubscribed()
    terms = Terms(SECRET, b'{"a":1}', b"2", Override(presence=True), instant(60), is_refreshable=True)
    told = replace(RENEWABLE, info=b'{"a":1}', presence=True)
    assert admit(subscriptions, asking(), TOKEN, terms, moment()) == Join(TOKEN, told, b"2", 60)
    assert (subscriptions.grant(SECRET), subscriptions.due_s) == (told, 60 + GRACE_S)


def test_a_token_without_an_end_says_nothing_of_seconds() -> None:
    subscriptions = unsubscribed()
    assert admit(subscriptions, asking(), TOKEN, lasting(None), moment()) == Join(TOKEN, RENEWABLE)
    assert subscriptions.due_s == inf


def test_what_the_backend_limits_is_not_told_since_no_client_renews_it() -> None:
    subscriptions, command = unsubscribed(), Subscribe(2, "asking:a")
    terms = lasting(60, refreshable=False)
    assert admit(subscriptions, asking(), command, terms, moment()) == Join(command, Grant(ASKING))
    assert subscriptions.due_s == 60 + GRACE_S


def test_the_backend_may_say_something_of_the_subscriber_and_to_it() -> None:
    command, terms = Subscribe(2, "asking:a"), Terms("asking:a", b"3", b"2")
    join = admit(unsubscribed(), asking(), command, terms, moment())
    assert join == Join(command, Grant(ASKING, info=b"3"), b"2")


def test_a_token_of_another_user_or_channel_ends_the_connection() -> None:
    assert admit(unsubscribed(), asking(), TOKEN, None, moment()) == Close(3500)


def test_a_namespace_that_went_away_meanwhile_is_unknown_and_gives_its_place_back() -> None:
    subscriptions, command = unsubscribed(), tokened(2, "closed:a")
    subscribe(subscriptions, asking(), command)
    now = asking(organization=ruled(namespaces={}))
    assert admit(subscriptions, now, command, Terms("closed:a"), moment()) == error(2, 102)
    assert list(subscriptions) == []


# --- by the server's will


def test_server_side_subscriptions_begin_together_or_not_at_all() -> None:
    found = [ServerSide(Subscribe(0, name), OURS, b"1") for name in "abcd"]
    subscriptions = unsubscribed(channels_max=3)
    assert begin_together(subscriptions, found, moment()) is None
    assert list(subscriptions) == []
    joins = begin_together(subscriptions, found[:3], moment())
    assert joins == tuple(Join(one.command, OURS, b"1") for one in found[:3])
    assert list(subscriptions) == ["a", "b", "c"]
    assert subscribe(subscriptions, asking(), Subscribe(2, "a")) == error(2, 105)
    assert subscribe(subscriptions, asking(), Subscribe(3, "e")) == error(3, 106)


def test_each_server_side_subscription_ends_with_its_own_token() -> None:
    found = [ServerSide(Subscribe(0, A), OURS, expires_at=instant(60)), ServerSide(Subscribe(0, B), OURS)]
    subscriptions = unsubscribed()
    begin_together(subscriptions, found, moment(10))
    assert subscriptions.due_s == 60 + GRACE_S
    subscriptions.drop(A)
    assert subscriptions.due_s == inf


def test_alike_subscriptions_share_their_grant() -> None:
    found = [ServerSide(Subscribe(0, name), replace(ROOM, is_server_side=True)) for name in (A, B)]
    first, second = begin_together(unsubscribed(), found, moment()) or ()
    assert first.grant is second.grant


def test_the_server_adds_a_subscription_once() -> None:
    subscriptions, command = unsubscribed(), Subscribe(0, A)
    order = Add(command, Terms(A, b"1", b"2"), 60.0)
    assert add(subscriptions, asking(), order) == Join(command, replace(OURS, info=b"1"), b"2")
    assert (list(subscriptions), subscriptions.due_s) == ([A], 60 + GRACE_S)
    assert add(subscriptions, asking(), order) is None


def test_nothing_is_added_past_the_limit_or_to_an_unknown_namespace() -> None:
    subscriptions = unsubscribed(channels_max=1)
    assert add(subscriptions, asking(), Add(Subscribe(0, "unknown:a"), Terms("unknown:a"))) is None
    subscribe(subscriptions, asking(), SUBSCRIBE)
    assert add(subscriptions, asking(), Add(Subscribe(0, B), Terms(B))) is None
    assert list(subscriptions) == [A]

"""What a connection is subscribed to, and until when."""

from math import inf

from core.channels.namespace import OWN
from core.connections.subscription import Grant
from tests.helpers.connections import unsubscribed

GRANT, OTHER = Grant(OWN), Grant(OWN, delta=True)


def test_a_subscription_has_its_terms_from_its_beginning_to_its_end() -> None:
    subscriptions = unsubscribed()
    subscriptions.begin("a", GRANT)
    subscriptions.begin("b", OTHER)
    assert (list(subscriptions), len(subscriptions), "a" in subscriptions) == (["a", "b"], 2, True)
    assert (subscriptions.grant("a"), subscriptions.grant("b")) == (GRANT, OTHER)
    assert subscriptions.drop("a") == GRANT
    assert ("a" in subscriptions, subscriptions.grant("a"), subscriptions.drop("a")) == (False, None, None)


def test_a_place_is_held_while_it_is_decided() -> None:
    subscriptions = unsubscribed()
    subscriptions.reserve("a")
    assert ("a" in subscriptions, len(subscriptions), subscriptions.grant("a")) == (True, 1, None)
    subscriptions.begin("a", GRANT)
    assert (len(subscriptions), subscriptions.grant("a")) == (1, GRANT)


def test_there_are_so_many_places_and_a_held_one_is_taken() -> None:
    subscriptions = unsubscribed(channels_max=2)
    subscriptions.begin("a", GRANT)
    assert not subscriptions.are_full
    subscriptions.reserve("b")
    assert subscriptions.are_full
    subscriptions.drop("a")
    assert not subscriptions.are_full


def test_alike_terms_are_one_object() -> None:
    subscriptions = unsubscribed()
    first, second = subscriptions.begin("a", Grant(OWN)), subscriptions.begin("b", Grant(OWN))
    assert first is second is subscriptions.grant("a") is subscriptions.grant("b")


def test_subscriptions_may_end_while_they_are_gone_through() -> None:
    subscriptions = unsubscribed()
    subscriptions.begin("a", GRANT)
    subscriptions.begin("b", GRANT)
    assert [subscriptions.drop(channel) for channel in subscriptions] == [GRANT, GRANT]


def test_what_has_no_end_is_never_over() -> None:
    subscriptions = unsubscribed()
    subscriptions.begin("a", GRANT)
    subscriptions.end_at("a", None)
    assert (subscriptions.due_s, subscriptions.expired(1e9), subscriptions.is_over("a")) == (inf, [], False)


def test_a_subscription_is_over_a_grace_after_its_end_and_is_told_once() -> None:
    subscriptions = unsubscribed()
    subscriptions.begin("a", GRANT, 100.0)
    subscriptions.begin("b", GRANT, 130.0)
    subscriptions.begin("c", GRANT)
    assert subscriptions.due_s == 125.0
    assert subscriptions.expired(124.9) == []
    assert (subscriptions.expired(125.0), subscriptions.expired(125.0)) == (["a"], [])
    assert (subscriptions.is_over("a"), subscriptions.is_over("b"), subscriptions.is_over("c")) == (
        True,
        False,
        False,
    )
    assert subscriptions.due_s == 155.0


def test_a_new_end_takes_the_place_of_the_old_one() -> None:
    subscriptions = unsubscribed()
    subscriptions.begin("a", GRANT, 100.0)
    subscriptions.expired(125.0)
    subscriptions.end_at("a", 200.0)
    assert (subscriptions.is_over("a"), subscriptions.due_s) == (False, 225.0)
    subscriptions.end_at("a", None)
    assert (subscriptions.due_s, subscriptions.expired(1e9)) == (inf, [])


def test_with_a_subscription_its_end_is_forgotten() -> None:
    subscriptions = unsubscribed()
    subscriptions.begin("a", GRANT, 100.0)
    subscriptions.begin("b", GRANT, 110.0)
    subscriptions.drop("a")
    assert subscriptions.due_s == 135.0
    subscriptions.begin("a", GRANT)
    assert subscriptions.expired(1e9) == ["b"]

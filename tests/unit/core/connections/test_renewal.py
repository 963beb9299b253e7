"""A new token for a subscription: verified where one may come, and what it brings."""

from math import inf

import pytest

from core.connections.admission import Terms
from core.connections.effects import Close, Renew, Send
from core.connections.frames import SubRefresh, SubRefreshed
from core.connections.renewal import failure_of, renew, renewal_of
from core.connections.subscription import Grant
from core.connections.subscriptions import Subscriptions
from core.errors import Code, TidingsError
from tests.helpers.connections import (
    LIMITS,
    RENEW,
    RENEWABLE,
    ROOM,
    SECRET,
    A,
    error,
    lasting,
    moment,
    unsubscribed,
)

NAMELESS = SubRefresh(7, "", "new")
GRACE_S = LIMITS.expiry_grace_s


def subscribed(channel: str = SECRET, grant: Grant = RENEWABLE) -> Subscriptions:
    """Return the subscriptions of who has this one, which ends after a minute."""
    subscriptions = unsubscribed()
    subscriptions.begin(channel, grant, 60.0)
    return subscriptions


# --- who may bring one


def test_a_new_token_is_verified() -> None:
    assert renewal_of(subscribed(), RENEW) == Renew(RENEW)


def test_a_renewal_needs_a_token_and_a_subscription_that_its_client_renews() -> None:
    assert renewal_of(subscribed(), SubRefresh(7, SECRET, "")) == error(7, 107)
    assert renewal_of(subscribed(A), RENEW) == error(7, 103)
    assert renewal_of(subscribed(grant=ROOM), RENEW) == Close(3501)


def test_a_subscription_that_is_being_decided_is_none_yet() -> None:
    subscriptions = unsubscribed()
    subscriptions.reserve(SECRET)
    assert renewal_of(subscriptions, RENEW) == error(7, 103)


def test_a_renewal_without_channel_is_judged_once_its_token_has_named_one() -> None:
    assert renewal_of(unsubscribed(), NAMELESS) == Renew(NAMELESS)
    assert renewal_of(subscribed(), SubRefresh(7, "", "")) == error(7, 107)


# --- what a good one brings


def test_a_subscription_ends_when_its_new_token_does() -> None:
    subscriptions = subscribed()
    assert renew(subscriptions, RENEW, lasting(120), moment(50)) == Send(7, SubRefreshed(70))
    assert subscriptions.due_s == 120 + GRACE_S


def test_with_a_token_that_has_no_end_it_lives_as_long_as_its_connection() -> None:
    subscriptions = subscribed()
    assert renew(subscriptions, RENEW, Terms(), moment()) == Send(7, SubRefreshed(None))
    assert subscriptions.due_s == inf


def test_without_a_channel_it_is_the_one_that_the_token_names() -> None:
    subscriptions = subscribed()
    subscriptions.begin(A, ROOM)
    assert renew(subscriptions, NAMELESS, lasting(120), moment()) == Send(7, SubRefreshed(120))
    assert subscriptions.due_s == 120 + GRACE_S
    assert renew(subscriptions, NAMELESS, Terms(A), moment()) == Close(3501)
    assert renew(subscriptions, NAMELESS, Terms("room:b"), moment()) == error(7, 103)


def test_a_token_of_another_user_or_channel_ends_the_connection() -> None:
    subscriptions = subscribed()
    assert renew(subscriptions, RENEW, None, moment()) == Close(3500)
    assert subscriptions.due_s == 60 + GRACE_S


def test_what_has_ended_meanwhile_is_not_renewed() -> None:
    subscriptions = subscribed()
    subscriptions.drop(SECRET)
    assert renew(subscriptions, RENEW, lasting(120), moment()) == error(7, 103)
    assert subscriptions.due_s == inf


# --- what a bad one brings


@pytest.mark.parametrize(
    ("code", "close"),
    [(Code.CREDENTIAL_INVALID, 3500), (Code.CREDENTIAL_EXPIRED, 3006), (Code.EXPIRED, 3006)],
)
def test_a_bad_token_ends_the_connection(code: Code, close: int) -> None:
    assert failure_of(RENEW, TidingsError(code)) == Close(close)


def test_a_renewal_that_failed_by_our_fault_may_be_tried_again() -> None:
    assert failure_of(RENEW, TidingsError(Code.UNAVAILABLE)) == error(7, 100)

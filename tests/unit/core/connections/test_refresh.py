"""New tokens for a connection: who may bring one, and which will do."""

from dataclasses import replace
from typing import Any

import pytest

from core.auth.principal import Principal
from core.auth.tokens import SubClaims
from core.connections.effects import Close, Reauthenticate, Send
from core.connections.frames import Refresh
from core.connections.membership import Membership
from core.connections.refresh import failure_of, objection_to, refresh_of
from core.errors import Code, TidingsError
from tests.helpers.connections import ANN, KEY, ROOM, A, error, members, until


def subscribed(principal: Principal, *channels: str) -> Membership:
    """Return what a connection has to do with channels: it is in these, by its server's will."""
    them = members(principal)
    for channel in channels:
        them.subscriptions.begin(channel, replace(ROOM, is_server_side=True))
    return them


def test_a_new_token_is_verified() -> None:
    assert refresh_of(Refresh(9, "new"), until(60), is_limited=True) == Reauthenticate(9, "new")


@pytest.mark.parametrize(
    ("token", "principal", "is_limited"),
    [("", until(60), True), ("new", until(60), False), ("new", until(60, KEY, refreshable=False), True)],
    ids=["no token", "no end", "a key"],
)
def test_a_refresh_without_token_or_need_ends_the_connection(
    token: str, principal: Principal, *, is_limited: bool
) -> None:
    assert refresh_of(Refresh(9, token), principal, is_limited=is_limited) == Close(3501)


@pytest.mark.parametrize(
    "other", [{"id": "bob"}, {"organization_id": b"p" * 16}], ids=["user", "organization"]
)
def test_a_token_of_somebody_else_renews_nothing(other: dict[str, Any]) -> None:
    assert objection_to(members(), replace(ANN, **other)) == Close(3500)


def test_a_token_of_the_same_user_may_tell_something_else_of_it() -> None:
    assert objection_to(members(), replace(until(120), info=b"2")) is None


def test_a_token_must_tell_of_the_server_side_subscriptions_that_are_live() -> None:
    more, same = replace(until(60), channels=(A,)), replace(until(60), subs={A: SubClaims()})
    assert objection_to(subscribed(more, A), same) is None
    assert objection_to(subscribed(more, A), until(60)) == Close(3010)
    assert objection_to(subscribed(until(60)), more) == Close(3010)


def test_a_server_side_subscription_that_has_ended_begins_anew_with_a_token_that_tells_of_it() -> None:
    more = replace(until(60), channels=(A,))
    ended = subscribed(more)
    assert (objection_to(ended, more), objection_to(ended, until(60))) == (Close(3010), None)


@pytest.mark.parametrize(
    ("code", "effect"),
    [
        (Code.CREDENTIAL_EXPIRED, Close(3005)),
        (Code.CREDENTIAL_INVALID, Close(3500)),
        (Code.EXPIRED, error(9, 110)),
        (Code.UNAVAILABLE, error(9, 100)),
        (Code.RATE_LIMITED, error(9, 100)),
    ],
)
def test_a_token_that_is_refused_ends_the_connection_unless_the_fault_is_ours(
    code: Code, effect: Send | Close
) -> None:
    assert failure_of(9, TidingsError(code)) == effect

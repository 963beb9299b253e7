"""When a connection ends, and whom it asks before."""

from math import inf

import pytest

from core.connections.effects import AskToStay, Close
from core.connections.lifetime import Lifetime
from tests.helpers.connections import instant, moment


def lasting(until_s: float, *, asks_to_stay: bool = False) -> Lifetime:
    """Return a lifetime, begun at 0, whose credential expires at this time."""
    lifetime = Lifetime(25)
    lifetime.asks_to_stay = asks_to_stay
    lifetime.last_until(instant(until_s), moment())
    return lifetime


def test_without_an_expiry_it_lasts_for_ever() -> None:
    lifetime = Lifetime(25)
    assert (lifetime.is_limited, lifetime.due_s, lifetime.tick(1e9)) == (False, inf, [])
    assert lifetime.last_until(None, moment()) is None
    assert (lifetime.is_limited, lifetime.due_s) == (False, inf)


@pytest.mark.parametrize(("until_s", "ttl_s"), [(60, 60), (59.9, 59), (0.25, 1), (-5, 1)])
def test_an_expiry_is_told_in_whole_seconds_and_at_least_one(until_s: float, ttl_s: int) -> None:
    assert Lifetime(25).last_until(instant(until_s), moment()) == ttl_s


def test_an_expired_connection_lives_on_for_a_grace_and_no_longer() -> None:
    lifetime = lasting(1)
    assert (lifetime.is_limited, lifetime.due_s) == (True, 26.0)
    assert (lifetime.tick(25.9), lifetime.tick(26.0)) == ([], [Close(3005)])


def test_a_new_expiry_takes_the_place_of_the_old_one() -> None:
    lifetime = lasting(1)
    assert (lifetime.last_until(instant(120), moment(30.0)), lifetime.due_s) == (90, 145.0)
    lifetime.last_until(None, moment(30.0))
    assert (lifetime.is_limited, lifetime.tick(1e9)) == (False, [])


def test_where_the_backend_is_asked_it_is_asked_once_at_the_expiry_itself() -> None:
    lifetime = lasting(15, asks_to_stay=True)
    assert (lifetime.due_s, lifetime.tick(14.9)) == (15.0, [])
    assert (lifetime.tick(15.0), lifetime.tick(99.0)) == ([AskToStay()], [])
    assert (lifetime.is_limited, lifetime.due_s) == (False, inf)
    lifetime.last_until(instant(25), moment(21.0))
    assert (lifetime.is_limited, lifetime.tick(25.0)) == (True, [AskToStay()])

"""Revocations: whose tokens they take back, and which."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.auth.revocation import Revocation, Revocations
from core.instants import Instant

BEFORE = Instant(1_000)


@pytest.mark.parametrize(
    ("user", "issued_at", "meant"),
    [("ann", 999, True), ("ann", 1_000, True), ("ann", 1_001, False), ("ann", None, True), ("bob", 1, False)],
)
def test_a_user_is_meant_with_what_was_issued_till_then(
    user: str, issued_at: int | None, *, meant: bool
) -> None:
    at = None if issued_at is None else Instant(issued_at)
    assert Revocation("ann", BEFORE).means(user, "any", at) is meant


def test_one_token_is_meant_whenever_it_was_issued() -> None:
    one = Revocation("ann", BEFORE, "t1")
    assert one.means("ann", "t1", Instant(5_000))
    assert one.means("ann", "t1", None)
    assert not one.means("ann", "t2", Instant(1))
    assert not one.means("ann", "", None)
    assert not one.means("bob", "t1", None)


def test_one_of_many_is_enough() -> None:
    many = Revocations([Revocation("bob", BEFORE), Revocation("ann", BEFORE, "t1")])
    assert many.mean("ann", "t1", None)
    assert not many.mean("ann", "t2", None)
    assert not Revocations().mean("ann", "t1", None)


NAMES = st.sampled_from(["", "a", "b"])
TIMES = st.integers(0, 3).map(Instant)
MANY = st.lists(st.builds(Revocation, NAMES, TIMES, NAMES), max_size=6)


@given(MANY, NAMES, NAMES, st.none() | TIMES)
def test_many_mean_what_each_of_them_means(
    many: list[Revocation], user: str, token_id: str, issued_at: Instant | None
) -> None:
    meant = any(one.means(user, token_id, issued_at) for one in many)
    assert Revocations(many).mean(user, token_id, issued_at) is meant


def test_they_are_the_same_in_any_order() -> None:
    many = [Revocation("bob", BEFORE), Revocation("ann", BEFORE, "t1")]
    assert Revocations(many) == Revocations(reversed(many))
    assert Revocations(many) != Revocations(many[:1])
    assert Revocations() != ()


class Counted(str):
    """A user that counts with how many it is compared."""

    __slots__ = ("comparisons",)

    def __init__(self, _text: str) -> None:
        self.comparisons = 0

    def __eq__(self, other: object) -> bool:
        self.comparisons += 1
        return super().__eq__(other)

    __hash__ = str.__hash__


def test_a_thousand_cost_what_one_costs() -> None:
    many = Revocations(Revocation(f"u{number}", BEFORE) for number in range(1_000))
    asked = Counted("ann")
    assert not many.mean(asked, "t", BEFORE)
    assert asked.comparisons < 10

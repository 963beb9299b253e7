"""Revocations: whose tokens they take back, and which."""

import pytest

from core.auth.revocation import Revocation, is_revoked
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
    many = [Revocation("bob", BEFORE), Revocation("ann", BEFORE, "t1")]
    assert is_revoked(many, "ann", "t1", None)
    assert not is_revoked(many, "ann", "t2", None)
    assert not is_revoked([], "ann", "t1", None)

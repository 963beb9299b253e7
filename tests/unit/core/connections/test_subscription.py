"""Grants: what a subscription may do, alike ones in one object."""

from dataclasses import replace

import pytest

from core.channels.filter import FilterNode
from core.channels.namespace import OWN, Options
from core.connections.subscription import Grant, Grants

GRANT = Grant(OWN, recoverable=True)


def test_alike_grants_are_one_object() -> None:
    grants = Grants(10)
    first = grants.shared(replace(GRANT))
    assert grants.shared(replace(GRANT)) is first
    assert grants.shared(replace(GRANT, delta=True)) is not first
    assert grants.shared(replace(GRANT, options=Options())).options == Options()


@pytest.mark.parametrize(
    "own",
    [
        replace(GRANT, info=b"1"),
        replace(GRANT, filter=FilterNode(key="a", cmp="ex")),
        replace(GRANT, max_rate=1.5),
    ],
)
def test_what_belongs_to_one_subscriber_is_not_kept(own: Grant) -> None:
    grants = Grants(1)
    assert grants.shared(own) is own
    assert grants.shared(replace(own)) is not own
    first = grants.shared(replace(GRANT))  # it took nobody's place
    assert grants.shared(replace(GRANT)) is first


def test_only_so_many_grants_are_kept_and_the_oldest_makes_room_for_one_more() -> None:
    grants, other = Grants(1), replace(GRANT, presence=True)
    first = grants.shared(replace(GRANT))
    assert grants.shared(other) is other
    assert grants.shared(replace(other)) is other  # else no organization that comes later would share any
    assert grants.shared(replace(GRANT)) is not first


@pytest.mark.parametrize(
    ("grant", "expected"),
    [
        (GRANT, False),
        (replace(GRANT, hears=True), False),
        (replace(GRANT, presence=True), True),
        (replace(GRANT, announces=True), True),
    ],
)
def test_others_must_know_of_whoever_is_listed_or_announced(grant: Grant, *, expected: bool) -> None:
    assert grant.has_witnesses is expected

"""Partitions are spread evenly, and only those who are wrong are told."""

from hypothesis import given
from hypothesis import strategies as st

from core.streams.placement import to_move, wanted

OWNERS = st.lists(st.text("abc", min_size=1), unique=True, max_size=6)


@given(st.integers(1, 64), OWNERS)
def test_every_partition_has_one_owner_and_shares_differ_by_one_at_most(
    partitions: int, owners: list[str]
) -> None:
    shares = wanted(partitions, owners)
    held = [partition_id for share in shares.values() for partition_id in share]
    assert sorted(held) == (list(range(partitions)) if owners else [])
    if owners:
        sizes = [len(share) for share in shares.values()]
        assert max(sizes) - min(sizes) <= 1


def test_the_order_of_owners_does_not_matter() -> None:
    assert wanted(4, ["a", "b"]) == wanted(4, ["b", "a"])


def test_whoever_holds_his_share_is_left_alone() -> None:
    shares = wanted(4, ["a", "b"])
    assert to_move(shares, {0: "a", 1: "b", 2: "a", 3: "b"}, ["a", "b"]) == {}


def test_after_a_take_over_both_are_told() -> None:
    shares = wanted(4, ["a", "b"])
    assert to_move(shares, {0: "b", 1: "b", 2: "b", 3: "b"}, ["a", "b"]) == shares


def test_the_dead_are_not_told() -> None:
    shares = wanted(2, ["a", "b"])
    assert to_move(shares, {0: "", 1: "b"}, ["b"]) == {}

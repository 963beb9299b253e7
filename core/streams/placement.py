"""Which owner should hold which partitions: spread evenly, stable under the coming and going of owners."""

from collections.abc import Mapping, Sequence


def wanted(partitions: int, owners: Sequence[str]) -> dict[str, set[int]]:
    """Return the partitions of each owner; the same owners always give the same answer."""
    shares: dict[str, set[int]] = {owner: set() for owner in owners}
    ordered = sorted(owners)
    if ordered:
        for partition_id in range(partitions):
            shares[ordered[partition_id % len(ordered)]].add(partition_id)
    return shares


def to_move(
    shares: Mapping[str, set[int]], holders: Mapping[int, str], living: Sequence[str]
) -> dict[str, set[int]]:
    """Return the owners that must be told anew what they hold, with their whole share.

    An owner is told when it holds what is another's, or lacks what is its own and nobody else's living
    share covers it.

    Args:
        shares: what each owner should hold.
        holders: who holds each partition now; "" for nobody.
        living: owners that answer.
    """
    told: dict[str, set[int]] = {}
    for owner in living:
        share = shares.get(owner, set())
        held = {partition_id for partition_id, holder in holders.items() if holder == owner}
        if held != share:
            told[owner] = share
    return told

"""Latencies as the few numbers that are shown of them."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Milliseconds; `count` 0 means that nothing was measured and every figure is 0."""

    count: int
    p50: float
    p99: float
    p999: float
    most: float


def quantiles(nanoseconds: Sequence[int]) -> Quantiles:
    """Return the quantiles of durations, each the smallest value that at least that share does not exceed."""
    ordered = sorted(nanoseconds)
    if not ordered:
        return Quantiles(0, 0.0, 0.0, 0.0, 0.0)

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] / 1e6

    return Quantiles(len(ordered), at(0.5), at(0.99), at(0.999), ordered[-1] / 1e6)

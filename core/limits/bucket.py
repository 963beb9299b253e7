"""A token bucket: so much in a second, and so much at once after a pause."""

from dataclasses import dataclass
from math import inf
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Rate:
    """What a bucket gains in a second, and what it holds at most."""

    per_s: float
    burst: float


class Bucket(NamedTuple):
    """How many tokens there were, and when."""

    tokens: float
    at_s: float


class Verdict(NamedTuple):
    """Whether the tokens were taken; if not, the seconds until they are there (infinite: never)."""

    is_allowed: bool
    retry_after_s: float = 0.0


def take(bucket: Bucket | None, rate: Rate, now_s: float, cost: float = 1.0) -> tuple[Bucket, Verdict]:
    """Take `cost` tokens, or none.

    In any window of t seconds at most `rate.per_s * t + rate.burst` are taken, whatever the clock does: time
    that falls back gains nothing.

    Args:
        bucket: as the call before returned it; None: nobody has taken anything yet.
        rate: of the same bucket, always.
        now_s: of the clock that every call reads.
        cost: more than the burst is never allowed.
    """
    tokens, at_s = bucket or (rate.burst, now_s)
    tokens = min(rate.burst, tokens + max(0.0, now_s - at_s) * rate.per_s)
    at_s = max(at_s, now_s)
    if cost <= tokens:
        return Bucket(tokens - cost, at_s), Verdict(is_allowed=True)
    wait_s = (cost - tokens) / rate.per_s + at_s - now_s if cost <= rate.burst else inf
    return Bucket(tokens, at_s), Verdict(is_allowed=False, retry_after_s=wait_s)

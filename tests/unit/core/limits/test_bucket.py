"""Buckets under any clock: no more is taken than was promised, and a wait that was told is long enough."""

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from core.limits.bucket import Bucket, Rate, Verdict, take

RATES = st.builds(Rate, st.floats(0.1, 1_000), st.floats(1, 2_000))
STEPS = st.lists(st.tuples(st.floats(-10, 100), st.floats(0.1, 5)), max_size=50)


def test_a_fresh_bucket_gives_its_burst_at_once_and_then_one_by_one() -> None:
    rate, bucket = Rate(8, 3), None
    for _ in range(3):
        bucket, verdict = take(bucket, rate, 100.0)
        assert verdict == Verdict(is_allowed=True)
    bucket, verdict = take(bucket, rate, 100.0)
    assert verdict == Verdict(is_allowed=False, retry_after_s=0.125)
    bucket, verdict = take(bucket, rate, 100.125)
    assert verdict.is_allowed
    assert not take(bucket, rate, 100.125)[1].is_allowed


def test_a_pause_refills_it_to_the_burst_and_no_further() -> None:
    rate = Rate(10, 3)
    bucket, _ = take(Bucket(0, 0), rate, 1_000.0)
    assert bucket == Bucket(2, 1_000.0)


def test_what_costs_more_than_the_burst_is_never_allowed() -> None:
    bucket, verdict = take(None, Rate(10, 3), 0.0, cost=4)
    assert verdict == Verdict(is_allowed=False, retry_after_s=inf)
    assert bucket.tokens == 3


def test_a_clock_that_falls_back_gains_nothing() -> None:
    rate = Rate(1, 1)
    bucket, _ = take(None, rate, 100.0)
    bucket, verdict = take(bucket, rate, 40.0)
    assert verdict == Verdict(is_allowed=False, retry_after_s=61.0)
    assert not take(bucket, rate, 100.5)[1].is_allowed
    assert take(bucket, rate, 101.0)[1].is_allowed


@given(RATES, STEPS)
def test_in_no_window_more_is_taken_than_rate_and_burst_allow(
    rate: Rate, steps: list[tuple[float, float]]
) -> None:
    bucket, now_s, latest_s = None, 0.0, 0.0
    taken: list[tuple[float, float]] = []
    for passed_s, cost in steps:
        now_s += passed_s
        latest_s = max(latest_s, now_s)
        bucket, verdict = take(bucket, rate, now_s, cost)
        if verdict.is_allowed:
            taken.append((latest_s, cost))
    for first, (since_s, _) in enumerate(taken):
        total = 0.0
        for at_s, cost in taken[first:]:
            total += cost
            assert total <= (rate.per_s * (at_s - since_s) + rate.burst) * 1.000_001


@given(RATES, STEPS, st.floats(0.1, 5))
def test_who_waits_as_long_as_told_is_served(
    rate: Rate, steps: list[tuple[float, float]], cost: float
) -> None:
    bucket, now_s = None, 0.0
    for passed_s, earlier in steps:
        now_s += passed_s
        bucket, _ = take(bucket, rate, now_s, earlier)
    bucket, verdict = take(bucket, rate, now_s, cost)
    if not verdict.is_allowed and verdict.retry_after_s < inf:
        assert take(bucket, rate, now_s + verdict.retry_after_s * 1.000_001 + 1e-6, cost)[1].is_allowed


@given(RATES, STEPS)
def test_a_refusal_takes_nothing(rate: Rate, steps: list[tuple[float, float]]) -> None:
    bucket, now_s = None, 0.0
    for passed_s, cost in steps:
        now_s += passed_s
        bucket, verdict = take(bucket, rate, now_s, cost)
        assert 0 <= bucket.tokens <= rate.burst
        if not verdict.is_allowed:
            assert take(bucket, rate, now_s, min(bucket.tokens, cost))[1].is_allowed

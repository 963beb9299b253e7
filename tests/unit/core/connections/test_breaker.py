"""The circuit breaker: every row of its table, and what holds in any order of calls."""

from hypothesis import given
from hypothesis import strategies as st

from core.connections.breaker import Breaker


def opened(at_s: float = 0.0) -> Breaker:
    breaker = Breaker(3, 10.0)
    for _ in range(3):
        assert breaker.admits(at_s)
        assert not breaker.is_open
        breaker.failed(at_s)
    assert breaker.is_open
    return breaker


def test_failures_that_are_not_in_a_row_open_nothing() -> None:
    breaker = Breaker(2, 10.0)
    for now in range(10):
        assert breaker.admits(float(now))
        breaker.failed(float(now))
        breaker.succeeded()


def test_so_many_in_a_row_refuse_every_call_of_the_pause() -> None:
    breaker = opened(5.0)
    assert not any(breaker.admits(now) for now in (5.0, 10.0, 14.99))


def test_after_the_pause_one_call_goes_out_and_no_other() -> None:
    breaker = opened()
    assert breaker.admits(10.0)
    assert not breaker.admits(10.0)
    assert not breaker.admits(19.99)


def test_if_it_succeeds_all_go_out_again() -> None:
    breaker = opened()
    assert breaker.admits(10.0)
    breaker.succeeded()
    assert all(breaker.admits(10.0) for _ in range(5))


def test_if_it_fails_another_pause_begins() -> None:
    breaker = opened()
    assert breaker.admits(10.0)
    breaker.failed(12.0)
    assert not breaker.admits(21.99)
    assert breaker.admits(22.0)


def test_if_nothing_is_heard_of_it_the_next_one_goes_out_a_pause_later() -> None:
    breaker = opened()
    assert breaker.admits(10.0)
    assert breaker.admits(20.0)


def test_a_call_that_began_before_and_succeeds_closes_it() -> None:
    breaker = opened()
    breaker.succeeded()
    assert breaker.admits(0.0)


@given(st.lists(st.tuples(st.sampled_from(["ask", "good", "bad"]), st.floats(0, 8)), max_size=60))
def test_an_open_one_lets_at_most_one_call_out_in_a_pause(steps: list[tuple[str, float]]) -> None:
    breaker, now_s, since_good, last_s = Breaker(3, 10.0), 0.0, 0, float("-inf")
    for word, pause_s in steps:
        now_s += pause_s
        if word == "good":
            breaker.succeeded()
            since_good = 0
        elif word == "bad":
            breaker.failed(now_s)
            since_good, last_s = since_good + 1, now_s
        elif breaker.admits(now_s):
            assert since_good < 3 or now_s - last_s >= 10.0 - 1e-9
            last_s = now_s
        else:
            assert since_good >= 3
            assert now_s - last_s < 10.0

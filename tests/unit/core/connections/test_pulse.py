"""Pings and pongs: who is pinged when, and who is gone."""

from math import inf

import pytest

from core.connections.effects import Close, Effect, Ping
from core.connections.pulse import Pulse
from tests.helpers.connections import moment


def beating(*, is_answered: bool = True, jitter: float = 1.0) -> Pulse:
    """Return a pulse that began at 0, and whose first ping is due at 20."""
    pulse = Pulse(20, 8, is_answered=is_answered)
    pulse.begin(moment(jitter=jitter))
    return pulse


def at(pulse: Pulse, now_s: float, *, is_read: bool = True) -> list[Effect]:
    return pulse.tick(now_s, is_read=is_read)


def test_nobody_is_pinged_before_the_pulse_begins() -> None:
    pulse = Pulse(20, 8, is_answered=True)
    assert (pulse.due_s, at(pulse, 1e9), pulse.ponged()) == (inf, [], False)


@pytest.mark.parametrize(("jitter", "due_s"), [(0.0, 10.0), (0.5, 15.0), (1.0, 20.0)])
def test_the_first_ping_comes_after_half_to_one_interval(jitter: float, due_s: float) -> None:
    assert beating(jitter=jitter).due_s == due_s


def test_pings_follow_each_other_at_the_interval_as_long_as_pongs_come() -> None:
    pulse = beating()
    for now_s in (20.0, 40.0, 60.0):
        assert pulse.due_s == now_s
        assert (at(pulse, now_s - 0.1), at(pulse, now_s), at(pulse, now_s + 1)) == ([], [Ping()], [])
        assert pulse.ponged()


def test_each_ping_admits_one_pong() -> None:
    pulse = beating()
    assert not pulse.ponged()
    at(pulse, 20.0)
    assert [pulse.ponged(), pulse.ponged()] == [True, False]
    assert pulse.due_s == 40.0


def test_whoever_does_not_answer_a_ping_in_time_is_gone() -> None:
    pulse = beating()
    assert (at(pulse, 20.0), pulse.due_s) == ([Ping()], 28.0)
    assert (at(pulse, 27.9), at(pulse, 28.0)) == ([], [Close(3012)])


def test_a_pong_that_nobody_reads_is_not_missing_and_has_all_its_time_again() -> None:
    pulse = beating()
    assert (at(pulse, 20.0), at(pulse, 30.0, is_read=False), pulse.due_s) == ([Ping()], [], 38.0)
    assert at(pulse, 38.0) == [Close(3012)]


def test_a_ping_is_sent_though_nobody_reads_the_client() -> None:
    pulse = beating()
    assert at(pulse, 20.0, is_read=False) == [Ping()]
    assert at(pulse, 28.0, is_read=False) == []
    assert (pulse.ponged(), pulse.due_s) == (True, 48.0)


def test_whoever_answers_nothing_is_pinged_at_the_interval_and_never_missed() -> None:
    pulse = beating(is_answered=False)
    assert [at(pulse, now_s) for now_s in (20.0, 39.9, 40.0)] == [[Ping()], [], [Ping()]]
    assert not pulse.ponged()


def test_pings_that_could_not_be_sent_in_time_are_not_made_up_for() -> None:
    pulse = beating(is_answered=False)
    assert (at(pulse, 99.0), at(pulse, 99.5), pulse.due_s) == ([Ping()], [], 119.0)

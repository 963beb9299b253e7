"""The one timer of a replica: nobody is ticked early, nobody later than a second, nobody who has left."""

import asyncio
from math import inf

import pytest

from core.instants import Instant
from gateway.realtime.wheel import TICK_S, Wheel
from tests.helpers.loop import run


class HandClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def now(self) -> Instant:
        return Instant(0)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        await asyncio.sleep(0)


class Somebody:
    """Due at some time; remembers when it was ticked."""

    def __init__(self, clock: HandClock, due_s: float, every_s: float = 1_000_000.0) -> None:
        self.due_slot = -1
        self.due_s = due_s
        self.ticked: list[float] = []
        self._clock = clock
        self._every_s = every_s

    def tick(self) -> None:
        self.ticked.append(self._clock.seconds)
        self.due_s += self._every_s


def advance(clock: HandClock, wheel: Wheel, seconds: float) -> None:
    for _ in range(round(seconds / 0.1)):
        clock.seconds += 0.1
        wheel.advance()


def test_who_is_never_due_stands_nowhere_until_it_is() -> None:
    """Adding a client that waited for others failed: it is due when they have answered."""
    clock = HandClock()
    wheel, somebody = Wheel(clock), Somebody(clock, 1_001.0, every_s=inf)
    wheel.add(somebody)
    advance(clock, wheel, 10)
    assert len(somebody.ticked) == 1
    somebody.due_s = 1_020.0
    wheel.add(somebody)
    advance(clock, wheel, 20)
    assert len(somebody.ticked) == 2
    wheel.remove(somebody)


@pytest.mark.parametrize("due_s", [1_000.0, 1_000.1, 1_000.5, 1_000.9, 1_007.25, 1_060.0])
def test_who_is_due_is_ticked_once_not_before_and_soon_after(due_s: float) -> None:
    clock = HandClock()
    wheel, somebody = Wheel(clock), Somebody(clock, due_s)
    wheel.add(somebody)
    advance(clock, wheel, 70)
    (at,) = somebody.ticked
    assert due_s <= at + 1e-6
    assert at - due_s <= 2 * TICK_S + 0.2


def test_who_was_due_already_is_ticked_with_the_next_advance_but_one() -> None:
    clock = HandClock()
    wheel, somebody = Wheel(clock), Somebody(clock, 3.0)
    wheel.add(somebody)
    advance(clock, wheel, 2 * TICK_S)
    assert len(somebody.ticked) == 1


def test_a_tick_puts_somebody_where_it_is_due_next() -> None:
    clock = HandClock()
    wheel, somebody = Wheel(clock), Somebody(clock, 1_005.0, every_s=15.0)
    wheel.add(somebody)
    advance(clock, wheel, 10)
    assert len(somebody.ticked) == 1
    advance(clock, wheel, 30)
    assert somebody.ticked == [pytest.approx(due_s + 0.5, abs=0.6) for due_s in (1_005, 1_020, 1_035)]


def test_who_is_added_again_stands_in_one_slot_alone() -> None:
    clock = HandClock()
    wheel, somebody = Wheel(clock), Somebody(clock, 1_005.0)
    wheel.add(somebody)
    somebody.due_s = 1_010.0
    wheel.add(somebody)
    advance(clock, wheel, 8)
    assert somebody.ticked == []
    advance(clock, wheel, 8)
    assert len(somebody.ticked) == 1


def test_who_has_left_is_not_ticked() -> None:
    clock = HandClock()
    wheel, somebody, other = Wheel(clock), Somebody(clock, 1_005.0), Somebody(clock, 1_005.0)
    wheel.add(somebody)
    wheel.add(other)
    wheel.remove(somebody)
    wheel.remove(somebody)
    advance(clock, wheel, 10)
    assert (somebody.ticked, len(other.ticked)) == ([], 1)


def test_a_loop_that_stood_still_catches_up_with_everybody() -> None:
    clock = HandClock()
    wheel = Wheel(clock)
    many = [Somebody(clock, 1_000.0 + number) for number in range(60)]
    for somebody in many:
        wheel.add(somebody)
    clock.seconds += 61
    wheel.advance()
    assert all(len(somebody.ticked) == 1 for somebody in many)


def test_it_runs_by_the_clock_for_ever() -> None:
    async def scenario() -> None:
        clock = HandClock()
        wheel, somebody = Wheel(clock), Somebody(clock, 1_003.0)
        wheel.add(somebody)
        running = asyncio.ensure_future(wheel.run())
        async with asyncio.timeout(5):
            while not somebody.ticked:  # noqa: ASYNC110 (the wheel announces nothing)
                await asyncio.sleep(0)
        running.cancel()
        assert 1_003.0 <= somebody.ticked[0] <= 1_003.0 + 2 * TICK_S

    run(scenario())

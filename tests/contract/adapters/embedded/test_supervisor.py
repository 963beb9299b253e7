"""What dies is started again, with pauses that grow, until everything shall end."""

import asyncio

from adapters.embedded.errors import StartError
from adapters.embedded.supervisor import PAUSES_S, STEADY_S, Supervisor
from core.instants import Instant
from tests.helpers.loop import run


class HandClock:
    """Time that passes when somebody sleeps, or when told to."""

    def __init__(self) -> None:
        self.passed_s = 0.0
        self.pauses_s: list[float] = []

    def now(self) -> Instant:
        return Instant(0)

    def monotonic(self) -> float:
        return self.passed_s

    async def sleep(self, seconds: float) -> None:
        self.pauses_s.append(seconds)
        self.passed_s += seconds
        await asyncio.sleep(0)


class Mortal:
    """A program that dies a few times, each time after a given life, and may refuse to be started."""

    def __init__(self, clock: HandClock, lives_s: list[float], refusals: int = 0) -> None:
        self._clock = clock
        self._lives_s = iter(lives_s)
        self._refusals = refusals
        self.starts = 0
        self.lives = asyncio.Event()

    async def ended(self) -> int:
        life_s = next(self._lives_s, None)
        if life_s is None:
            self.lives.set()
            await asyncio.Event().wait()
        self._clock.passed_s += life_s or 0.0
        return -9

    async def start(self) -> None:
        self.starts += 1
        if self._refusals:
            self._refusals -= 1
            raise StartError("no room")


async def watched(lives_s: list[float], refusals: int = 0) -> tuple[list[float], list[str], int]:
    """Keep a program until it stays alive; return the pauses, what was said, and how often it was started."""
    clock, said = HandClock(), list[str]()
    program = Mortal(clock, lives_s, refusals)
    supervisor = Supervisor(clock, said.append)
    supervisor.keep("It", program.ended, program.start)
    async with asyncio.timeout(5):
        await program.lives.wait()
    await supervisor.close()
    return clock.pauses_s, said, program.starts


def test_what_dies_is_started_again_and_both_are_told() -> None:
    _, said, starts = run(watched([1.0]))
    assert said == ["It ended (exit code -9); starting it again.", "It runs again."]
    assert starts == 1


def test_who_ran_for_long_is_started_again_at_once() -> None:
    assert run(watched([STEADY_S] * 3))[0] == [PAUSES_S[0]] * 3


def test_who_keeps_dying_is_started_ever_later() -> None:
    pauses_s, _, _ = run(watched([0.0] * 8))
    assert pauses_s == [*PAUSES_S[1:], *[PAUSES_S[-1]] * 3]


def test_who_can_not_be_started_is_tried_again_and_the_reason_is_told() -> None:
    _, said, starts = run(watched([0.0], refusals=2))
    assert said[1:] == ["It could not be started again: no room"] * 2 + ["It runs again."]
    assert starts == 3


def test_nothing_is_started_again_once_it_is_closed() -> None:
    async def scenario() -> None:
        clock = HandClock()
        died = asyncio.Event()
        program = Mortal(clock, [])

        async def ended() -> int:
            await died.wait()
            return 0

        supervisor = Supervisor(clock, list[str]().append)
        supervisor.keep("It", ended, program.start)
        await supervisor.close()
        died.set()
        await asyncio.sleep(0)
        assert program.starts == 0

    run(scenario())

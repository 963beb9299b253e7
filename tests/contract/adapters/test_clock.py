"""The machine's time: in microseconds for people, in seconds that never fall for deadlines."""

import time

from adapters.clock import SystemClock
from tests.helpers.loop import run


def test_now_is_the_wall_clock_in_microseconds() -> None:
    before = time.time()
    now = SystemClock().now() / 1_000_000
    assert before - 0.001 <= now <= time.time() + 0.001


def test_monotonic_time_never_falls_and_sleep_is_measured_by_it() -> None:
    async def scenario() -> None:
        clock = SystemClock()
        began = clock.monotonic()
        await clock.sleep(0.02)
        assert clock.monotonic() - began >= 0.02

    run(scenario())

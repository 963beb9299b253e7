"""A clock that stands still until it is moved."""

import asyncio

from core.instants import Instant


class HandClock:
    """Stands at `seconds`, on the wall and monotonic alike."""

    def __init__(self, seconds: float = 1_000.0) -> None:
        self.seconds = seconds

    def now(self) -> Instant:
        return Instant(round(self.seconds * 1_000_000))

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        await asyncio.sleep(0)

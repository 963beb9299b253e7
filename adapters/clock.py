"""The machine's time."""

import asyncio
import time

from core.instants import Instant


class SystemClock:
    """Satisfies `core.ports.Clock` with the machine's clocks."""

    def now(self) -> Instant:
        """Return the wall-clock time in microseconds."""
        return Instant(time.time_ns() // 1000)

    def monotonic(self) -> float:
        """Return the monotonic clock in seconds."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Sleep on the running loop."""
        await asyncio.sleep(seconds)

"""Starts again what dies, until everything shall end."""

from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from adapters.embedded.errors import StartError
from adapters.telemetry.tasks import Tasks
from core.ports import Clock

PAUSES_S: Final = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)
STEADY_S: Final = 30.0
"""Who ran this long before he died is started again at once."""


class Supervisor:
    """Watches programs.

    Args:
        clock: for pauses.
        say: tells the person at the terminal.
    """

    def __init__(self, clock: Clock, say: Callable[[str], None]) -> None:
        self._clock = clock
        self._say = say
        self._tasks = Tasks("up")
        self._log = structlog.get_logger()

    def keep(
        self, name: str, ended: Callable[[], Awaitable[int]], start: Callable[[], Awaitable[object]]
    ) -> None:
        """Start a program again whenever it has ended.

        Args:
            name: what people call it.
            ended: returns its exit code when it has ended.
            start: starts it again and returns when it runs.
        """
        self._tasks.spawn(name, self._keep(name, ended, start))

    async def _keep(
        self, name: str, ended: Callable[[], Awaitable[int]], start: Callable[[], Awaitable[object]]
    ) -> None:
        failures = 0
        while True:
            began = self._clock.monotonic()
            code = await ended()
            failures = 0 if self._clock.monotonic() - began >= STEADY_S else failures + 1
            self._say(f"{name} ended (exit code {code}); starting it again.")
            while not await self._started(name, start, failures):
                failures += 1

    async def _started(self, name: str, start: Callable[[], Awaitable[object]], failures: int) -> bool:
        await self._clock.sleep(PAUSES_S[min(failures, len(PAUSES_S) - 1)])
        try:
            await start()
        except (StartError, OSError) as error:
            self._say(f"{name} could not be started again: {error}")
            return False
        self._say(f"{name} runs again.")
        return True

    async def close(self) -> None:
        """Start nothing again from now on."""
        await self._tasks.close()

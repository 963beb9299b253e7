"""Look-ups of one loop tick share one statement."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

from adapters.telemetry.tasks import Tasks

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

BATCH_MAX = 500


class Coalesced(Generic[K, V]):
    """Gathers the keys asked for in one tick and looks them up together.

    Under load a hundred callers cost one round trip; alone there is no added latency. Callers that come
    while a look-up is on its way wait for the next one, so what they read is never older than their call.

    Args:
        look_up: reads many keys at once; a key missing in its answer is None to the caller.
        tasks: owner of the look-ups.
    """

    def __init__(self, look_up: Callable[[Sequence[K]], Awaitable[dict[K, V]]], tasks: Tasks) -> None:
        self._look_up = look_up
        self._tasks = tasks
        self._waiting: dict[K, list[asyncio.Future[V | None]]] = {}
        self._scheduled = False

    async def get(self, key: K) -> V | None:
        """Return the value of one key, or None."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[V | None] = loop.create_future()
        self._waiting.setdefault(key, []).append(future)
        if not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._flush)
        return await future

    def _flush(self) -> None:
        self._scheduled = False
        waiting, self._waiting = self._waiting, {}
        keys = list(waiting)
        for start in range(0, len(keys), BATCH_MAX):
            part = keys[start : start + BATCH_MAX]
            self._tasks.spawn("look_up", self._answer(part, waiting))

    async def _answer(self, keys: list[K], waiting: dict[K, list[asyncio.Future[V | None]]]) -> None:
        try:
            found = await self._look_up(keys)
        except Exception as error:  # noqa: BLE001 (whatever it is belongs to every caller who waits)
            for key in keys:
                for future in waiting[key]:
                    if not future.done():
                        future.set_exception(error)
            return
        for key in keys:
            for future in waiting[key]:
                if not future.done():
                    future.set_result(found.get(key))

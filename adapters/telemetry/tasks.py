"""Background tasks with a name and an owner: none is lost, none ends unseen."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import structlog

T = TypeVar("T")


class Tasks:
    """The background tasks of one owner, kept until they end and cancelled with it.

    Args:
        owner: who they belong to; the first part of each task's name.
    """

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._tasks: set[asyncio.Task[Any]] = set()
        self._log = structlog.get_logger().bind(owner=owner)

    def spawn(
        self, name: str, work: Coroutine[Any, Any, T], *, on_end: Callable[[], None] | None = None
    ) -> asyncio.Task[T]:
        """Start `work` and keep it. A failure is logged; `on_end` is called at any end but a cancellation."""
        task = asyncio.create_task(work, name=f"{self._owner}.{name}")
        self._tasks.add(task)
        task.add_done_callback(lambda ended: self._ended(ended, on_end))
        return task

    def _ended(self, task: asyncio.Task[Any], on_end: Callable[[], None] | None) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            self._log.error("task.failed", task=task.get_name(), exc_info=error)
        if on_end is not None:
            on_end()

    async def close(self) -> None:
        """Cancel what still runs and wait for its end. Nothing that commits may run here (rule R6)."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

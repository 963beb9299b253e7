"""The one door to Ray: plain owners made into named actors, and handles for control alone."""

import asyncio
import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any

import ray
import structlog

from actors.streams.owner import StreamOwner
from adapters.telemetry.tasks import Tasks
from settings import Settings

NAMESPACE = "tidings"
PING_S = 5.0
CLOSE_S = 8.0
Opener = Callable[[Settings, str, set[int]], AbstractAsyncContextManager[StreamOwner]]


@ray.remote
class StreamOwnerActor:
    """An owner of partitions in a process of its own.

    A restarted actor gets the arguments of its first creation and no other call, so it opens itself and
    takes what bears its name. When it is fenced the process ends at once: nobody can know what else it
    believes, and Ray starts it afresh.
    """

    async def __init__(self, opener: Opener, settings: Settings, name: str, partitions: list[int]) -> None:  # type: ignore[misc]  # Ray awaits it
        self._stack = AsyncExitStack()
        self._owner = await self._stack.enter_async_context(opener(settings, name, set(partitions)))
        self._tasks = Tasks(f"{name}.actor")
        self._tasks.spawn("fence", self._end_when_fenced())

    async def _end_when_fenced(self) -> None:
        await self._owner.fenced.wait()
        structlog.get_logger().error("owner.ended", owner=self._owner.name)
        os._exit(1)

    async def ping(self) -> bool:
        """Answer."""
        return True

    async def rebalance(self, partitions: list[int]) -> None:
        """Hold exactly these partitions."""
        await self._owner.rebalance(set(partitions))

    async def status(self) -> dict[str, Any]:
        """Return what the owner holds."""
        return self._owner.status() | {"pid": os.getpid()}

    async def close(self) -> None:
        """Finish what is queued and release everything."""
        await self._tasks.close()
        await self._stack.aclose()


class RemoteOwner:
    """Control of one owner actor; satisfies `actors.placement.OwnerControl`."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    async def ping(self) -> None:
        """Return when the actor answers."""
        async with asyncio.timeout(PING_S):
            await self._handle.ping.remote()

    async def rebalance(self, partitions: set[int]) -> None:
        """Tell it what to hold."""
        await self._handle.rebalance.remote(sorted(partitions))

    async def status(self) -> dict[str, Any]:
        """Return what it holds."""
        status: dict[str, Any] = await self._handle.status.remote()
        return status

    async def close(self) -> None:
        """Let it release everything, and end it."""
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._handle.close.remote()
        finally:
            ray.kill(self._handle, no_restart=True)


def owner_names(settings: Settings) -> list[str]:
    """Return the names of the owners: `stream-0` and on."""
    return [f"stream-{number}" for number in range(min(settings.log.owners, settings.log.partitions))]


def ensure_owner(opener: Opener, settings: Settings, name: str, partitions: set[int]) -> RemoteOwner:
    """Return the owner of this name, created when it does not exist yet."""
    handle = StreamOwnerActor.options(  # type: ignore[attr-defined]  # ray.remote adds it
        name=name,
        namespace=NAMESPACE,
        lifetime="detached",
        get_if_exists=True,
        num_cpus=0.05,
        max_restarts=-1,
        max_task_retries=0,
        max_concurrency=100,
        enable_task_events=False,
    ).remote(opener, settings, name, sorted(partitions))
    return RemoteOwner(handle)

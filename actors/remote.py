"""The one door to Ray: plain owners made into named actors, and handles for control alone."""

import asyncio
import contextlib
import functools
import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from importlib.metadata import version
from typing import Any

import ray
import structlog

from actors.placement import Placement
from actors.streams.owner import StreamOwner
from adapters.clock import SystemClock
from adapters.entropy import SystemEntropy
from adapters.postgres.upkeep import Upkeep
from adapters.telemetry.logging import configure_logging
from adapters.telemetry.tasks import Tasks
from core.streams.placement import wanted
from settings import Settings

NAMESPACE = "tidings"
PLACEMENT = "placement"
RELEASE = version("tidings")
PING_S = 5.0
CLOSE_S = 8.0
UpkeepOpener = Callable[[Settings], AbstractAsyncContextManager[Upkeep]]
Opener = Callable[[Settings, str, set[int]], AbstractAsyncContextManager[StreamOwner]]


@ray.remote
class StreamOwnerActor:
    """An owner of partitions in a process of its own.

    A restarted actor gets the arguments of its first creation and no other call, so it opens itself and
    takes what bears its name. When it is fenced the process ends at once: nobody can know what else it
    believes, and Ray starts it afresh.
    """

    async def __init__(self, opener: Opener, settings: Settings, name: str, partitions: list[int]) -> None:  # type: ignore[misc]  # Ray awaits it
        configure_logging("json")
        self._stack = AsyncExitStack()
        settings = here(settings)
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
        return self._owner.status() | {"pid": os.getpid(), "release": RELEASE}

    async def close(self) -> None:
        """Finish what is queued and release everything."""
        await self._tasks.close()
        await self._stack.aclose()


@ray.remote
class PlacementActor:
    """Keeps the owners of a cluster present and spread, and the database in order, whoever comes and goes."""

    async def __init__(self, opener: Opener, upkeep_opener: UpkeepOpener, settings: Settings) -> None:  # type: ignore[misc]  # Ray awaits it
        configure_logging("json")
        shares = wanted(settings.log.partitions, owner_names(settings))
        owners = {name: ensure_owner(opener, settings, name, share) for name, share in shares.items()}
        self._stack = AsyncExitStack()
        upkeep = await self._stack.enter_async_context(upkeep_opener(settings))
        placement = Placement(owners, upkeep.holders, settings.log.partitions, SystemClock())
        self._tasks = Tasks("placement.actor")
        self._tasks.spawn("placement", placement.run(), on_end=_end)
        self._tasks.spawn("upkeep", upkeep.run(), on_end=_end)

    async def ping(self) -> bool:
        """Answer."""
        return True


def _end() -> None:
    os._exit(1)  # Ray starts it afresh


class RemoteOwner:
    """Control of one owner actor; satisfies `actors.placement.OwnerControl`.

    Args:
        make: returns the actor of its name, created where there is none.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._handle = make()

    async def ping(self) -> None:
        """Return when the actor answers. One that Ray has given up is created anew."""
        try:
            async with asyncio.timeout(PING_S):
                await self._handle.ping.remote()
        except ray.exceptions.ActorDiedError:
            self._handle = self._make()
            raise

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


def here(settings: Settings) -> Settings:
    """Return the settings with `bind` resolved: `node` is the address that Ray knows this node by.

    Not `ray.util.get_node_ip_address()`: in a worker that is the machine's first address, whatever the node
    was started with.
    """
    where = settings.installation
    if where.bind != "node":
        return settings
    own_id = ray.get_runtime_context().get_node_id()
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]  # of Ray
    address = next(node["NodeManagerAddress"] for node in nodes if node["NodeID"] == own_id)
    return settings.model_copy(update={"installation": where.model_copy(update={"bind": address})})


def unique(kind: str) -> str:
    """Return a name for this process that no other of the cluster has, on whatever node and whenever."""
    return f"{kind}-{os.getpid()}-{SystemEntropy().id().hex()}"


def owner_names(settings: Settings) -> list[str]:
    """Return the names of the owners: `stream-0` and on."""
    return [f"stream-{number}" for number in range(min(settings.log.owners, settings.log.partitions))]


def ensure_owner(opener: Opener, settings: Settings, name: str, partitions: set[int]) -> RemoteOwner:
    """Return the owner of this name, created when it does not exist yet."""
    actor = StreamOwnerActor.options(  # type: ignore[attr-defined]  # ray.remote adds it
        name=name,
        namespace=NAMESPACE,
        lifetime="detached",
        get_if_exists=True,
        num_cpus=0.05,
        max_restarts=-1,
        max_task_retries=0,
        max_concurrency=100,
        enable_task_events=False,
    )
    return RemoteOwner(lambda: actor.remote(opener, settings, name, sorted(partitions)))


async def ensure_placement(opener: Opener, upkeep_opener: UpkeepOpener, settings: Settings) -> None:
    """Return when placement runs with these settings.

    An older one is simply replaced, for it holds no data.
    """
    with contextlib.suppress(ValueError):  # there is none
        ray.kill(ray.get_actor(PLACEMENT, namespace=NAMESPACE), no_restart=True)
    handle = PlacementActor.options(  # type: ignore[attr-defined]  # ray.remote adds it
        name=PLACEMENT,
        namespace=NAMESPACE,
        lifetime="detached",
        get_if_exists=True,
        num_cpus=0.01,
        max_restarts=-1,
        max_task_retries=0,
        enable_task_events=False,
    ).remote(opener, upkeep_opener, settings)
    await handle.ping.remote()


async def hand_over(names: list[str]) -> None:
    """End the owners that run another release, after they have released their partitions in order."""
    for name in names:
        try:
            owner = RemoteOwner(functools.partial(ray.get_actor, name, namespace=NAMESPACE))
        except ValueError:  # there is none
            continue
        if (await owner.status()).get("release") != RELEASE:
            await owner.close()

"""Where commands go: organization → partition → the address of its present owner."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from adapters.telemetry.tasks import Tasks


class Route(Protocol):
    """One partition's present owner; an empty owner: nobody at the moment."""

    @property
    def partition_id(self) -> int: ...  # noqa: D102
    @property
    def owner(self) -> str: ...  # noqa: D102
    @property
    def address(self) -> str: ...  # noqa: D102
    @property
    def epoch(self) -> int: ...  # noqa: D102


class Routes(Protocol):
    """The reader of the rows that routes come from."""

    async def partition_of(self, organization_id: bytes) -> int:
        """Return the partition of an organization; it never changes.

        Raises:
            TidingsError: `not_found`, there is no such organization.
        """
        ...

    async def routes(self) -> Sequence[Route]:
        """Return every partition's present owner."""
        ...


class RouteBook:
    """The routes as they were last read. Readers that come while a reading is on its way share it."""

    def __init__(self, routes: Routes, tasks: Tasks, on_read: Callable[[], None]) -> None:
        self._routes = routes
        self._tasks = tasks
        self._on_read = on_read
        self._known: dict[int, Route] = {}
        self._reading: asyncio.Task[None] | None = None
        self._log = structlog.get_logger()

    @property
    def known(self) -> Sequence[Route]:
        """Every partition's owner, as last read."""
        return list(self._known.values())

    def of(self, partition_id: int) -> Route | None:
        """Return the owner of a partition as last read; None: nobody, or not read yet."""
        route = self._known.get(partition_id)
        return route if route is not None and route.owner else None

    async def refresh(self) -> None:
        """Read the routes again. When that fails the old ones stay, and a line is logged."""
        if self._reading is None or self._reading.done():
            self._reading = self._tasks.spawn("read_routes", self._read())
        await asyncio.shield(self._reading)

    async def _read(self) -> None:
        try:
            routes = await self._routes.routes()
        except Exception as error:  # noqa: BLE001 (whatever the database says: the old routes stay, callers retry)
            self._log.warning("routes.unread", error=repr(error))
            return
        self._known = {route.partition_id: route for route in routes}
        self._on_read()

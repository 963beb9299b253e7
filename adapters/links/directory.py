"""Which partition, and so which lane, an organization's commands belong to."""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from adapters.links.lane import Lane
from adapters.links.routes import Routes
from adapters.telemetry.tasks import Tasks
from core.errors import Code, TidingsError
from core.ids import encode
from core.ports import Clock

PAUSE_S: Final = 0.5


class Directory:
    """Remembers the lane of each organization; the oldest leave past `organizations_max`.

    Args:
        lane: returns the lane of a partition.
        patience_s: how long a look-up is repeated when the database does not answer.
    """

    def __init__(
        self,
        routes: Routes,
        lane: Callable[[int], Lane],
        tasks: Tasks,
        clock: Clock,
        organizations_max: int,
        patience_s: float,
    ) -> None:
        self._routes = routes
        self._lane = lane
        self._tasks = tasks
        self._clock = clock
        self._organizations_max = organizations_max
        self._patience_s = patience_s
        self._known: dict[bytes, Lane] = {}
        self._asking: dict[bytes, asyncio.Task[Lane | TidingsError]] = {}
        self._log = structlog.get_logger()

    def known(self, organization_id: bytes) -> Lane | None:
        """Return the lane of an organization that was located before."""
        return self._known.get(organization_id)

    async def locate(self, organization_id: bytes) -> Lane:
        """Return the lane of an organization. Callers that ask together share one look-up.

        Raises:
            TidingsError: `not_found`; `unavailable` when the database does not answer for `patience_s`.
        """
        lane = self._known.get(organization_id)
        if lane is not None:
            return lane
        asking = self._asking.get(organization_id)
        if asking is None:
            asking = self._tasks.spawn("locate", self._locate(organization_id))
            self._asking[organization_id] = asking
        found = await asyncio.shield(asking)
        if isinstance(found, TidingsError):
            raise TidingsError(found.code, found.detail)
        return found

    async def _locate(self, organization_id: bytes) -> Lane | TidingsError:
        deadline = self._clock.monotonic() + self._patience_s
        try:
            while True:
                try:
                    partition_id = await self._routes.partition_of(organization_id)
                except TidingsError as error:
                    return error
                except Exception as error:  # noqa: BLE001 (whatever the database says: it is tried again)
                    self._log.warning(
                        "organization.unlocated",
                        organization_id=encode("org", organization_id),
                        error=repr(error),
                    )
                else:
                    return self._remember(organization_id, self._lane(partition_id))
                if self._clock.monotonic() >= deadline:
                    return TidingsError(Code.UNAVAILABLE)
                await self._clock.sleep(PAUSE_S)
        finally:
            del self._asking[organization_id]

    def _remember(self, organization_id: bytes, lane: Lane) -> Lane:
        while len(self._known) >= self._organizations_max:
            del self._known[next(iter(self._known))]
        self._known[organization_id] = lane
        return lane

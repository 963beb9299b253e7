"""Regular work on the database that no request waits for: days ahead and past, indexes, what has expired."""

from typing import Final

import structlog

from adapters.postgres.cursors import sweep_cursors
from adapters.postgres.faults import UNREACHABLE
from adapters.postgres.maintenance import drop_expired_days, ensure_days
from adapters.postgres.pool import Database
from adapters.postgres.resources import ensure_indexes
from adapters.postgres.streams import RouteReader
from adapters.postgres.tokens import sweep_revocations
from core.errors import TidingsError
from core.ports import Clock
from core.resources.schema import Catalog
from settings import Log

HOUR_S: Final = 3_600.0
RETRY_S: Final = 60.0


class Upkeep:
    """What one process of an installation does for all; harmless when several do it."""

    def __init__(self, database: Database, catalog: Catalog, settings: Log, clock: Clock) -> None:
        self._database = database
        self._catalog = catalog
        self._settings = settings
        self._clock = clock
        self._routes = RouteReader(database)

    async def holders(self) -> dict[int, str]:
        """Return who holds each partition of the log; "" for nobody."""
        return {route.partition_id: route.owner for route in await self._routes.routes()}

    async def run(self) -> None:
        """Do it each hour, and sooner again when the database could not be reached."""
        while True:
            pause_s = HOUR_S
            try:
                await self._once()
            except (TidingsError, *UNREACHABLE) as error:
                structlog.get_logger().warning("upkeep.failed", error=f"{type(error).__name__}: {error}")
                pause_s = RETRY_S
            await self._clock.sleep(pause_s)

    async def _once(self) -> None:
        settings = self._settings
        await ensure_days(self._database, ahead_days=settings.partitions_ahead_days)
        await drop_expired_days(
            self._database,
            retention_days=settings.retention_days,
            slack_days=settings.retention_slack_days,
            key_days=settings.idempotency_days,
        )
        await ensure_indexes(self._database, self._catalog)
        await sweep_revocations(self._database)
        await sweep_cursors(self._database, retention_days=settings.retention_days)

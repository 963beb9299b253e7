"""What organizations say of their backends, sealed: signing secrets and credentials are among it."""

from collections.abc import Callable

from adapters.postgres.codec import to_uuid
from adapters.postgres.pool import Database
from adapters.postgres.queries import statements
from adapters.postgres.sealing import Sealer
from core.connections.backend_options import BackendOptions


class BackendStore:
    """Reads and changes the options of backends; each change is one transaction."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer
        self._sql = statements("backend")

    async def find(self, organization_id: bytes) -> BackendOptions | None:
        """Return an organization's options, opened; None: it has set none."""
        sealed = await self._database.fetchval(self._sql["backend"], to_uuid(organization_id))
        return self._opened(organization_id, sealed)

    async def change(
        self, organization_id: bytes, change: Callable[[BackendOptions], BackendOptions]
    ) -> BackendOptions:
        """Set and return what `change` makes of the options, which nobody else changes meanwhile.

        What it raises is raised, and nothing has changed then.
        """
        key = to_uuid(organization_id)
        async with self._database.transaction() as connection:
            sealed = await connection.fetchval(self._sql["backend_to_change"], key)
            options = change(self._opened(organization_id, sealed) or BackendOptions())
            sealed = seal_backend(self._sealer, options, organization_id)
            await connection.execute(self._sql["set_backend"], key, sealed)
        return options

    def _opened(self, organization_id: bytes, sealed: bytes | None) -> BackendOptions | None:
        if sealed is None:
            return None
        return BackendOptions.of_bytes(self._sealer.open(sealed, _place(organization_id)))


def seal_backend(sealer: Sealer, options: BackendOptions, organization_id: bytes) -> bytes:
    """Return options as they are stored."""
    return sealer.seal(options.to_bytes(), _place(organization_id))


def _place(organization_id: bytes) -> tuple[bytes, ...]:
    return (organization_id, b"organizations", b"backend_sealed", organization_id)

"""Who may use `/api`: keys that organizations brought along from another system."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from adapters.postgres.coalesced import Coalesced
from adapters.postgres.codec import from_uuid, to_uuid
from adapters.postgres.pool import Database
from adapters.postgres.queries import statements
from adapters.postgres.sealing import Sealer
from adapters.telemetry.tasks import Tasks


@dataclass(frozen=True, slots=True)
class ServerKey:
    """A key that was brought along: everything but the key."""

    organization_id: bytes
    api_key_id: bytes


class ServerApiStore:
    """Reads who may use `/api`, anew each time: what is taken away ends at once.

    Those who ask at the same time share a statement. Keys are found by a mark that only this installation can
    make of them, so neither the look-up's time nor the table tells anything about a key.
    """

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer
        self._sql = statements("server_api")
        self._keys: Coalesced[bytes, ServerKey] = Coalesced(self._read_keys, Tasks("server_api"))

    async def find_key(self, text: str) -> ServerKey | None:
        """Return a key that somebody brought along."""
        return await self._keys.get(self._sealer.mark(text.encode()))

    async def open_organization(self) -> bytes | None:
        """Return the default organization, if nobody needs a key for its `/api`."""
        found = await self._database.fetchval(self._sql["open_organization"])
        return None if found is None else from_uuid(found)

    async def errors_by_status(self, organization_id: bytes) -> bool:
        """Say whether an organization has all errors told by the HTTP status."""
        return bool(await self._database.fetchval(self._sql["errors_by_status"], to_uuid(organization_id)))

    async def _read_keys(self, marks: Sequence[bytes]) -> dict[bytes, ServerKey]:
        rows: list[Any] = await self._database.fetch(self._sql["keys_by_mark"], marks)
        return {
            row["mark"]: ServerKey(from_uuid(row["organization_id"]), from_uuid(row["api_key_id"]))
            for row in rows
        }

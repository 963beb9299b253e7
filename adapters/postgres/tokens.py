"""Keys that organizations brought along for their tokens, and tokens that they took back."""

from collections.abc import Sequence
from typing import Any, Final

import orjson

from adapters.postgres.coalesced import Coalesced
from adapters.postgres.codec import from_timestamp, from_uuid, to_timestamp, to_uuid
from adapters.postgres.pool import Database
from adapters.postgres.queries import statements
from adapters.postgres.sealing import Sealer
from adapters.telemetry.tasks import Tasks
from core.auth.revocation import Revocation
from core.auth.token_keys import TokenKeys, read_token_keys
from core.instants import Instant

Document = dict[str, Any]

NO_KEYS: Final = TokenKeys()


class TokenStore:
    """Reads and writes what decides about tokens, beside the organization's own secret.

    Each write is one transaction; what it returns from is durable.
    """

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer
        self._sql = statements("tokens")
        self._revocations: Coalesced[bytes, list[Revocation]] = Coalesced(
            self._read_revocations, Tasks("tokens")
        )

    async def token_keys(self, organization_id: bytes) -> Document:
        """Return the keys as they were set, secrets included: never to be logged or answered."""
        sealed = await self._database.fetchval(self._sql["token_keys"], to_uuid(organization_id))
        return open_token_keys(self._sealer, sealed, organization_id)

    async def set_token_keys(self, organization_id: bytes, document: Document) -> None:
        """Keep a document that `read_token_keys` accepts, in place of the one before; empty for none."""
        sealed = seal_token_keys(self._sealer, document, organization_id)
        await self._database.execute(self._sql["set_token_keys"], to_uuid(organization_id), sealed)

    async def revoke(
        self, organization_id: bytes, revocation: Revocation, expires_at: Instant, revocations_max: int
    ) -> bool:
        """Take tokens back until none of them can be valid any more.

        Idempotent: the same user and token again never means fewer tokens. False, and nothing is stored: the
        organization has `revocations_max` others.
        """
        key = to_uuid(organization_id)
        async with self._database.transaction() as connection:
            await connection.execute(self._sql["lock_organization"], key)
            await connection.execute(self._sql["forget_expired"], key)
            row = await connection.fetchrow(
                self._sql["revoke"],
                key,
                revocation.user,
                revocation.token_id,
                to_timestamp(revocation.before),
                to_timestamp(expires_at),
                revocations_max,
            )
        return row is not None

    async def revocations(self, organization_id: bytes) -> Sequence[Revocation]:
        """Return all revocations of an organization; those who ask at the same time share a statement."""
        return await self._revocations.get(organization_id) or ()

    async def _read_revocations(self, organizations: Sequence[bytes]) -> dict[bytes, list[Revocation]]:
        rows = await self._database.fetch(self._sql["revocations"], list(map(to_uuid, organizations)))
        found: dict[bytes, list[Revocation]] = {}
        for row in rows:
            revocation = Revocation(row["user_id"], from_timestamp(row["before"]), row["token_id"])
            found.setdefault(from_uuid(row["organization_id"]), []).append(revocation)
        return found


def seal_token_keys(sealer: Sealer, document: Document, organization_id: bytes) -> bytes | None:
    """Return a document as it is stored; None for an empty one."""
    return sealer.seal(orjson.dumps(document), _place(organization_id)) if document else None


def open_token_keys(sealer: Sealer, sealed: bytes | None, organization_id: bytes) -> Document:
    """Return the document that is sealed; without one, an empty one."""
    if sealed is None:
        return {}
    document: Document = orjson.loads(sealer.open(sealed, _place(organization_id)))
    return document


def token_keys_of(sealer: Sealer, sealed: bytes | None, organization_id: bytes) -> TokenKeys:
    """Return the keys that stand in a row of an organization."""
    document = open_token_keys(sealer, sealed, organization_id)
    return read_token_keys(document) if document else NO_KEYS


async def sweep_revocations(database: Database) -> None:
    """Delete the revocations of all organizations that mean no valid token any more; at any time."""
    await database.execute(statements("tokens")["sweep"])


def _place(organization_id: bytes) -> tuple[bytes, ...]:
    return (organization_id, b"organizations", b"token_keys_sealed", organization_id)

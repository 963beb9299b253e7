"""Rules of an organization: its namespaces, and what it chooses for itself."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import msgspec

from adapters.postgres.codec import from_timestamp, to_uuid
from adapters.postgres.pool import Database
from adapters.postgres.queries import statements
from core.auth.organization import OrganizationOptions
from core.channels.namespace import (
    WITHOUT_NAMESPACE,
    ChannelRules,
    Options,
    stored_client_options,
    stored_options,
)
from core.instants import Instant

_JSON = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class StoredNamespace:
    """A namespace as it is stored."""

    name: str
    options: Options
    version: int
    created_at: Instant
    updated_at: Instant


@dataclass(frozen=True, slots=True)
class StoredOrganization:
    """An organization as it is stored, without its secrets."""

    options: OrganizationOptions
    environment: str
    status: str
    version: int
    created_at: Instant
    updated_at: Instant


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The organization's namespaces: how many there are, and the expressions for names in all but one."""

    count: int
    regexes: tuple[str, ...]


ChangeOfNamespace: TypeAlias = Callable[[StoredNamespace | None, Neighbours], Options | None]
"""From what is stored, and what is stored beside it, to the options from now on; None: take it away."""
ChangeOfOrganization: TypeAlias = Callable[[StoredOrganization], OrganizationOptions]


class RuleStore:
    """Reads and changes rules; each write is one transaction, and one organization's follow one another.

    A change is decided while nobody else changes anything of this organization; what it raises is raised,
    and nothing has changed then. A change that ends where it began is not written.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = statements("namespaces")

    async def namespace(self, organization_id: bytes, name: str) -> StoredNamespace | None:
        """Return one namespace."""
        row = await self._database.fetchrow(self._sql["namespace"], to_uuid(organization_id), name)
        return None if row is None else _namespace_of(row)

    async def namespaces(self, organization_id: bytes, after: str, limit: int) -> list[StoredNamespace]:
        """Return the namespaces behind a name, in the order of their bytes."""
        rows = await self._database.fetch(
            self._sql["namespaces_after"], to_uuid(organization_id), after, limit
        )
        return [_namespace_of(row) for row in rows]

    async def change_namespace(
        self, organization_id: bytes, name: str, change: ChangeOfNamespace
    ) -> StoredNamespace | None:
        """Change one namespace and return it; None: there is none now."""
        key = to_uuid(organization_id)
        async with self._database.transaction() as connection:
            await connection.execute(self._sql["lock_organization"], key)
            row = await connection.fetchrow(self._sql["namespace"], key, name)
            stored = None if row is None else _namespace_of(row)
            found = await connection.fetchrow(self._sql["neighbours"], key, name)
            options = change(stored, Neighbours(found["count"], tuple(found["regexes"])))
            if options is None:
                await connection.execute(self._sql["delete_namespace"], key, name)
                return None
            if stored is not None and stored.options == options:
                return stored
            text = _JSON.encode(options).decode()
            return _namespace_of(await connection.fetchrow(self._sql["put_namespace"], key, name, text))

    async def organization(self, organization_id: bytes) -> StoredOrganization | None:
        """Return what an organization has chosen."""
        row = await self._database.fetchrow(self._sql["organization_options"], to_uuid(organization_id))
        return None if row is None else _organization_of(row)

    async def change_organization(
        self, organization_id: bytes, change: ChangeOfOrganization
    ) -> StoredOrganization:
        """Change what an organization that exists has chosen, and return it."""
        key = to_uuid(organization_id)
        async with self._database.transaction() as connection:
            await connection.execute(self._sql["lock_organization"], key)
            stored = _organization_of(await connection.fetchrow(self._sql["organization_options"], key))
            options = change(stored)
            if options == stored.options:
                return stored
            row = await connection.fetchrow(
                self._sql["set_organization_options"],
                key,
                options.name,
                options.client_publish,
                options.anonymous,
                options.client_insecure,
                options.unknown_namespaces,
                options.require_idempotency_key,
                _JSON.encode(options.clients).decode(),
            )
            return _organization_of(row)


def rules_of(row: Any) -> ChannelRules:
    """Return the rules that stand in a row of an organization with all its namespaces."""
    namespaces = {
        name: stored_options(options) for name, options in msgspec.json.decode(row["namespaces"]).items()
    }
    without = namespaces.pop(WITHOUT_NAMESPACE, None)
    clients = stored_client_options(msgspec.json.decode(row["channel_options"]))
    rules = ChannelRules(namespaces=namespaces, unknown=row["unknown_namespaces"], clients=clients)
    return rules if without is None else replace(rules, without=without)


def _namespace_of(row: Any) -> StoredNamespace:
    return StoredNamespace(
        row["name"],
        stored_options(msgspec.json.decode(row["options"])),
        row["version"],
        from_timestamp(row["created_at"]),
        from_timestamp(row["updated_at"]),
    )


def _organization_of(row: Any) -> StoredOrganization:
    clients = stored_client_options(msgspec.json.decode(row["channel_options"]))
    options = OrganizationOptions(
        name=row["name"],
        client_publish=row["client_publish"],
        anonymous=row["anonymous"],
        client_insecure=row["client_insecure"],
        unknown_namespaces=row["unknown_namespaces"],
        require_idempotency_key=row["require_idempotency_key"],
        **{name: getattr(clients, name) for name in clients.__struct_fields__},
    )
    return StoredOrganization(
        options,
        row["environment"],
        row["status"],
        row["version"],
        from_timestamp(row["created_at"]),
        from_timestamp(row["updated_at"]),
    )

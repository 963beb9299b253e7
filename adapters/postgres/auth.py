"""Organizations and API keys: looked up by gateways, written by the command line."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from adapters.postgres.codec import from_timestamp, from_uuid, to_timestamp, to_uuid
from adapters.postgres.namespaces import rules_of
from adapters.postgres.pool import Database
from adapters.postgres.queries import statements
from adapters.postgres.sealing import Sealer
from adapters.postgres.server_api import ServerApiStore
from adapters.postgres.tokens import TokenStore, token_keys_of
from core.auth.keys import RANDOM_BYTES, digest, generate
from core.auth.principal import Organization
from core.instants import Instant
from core.ports import Entropy

LIST_MAX: Final = 1_000
EPOCH_LETTERS: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
EPOCH_CHARACTERS: Final = 8
TOKEN_SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class StoredKey:
    """An API key as it is stored: everything but the key."""

    organization_id: bytes
    api_key_id: bytes
    name: str
    scopes: frozenset[str]
    expires_at: Instant | None
    revoked_at: Instant | None
    shown: str = ""
    """First and last characters, to recognise it by."""


@dataclass(frozen=True, slots=True)
class Options:
    """Options of an organization to change; None keeps."""

    client_publish: bool | None = None
    anonymous: bool | None = None
    client_insecure: bool | None = None
    unknown_namespaces: Literal["allow", "refuse"] | None = None
    name: str | None = None
    token_secret: bytes | None = None
    require_idempotency_key: bool | None = None


class AuthStore:
    """Reads and writes who may do what.

    Writes are ordinary transactions, not events: they are the operator's, made on the machine.
    """

    def __init__(self, database: Database, sealer: Sealer, entropy: Entropy) -> None:
        self._database = database
        self._sealer = sealer
        self._entropy = entropy
        self._sql = statements("auth")
        self.tokens = TokenStore(database, sealer)
        self.server_api = ServerApiStore(database, sealer)

    async def find_key(self, key_digest: bytes) -> StoredKey | None:
        """Return the key with this digest, expired and revoked ones too."""
        row = await self._database.fetchrow(self._sql["key_by_digest"], key_digest)
        return None if row is None else _key_of(row, from_uuid(row["organization_id"]))

    async def is_active_key(self, organization_id: bytes, api_key_id: bytes) -> bool:
        """Say whether there is such a key that nobody has revoked; it may have expired."""
        key = (to_uuid(organization_id), to_uuid(api_key_id))
        return await self._database.fetchrow(self._sql["active_key"], *key) is not None

    async def organization(self, organization_id: bytes) -> Organization | None:
        """Return one organization with its token secret opened."""
        row = await self._database.fetchrow(self._sql["organization"], to_uuid(organization_id))
        return None if row is None else self._organization_of(row)

    async def organizations(self) -> list[Organization]:
        """Return the organizations, oldest first, at most a thousand."""
        rows = await self._database.fetch(self._sql["organizations"], LIST_MAX)
        return [self._organization_of(row) for row in rows]

    async def default_organization_id(self) -> bytes | None:
        """Return the organization of connections without credentials, if there is one."""
        row = await self._database.fetchrow(self._sql["default_organization"])
        return None if row is None or row[0] is None else from_uuid(row[0])

    async def set_default_organization(self, organization_id: bytes, *, replace: bool) -> None:
        """Make it the default; without `replace` only where there is none."""
        await self._database.execute(self._sql["set_default_organization"], to_uuid(organization_id), replace)

    async def create_organization(self, name: str, environment: Literal["live", "test"]) -> Organization:
        """Create a tenant with an empty log, in one transaction."""
        organization_id = self._entropy.id()
        secret = self._entropy.token(TOKEN_SECRET_BYTES).hex().encode()
        sealed = self._sealer.seal(secret, _place(organization_id))
        key = to_uuid(organization_id)
        async with self._database.transaction() as connection:
            await connection.execute(self._sql["insert_organization"], key, name, environment, sealed)
            await connection.execute(self._sql["insert_stream"], key, new_epoch(self._entropy))
        created = await self.organization(organization_id)
        assert created is not None  # noqa: S101 (just committed)
        return created

    async def set_options(self, organization_id: bytes, options: Options) -> bool:
        """Change options; False: there is no such organization."""
        secret = options.token_secret
        row = await self._database.returning(
            self._sql["set_options"],
            to_uuid(organization_id),
            options.client_publish,
            options.anonymous,
            options.client_insecure,
            options.unknown_namespaces,
            options.name,
            None if secret is None else self._sealer.seal(secret, _place(organization_id)),
            options.require_idempotency_key,
        )
        return row is not None

    async def create_key(
        self, organization: Organization, name: str, scopes: Sequence[str], expires_at: Instant | None = None
    ) -> tuple[bytes, str]:
        """Create a key and return its id and the key itself, which is nowhere else and never shown again."""
        text = generate(self._entropy.token(RANDOM_BYTES), organization.environment)
        api_key_id = self._entropy.id()
        await self._database.execute(
            self._sql["insert_key"],
            to_uuid(organization.organization_id),
            to_uuid(api_key_id),
            digest(text),
            name,
            text[:12],
            text[-4:],
            sorted(scopes),
            None if expires_at is None else to_timestamp(expires_at),
        )
        return api_key_id, text

    async def keys(self, organization_id: bytes) -> list[StoredKey]:
        """Return an organization's keys, newest first."""
        rows = await self._database.fetch(self._sql["keys"], to_uuid(organization_id), LIST_MAX)
        return [_key_of(row, organization_id, f"{row['first']}…{row['last']}") for row in rows]

    async def revoke_key(self, organization_id: bytes, api_key_id: bytes) -> bool:
        """End a key; False: no such key, or ended before."""
        row = await self._database.returning(
            self._sql["revoke_key"], to_uuid(organization_id), to_uuid(api_key_id)
        )
        return row is not None

    def _organization_of(self, row: Any) -> Organization:
        organization_id = from_uuid(row["organization_id"])
        return Organization(
            organization_id,
            row["name"],
            row["environment"],
            row["status"],
            row["client_publish"],
            row["anonymous"],
            row["client_insecure"],
            self._sealer.open(row["token_secret_sealed"], _place(organization_id)),
            row["require_idempotency_key"],
            rules_of(row),
            token_keys_of(self._sealer, row["token_keys_sealed"], organization_id),
        )


def new_epoch(entropy: Entropy) -> str:
    """Return the epoch of a log that begins."""
    return "".join(EPOCH_LETTERS[byte % len(EPOCH_LETTERS)] for byte in entropy.token(EPOCH_CHARACTERS))


def _place(organization_id: bytes) -> tuple[bytes, ...]:
    return (organization_id, b"organizations", b"token_secret_sealed", organization_id)


def _key_of(row: Any, organization_id: bytes, shown: str = "") -> StoredKey:
    expires_at, revoked_at = row["expires_at"], row["revoked_at"]
    return StoredKey(
        organization_id,
        from_uuid(row["api_key_id"]),
        row["name"],
        frozenset(row["scopes"]),
        None if expires_at is None else from_timestamp(expires_at),
        None if revoked_at is None else from_timestamp(revoked_at),
        shown,
    )

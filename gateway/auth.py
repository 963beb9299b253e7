"""Who asks, on REST and on sockets: keys and connection tokens verified, and remembered for a while."""

from collections import OrderedDict
from typing import Final, Generic, TypeVar

from adapters.postgres.auth import AuthStore
from core.auth.keys import digest, is_well_formed
from core.auth.principal import Organization, Principal
from core.auth.tokens import peek_organization, verify_connection_token
from core.errors import Code, TidingsError
from core.ids import encode
from core.ports import Clock
from settings import Api

KEY_PREFIX: Final = "tdg_"
_BEARER: Final = "bearer "

K = TypeVar("K")
V = TypeVar("V")


class _Remembered(Generic[K, V]):
    """Values that are believed for a while; the oldest leave when there are too many."""

    def __init__(self, clock: Clock, lifetime_s: float, entries_max: int) -> None:
        self._clock = clock
        self._lifetime_s = lifetime_s
        self._entries_max = entries_max
        self._entries: OrderedDict[K, tuple[float, V]] = OrderedDict()

    def get(self, key: K) -> V | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[0] <= self._clock.monotonic():
            del self._entries[key]
            return None
        return entry[1]

    def put(self, key: K, value: V) -> None:
        self._entries[key] = (self._clock.monotonic() + self._lifetime_s, value)
        while len(self._entries) > self._entries_max:
            self._entries.popitem(last=False)


class Authenticator:
    """Verifies credentials.

    A verified key and an organization's options are believed for `credential_cache_s`, and what is
    refused is never
    remembered: a new key works at once, a revoked one ends within that time.
    """

    def __init__(self, store: AuthStore, clock: Clock, settings: Api) -> None:
        self._store = store
        self._clock = clock
        lifetime_s, entries_max = settings.credential_cache_s, settings.credentials_max
        self._keys: _Remembered[bytes, Principal] = _Remembered(clock, lifetime_s, entries_max)
        # Options are for operators who try them out: they take effect soon.
        self._organizations: _Remembered[bytes, Organization] = _Remembered(clock, 1.0, entries_max)
        self._default: _Remembered[str, bytes] = _Remembered(clock, 1.0, 1)

    async def bearer(self, authorization: str | None) -> Principal:
        """Return the caller of a REST request by its `Authorization` header.

        Raises:
            TidingsError: `unauthenticated`, `credential_invalid`, `credential_expired`,
                `organization_suspended`.
        """
        if not authorization:
            raise TidingsError(Code.UNAUTHENTICATED)
        if not authorization[: len(_BEARER)].lower() == _BEARER:
            raise TidingsError(Code.CREDENTIAL_INVALID)
        return await self.api_key(authorization[len(_BEARER) :].strip())

    async def api_key(self, text: str) -> Principal:
        """Return the caller that an API key stands for.

        Raises:
            TidingsError: `credential_invalid`, `credential_expired`, `organization_suspended`.
        """
        if not is_well_formed(text):
            raise TidingsError(Code.CREDENTIAL_INVALID)
        key_digest = digest(text)
        principal = self._keys.get(key_digest)
        if principal is None:
            principal = await self._verified(key_digest)
            self._keys.put(key_digest, principal)
        if principal.expires_at is not None and principal.expires_at <= self._clock.now():
            raise TidingsError(Code.CREDENTIAL_EXPIRED)
        return principal

    async def _verified(self, key_digest: bytes) -> Principal:
        key = await self._store.find_key(key_digest)
        if key is None or key.revoked_at is not None:
            raise TidingsError(Code.CREDENTIAL_INVALID)
        await self.organization(key.organization_id)
        return Principal(
            key.organization_id, "key", encode("key", key.api_key_id), key.scopes, key.expires_at
        )

    async def organization(self, organization_id: bytes) -> Organization:
        """Return an organization that may be served.

        Raises:
            TidingsError: `credential_invalid`, there is none; `organization_suspended`.
        """
        organization = self._organizations.get(organization_id)
        if organization is None:
            organization = await self._store.organization(organization_id)
            if organization is None:
                raise TidingsError(Code.CREDENTIAL_INVALID)
            self._organizations.put(organization_id, organization)
        if organization.status != "active":
            raise TidingsError(Code.ORGANIZATION_SUSPENDED)
        return organization

    async def connection(self, token: str, authorization: str | None) -> tuple[Principal, Organization]:
        """Return who connects to a socket, and the organization that its connection belongs to.

        The token of the connect command counts first, then the `Authorization` of the upgrade; an API key
        or a JWT each.

        Raises:
            TidingsError: `credential_invalid`, `credential_expired`, `unauthenticated` (none, and the default
                organization lets nobody in without), `organization_suspended`.
        """
        credential = token or _credential_of(authorization)
        if credential.startswith(KEY_PREFIX):
            principal = await self.api_key(credential)
            return principal, await self.organization(principal.organization_id)
        if not credential:
            organization = await self._default_organization()
            if not (organization.anonymous or organization.client_insecure):
                raise TidingsError(Code.UNAUTHENTICATED)
            return Principal(organization.organization_id, "anonymous", ""), organization
        return await self._user(credential)

    async def _user(self, token: str) -> tuple[Principal, Organization]:
        claimed = peek_organization(token)
        organization = await self.organization(claimed) if claimed else await self._default_organization()
        claims = verify_connection_token(token, organization.token_secret, self._clock.now())
        expires_at = None if organization.client_insecure else claims.expires_at
        principal = Principal(
            organization.organization_id,
            "user",
            claims.user,
            expires_at=expires_at,
            refreshable=expires_at is not None,
            info=claims.info,
        )
        return principal, organization

    async def _default_organization(self) -> Organization:
        organization_id = self._default.get("")
        if organization_id is None:
            organization_id = await self._store.default_organization_id()
            if organization_id is None:
                raise TidingsError(Code.UNAUTHENTICATED, "This installation has no default organization.")
            self._default.put("", organization_id)
        return await self.organization(organization_id)


def _credential_of(authorization: str | None) -> str:
    if authorization and authorization[: len(_BEARER)].lower() == _BEARER:
        return authorization[len(_BEARER) :].strip()
    return ""


def require(principal: Principal, scope: str) -> None:
    """Accept a caller whose scopes include `scope`.

    Raises:
        TidingsError: `permission_denied` with `required_scope`.
    """
    if not principal.allows(scope):
        raise TidingsError(Code.PERMISSION_DENIED, required_scope=scope)

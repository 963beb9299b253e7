"""Who asks, on REST and on sockets: keys and tokens verified, and remembered for a while."""

from collections import OrderedDict
from typing import Final, Generic, TypeVar

from adapters.http.jwks import KeySets
from adapters.postgres.auth import AuthStore
from core.auth.jwt import Jwt, read_jwt
from core.auth.keys import digest, is_well_formed
from core.auth.principal import Organization, Principal
from core.auth.revocation import Revocations
from core.auth.token_keys import TokenKeys
from core.auth.tokens import (
    SubscriptionClaims,
    connection_claims,
    peek_organization,
    subscription_claims,
)
from core.auth.verification import Verified, verify, verify_by_key_set, wants_key_set
from core.errors import Code, TidingsError
from core.ids import decode, encode
from core.instants import Instant
from core.ports import Clock
from settings import Api

KEY_PREFIX: Final = "tdg_"
LOOK_S: Final = 1.0
"""How long options, revocations and the state of a key in use are believed: they take effect soon."""
_BEARER: Final = "bearer "

K = TypeVar("K")
V = TypeVar("V")


class _Remembered(Generic[K, V]):
    """Values that are believed for a while; the oldest leave when there are too many.

    What is found to be as it was stays the same object: thousands of connections hold on to what held when
    they began.
    """

    def __init__(self, clock: Clock, lifetime_s: float, entries_max: int) -> None:
        self._clock = clock
        self._lifetime_s = lifetime_s
        self._entries_max = entries_max
        self._entries: OrderedDict[K, tuple[float, V]] = OrderedDict()

    def get(self, key: K) -> V | None:
        entry = self._entries.get(key)
        return None if entry is None or entry[0] <= self._clock.monotonic() else entry[1]

    def put(self, key: K, value: V) -> V:
        before = self._entries.pop(key, None)
        if before is not None and before[1] == value:
            value = before[1]
        self._entries[key] = (self._clock.monotonic() + self._lifetime_s, value)
        while len(self._entries) > self._entries_max:
            self._entries.popitem(last=False)
        return value


class Authenticator:
    """Verifies credentials.

    A verified key is believed for `credential_cache_s`, and what is refused is never remembered: a new key
    works at once, a revoked one ends within that time, and its sockets within `LOOK_S`.

    Args:
        store: organizations, keys and revocations.
        clock: times.
        settings: how long, and how many, are remembered.
        key_sets: what identity providers publish; None: tokens that only a published key verifies are
            `unavailable`.
    """

    def __init__(
        self, store: AuthStore, clock: Clock, settings: Api, key_sets: KeySets | None = None
    ) -> None:
        self._store = store
        self._clock = clock
        self._key_sets = key_sets
        lifetime_s, entries_max = settings.credential_cache_s, settings.credentials_max
        self._keys: _Remembered[bytes, Principal] = _Remembered(clock, lifetime_s, entries_max)
        self._organizations: _Remembered[bytes, Organization] = _Remembered(clock, LOOK_S, entries_max)
        self._default: _Remembered[str, bytes] = _Remembered(clock, LOOK_S, 1)
        self._active_keys: _Remembered[tuple[bytes, str], bool] = _Remembered(clock, LOOK_S, entries_max)
        self._revocations: _Remembered[bytes, Revocations] = _Remembered(clock, LOOK_S, entries_max)

    async def bearer(self, authorization: str | None) -> Principal:
        """Return the caller of a REST request by its `Authorization` header.

        Raises:
            TidingsError: `unauthenticated`, `credential_invalid`, `credential_expired`,
                `organization_suspended`.
        """
        if not authorization:
            raise TidingsError(Code.UNAUTHENTICATED)
        if not authorization[: len(_BEARER)].lower() == _BEARER:
            raise TidingsError(
                Code.CREDENTIAL_INVALID, "The scheme is Bearer: send Authorization: Bearer <API key>."
            )
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
            principal = self._keys.put(key_digest, await self._verified_key(key_digest))
        if principal.expires_at is not None and principal.expires_at <= self._clock.now():
            raise TidingsError(Code.CREDENTIAL_EXPIRED)
        return principal

    async def _verified_key(self, key_digest: bytes) -> Principal:
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
            read = await self._store.organization(organization_id)
            if read is None:
                raise TidingsError(Code.CREDENTIAL_INVALID)
            organization = self._organizations.put(organization_id, read)
        if organization.status != "active":
            raise TidingsError(Code.ORGANIZATION_SUSPENDED)
        return organization

    @staticmethod
    def has_credential(token: str, authorization: str | None) -> bool:
        """Say whether somebody who connects brings any credential."""
        return bool(token or _credential_of(authorization))

    async def connection(self, token: str, authorization: str | None) -> tuple[Principal, Organization]:
        """Return who connects to a socket, and the organization that its connection belongs to.

        The token of the connect command counts first, then the `Authorization` of the upgrade; an API key
        or a JWT each.

        Raises:
            TidingsError: `credential_invalid`, `credential_expired`, `expired` (the connection would have
                ended already), `unauthenticated` (none, and the default organization lets nobody in without),
                `organization_suspended`, or `unavailable` where it could not be verified now.
        """
        credential = token or _credential_of(authorization)
        if credential.startswith(KEY_PREFIX):
            principal = await self.api_key(credential)
            return principal, await self.organization(principal.organization_id)
        if not credential:
            organization = await self.default_organization()
            if not (organization.anonymous or organization.client_insecure):
                raise TidingsError(Code.UNAUTHENTICATED)
            return Principal(organization.organization_id, "anonymous", ""), organization
        return await self._user(credential)

    async def _user(self, text: str) -> tuple[Principal, Organization]:
        token = read_jwt(text)
        claimed = peek_organization(token)
        organization = await self.organization(claimed) if claimed else await self.default_organization()
        keys = organization.token_keys
        claims = connection_claims(
            await self._verified_token(token, organization, keys), keys, self._clock.now()
        )
        await self._refuse_revoked(organization, claims.user, claims.token_id, claims.issued_at)
        expires_at = None if organization.client_insecure else claims.expires_at
        principal = Principal(
            organization.organization_id,
            "user",
            claims.user,
            expires_at=expires_at,
            # One that never ends may be given an end later, and is then renewed like any other.
            refreshable=not organization.client_insecure,
            info=claims.info,
            channels=claims.channels,
            subs=claims.subs,
            meta=claims.meta,
            token_id=claims.token_id,
            issued_at=claims.issued_at,
        )
        return principal, organization

    async def subscription(self, organization: Organization, text: str) -> SubscriptionClaims:
        """Return what a subscription token says, verified by this organization's keys alone.

        Whether it is of this connection's user, and for this channel and client, the caller compares.

        Raises:
            TidingsError: `credential_invalid`, `credential_expired`, `expired`, or `unavailable` where it
                could not be verified now.
        """
        token = read_jwt(text)
        keys = organization.token_keys.of_subscriptions
        claimed = peek_organization(token)
        if claimed not in (None, organization.organization_id):
            raise TidingsError(Code.CREDENTIAL_INVALID)
        verified = await self._verified_token(token, organization, keys)
        claims = subscription_claims(verified, keys, self._clock.now())
        await self._refuse_revoked(organization, claims.user, claims.token_id, claims.issued_at)
        return claims

    async def _verified_token(self, token: Jwt, organization: Organization, keys: TokenKeys) -> Verified:
        verified = verify(token, organization.token_secret, keys, self._clock.now())
        if verified is None and wants_key_set(token, keys):
            if self._key_sets is None:
                raise TidingsError(Code.UNAVAILABLE)
            verified = verify_by_key_set(token, await self._key_sets.key_set(keys.jwks_url, token))
        if verified is None:
            raise TidingsError(Code.CREDENTIAL_INVALID)
        return verified

    async def _refuse_revoked(
        self, organization: Organization, user: str, token_id: str, issued_at: Instant | None
    ) -> None:
        revocations = await self.revocations(organization.organization_id)
        if revocations.mean(user, token_id, issued_at):
            raise TidingsError(Code.CREDENTIAL_INVALID)

    async def revocations(self, organization_id: bytes) -> Revocations:
        """Return the tokens that an organization has taken back, `LOOK_S` old at most.

        Raises:
            TidingsError: `unavailable`.
        """
        known = self._revocations.get(organization_id)
        if known is None:
            read = Revocations(await self._store.tokens.revocations(organization_id))
            known = self._revocations.put(organization_id, read)
        return known

    async def still_valid(self, principal: Principal) -> bool:
        """Say whether a caller who was let in may stay: asked again and again while a socket is open.

        No: its key or token was taken back, its organization is suspended, or lets nobody in without a
        credential any more. Its expiry is not judged here. Costs nothing within `LOOK_S` of the last
        question about the same; while the database does not answer, whoever is in stays in.
        """
        try:
            organization = await self.organization(principal.organization_id)
            if principal.kind == "anonymous":
                return organization.anonymous or organization.client_insecure
            if principal.kind == "key":
                return await self._is_active(principal)
            revocations = await self.revocations(principal.organization_id)
            return not revocations.mean(principal.id, principal.token_id, principal.issued_at)
        except TidingsError as error:
            return error.code is Code.UNAVAILABLE

    async def _is_active(self, principal: Principal) -> bool:
        known = self._active_keys.get((principal.organization_id, principal.id))
        if known is None:
            api_key_id = decode("key", principal.id)
            known = await self._store.is_active_key(principal.organization_id, api_key_id)
            self._active_keys.put((principal.organization_id, principal.id), known)
        return known

    async def default_organization(self) -> Organization:
        """Return whose are the connections that name no organization.

        Raises:
            TidingsError: `unauthenticated`, there is none; `organization_suspended`.
        """
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

"""Who calls `/api`: a key that was brought along, one of ours, or with an open API anybody."""

from dataclasses import dataclass
from typing import Final

from adapters.postgres.server_api import ServerApiStore
from core.auth.keys import is_well_formed
from core.auth.principal import Organization, Principal
from core.errors import TidingsError
from core.ids import encode
from gateway.auth import Authenticator

SCOPES: Final = frozenset({"channels:write"})
"""What a key may do that was brought along: everything that there is under `/api`."""
NOBODY: Final = "api"
"""The actor of what is written without a key."""

_APIKEY: Final = "apikey "
_BEARER: Final = "bearer "


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who may call, and the organization that it acts in."""

    principal: Principal
    organization: Organization
    trace_id: bytes = b""

    @property
    def organization_id(self) -> bytes:
        """The only organization that this caller sees."""
        return self.organization.organization_id


class Callers:
    """Finds out who calls."""

    def __init__(self, store: ServerApiStore, authenticator: Authenticator) -> None:
        self._store = store
        self._authenticator = authenticator

    async def find(self, header: str, authorization: str, parameter: str, trace_id: bytes) -> Caller | None:
        """Return the caller; None: no key, or none that is good for anything here.

        Args:
            header: `X-API-Key`, which counts first.
            authorization: `apikey <key>`, which counts next; ours may come as `Bearer <key>` as well.
            parameter: `api_key` of the query, which counts last.
            trace_id: of the request.

        Raises:
            TidingsError: `unavailable`.
        """
        key = header or _key_in(authorization) or parameter
        principal = await self._principal(key) if key else None
        if principal is None:
            if is_well_formed(key):  # somebody's here: it must not land in another organization than its own
                return None
            open_to_all = await self._store.open_organization()
            if open_to_all is None:
                return None
            principal = Principal(open_to_all, "key", NOBODY, SCOPES)
        organization = await self._authenticator.organization(principal.organization_id)
        return Caller(principal, organization, trace_id)

    async def _principal(self, key: str) -> Principal | None:
        if is_well_formed(key):
            try:
                return await self._authenticator.api_key(key)
            except TidingsError as error:
                if error.row.status >= 500:  # noqa: PLR2004 (ours, not the key's fault)
                    raise
                return None
        found = await self._store.find_key(key)
        if found is None:
            return None
        return Principal(found.organization_id, "key", encode("key", found.api_key_id), SCOPES)


def _key_in(authorization: str) -> str:
    scheme = authorization[: len(_APIKEY)].lower()
    return authorization[len(_APIKEY) :].strip() if scheme in (_APIKEY, _BEARER) else ""

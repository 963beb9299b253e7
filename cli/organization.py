"""The organization that a command is about: the named one, or the installation's default."""

from adapters.postgres.auth import AuthStore
from core.auth.principal import Organization
from core.errors import Code, TidingsError
from core.ids import decode


async def find(store: AuthStore, public_id: str) -> Organization:
    """Return the organization with this id, or with "" the default one.

    Raises:
        TidingsError: `not_found`.
    """
    organization_id = decode("org", public_id) if public_id else await store.default_organization_id()
    organization = None if organization_id is None else await store.organization(organization_id)
    if organization is None:
        raise TidingsError(Code.NOT_FOUND, "There is no such organization; `tidings orgs list` shows all.")
    return organization

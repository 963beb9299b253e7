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
    organization_id = known("org", public_id) if public_id else await store.default_organization_id()
    organization = None if organization_id is None else await store.organization(organization_id)
    if organization is None:
        name = f"organization {public_id}" if public_id else "default organization"
        raise TidingsError(Code.NOT_FOUND, f"There is no {name}; `tidings orgs list` shows all.")
    return organization


def known(prefix: str, public_id: str) -> bytes | None:
    """Return an id as it is inside; None for what can't be one, and so is nobody's."""
    try:
        return decode(prefix, public_id)
    except TidingsError:
        return None

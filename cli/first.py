"""The first organization of an installation, with a key for the commands of this machine."""

import json
from dataclasses import asdict, dataclass

import wiring
from adapters.embedded.folder import DataFolder
from adapters.postgres.auth import AuthStore
from cli.installation import Access
from core.auth.keys import digest
from core.auth.principal import Organization
from core.auth.scopes import ALL
from core.errors import TidingsError
from core.ids import decode, encode
from settings import Settings

NAME = "first"


@dataclass(frozen=True, slots=True)
class First:
    """How the first organization is reached, all organizations, and whether anybody may use `/api`."""

    access: Access
    organizations: list[Organization]
    api_is_open: bool


async def ensure_first(settings: Settings, folder: DataFolder) -> First:
    """Return the first organization, made when there is none."""
    async with wiring.open_store(settings) as store:
        organization = await _default(store)
        access = await _known(store, folder, organization)
        if access is None:
            _, key = await store.create_key(organization, "made by tidings up", sorted(ALL))
            public = encode("org", organization.organization_id)
            access = Access(settings.installation.origin, public, key, organization.token_secret.decode())
        else:
            access = Access(
                settings.installation.origin,
                access.organization,
                access.api_key,
                organization.token_secret.decode(),
            )
        folder.write_secret(folder.cli_file, json.dumps(asdict(access), indent=2) + "\n")
        is_open = await store.server_api.open_organization() is not None
        return First(access, await store.organizations(), is_open)


async def _default(store: AuthStore) -> Organization:
    organization_id = await store.default_organization_id()
    organization = None if organization_id is None else await store.organization(organization_id)
    if organization is None:
        existing = await store.organizations()
        organization = existing[0] if existing else await store.create_organization(NAME, "live")
        await store.set_default_organization(organization.organization_id, replace=False)
    return organization


async def _known(store: AuthStore, folder: DataFolder, organization: Organization) -> Access | None:
    """Return what an earlier start wrote, if its key still is one of this database."""
    try:
        written = Access(**json.loads(folder.cli_file.read_text()))
        if decode("org", written.organization) != organization.organization_id:
            return None
    except (OSError, ValueError, TypeError, TidingsError):
        return None
    key = await store.find_key(digest(written.api_key))
    return None if key is None or key.revoked_at is not None else written

"""`tidings orgs`: make, list and set up organizations."""

from dataclasses import dataclass
from typing import Literal

import orjson
from rich.table import Table

import wiring
from adapters.postgres.auth import Options
from cli.installation import running_settings
from cli.organization import find
from cli.screen import Screen
from core.auth.scopes import ALL
from core.auth.token_keys import read_token_keys, shown_token_keys
from core.ids import encode
from core.resources.document import read_document, without_nulls

OPTIONS = ("client_publish", "anonymous", "client_insecure", "require_idempotency_key")


@dataclass(frozen=True, slots=True)
class Changes:
    """What `orgs set` changes; None keeps."""

    name: str | None
    client_publish: bool | None
    anonymous: bool | None
    client_insecure: bool | None
    unknown_namespaces: Literal["allow", "refuse"] | None
    token_secret: str | None
    require_idempotency_key: bool | None
    default: bool


async def create(name: str, environment: Literal["live", "test"]) -> None:
    """Make an organization with a key for everything, and print both."""
    async with wiring.open_store(await running_settings()) as store:
        organization = await store.create_organization(name, environment)
        _, key = await store.create_key(organization, "made with the organization", sorted(ALL))
    screen = Screen()
    screen.say(f"Organization  {encode('org', organization.organization_id)}")
    screen.say(f"API key       {key}")
    screen.say(f"Token secret  {organization.token_secret.decode()}")


async def show() -> None:
    """Print all organizations and their options."""
    async with wiring.open_store(await running_settings()) as store:
        organizations, default = await store.organizations(), await store.default_organization_id()
    table = Table("id", "name", "environment", *OPTIONS, "unknown_namespaces")
    for one in organizations:
        mark = " (default)" if one.organization_id == default else ""
        flags = ("on" if getattr(one, option) else "off" for option in OPTIONS)
        public = encode("org", one.organization_id)
        table.add_row(public + mark, one.name, one.environment, *flags, one.channels.unknown)
    Screen().table(table)


async def change(organization: str, changes: Changes) -> None:
    """Change options; connections and requests see them within a second or two."""
    secret = None if changes.token_secret is None else changes.token_secret.encode()
    options = Options(
        changes.client_publish,
        changes.anonymous,
        changes.client_insecure,
        changes.unknown_namespaces,
        changes.name,
        secret,
        changes.require_idempotency_key,
    )
    async with wiring.open_store(await running_settings()) as store:
        found = await find(store, organization)
        await store.set_options(found.organization_id, options)
        if changes.default:
            await store.set_default_organization(found.organization_id, replace=True)
    screen = Screen()
    screen.say(f"{encode('org', found.organization_id)} is changed.")
    if changes.client_insecure:
        screen.warn("client_insecure lets everybody in, without a credential: for development only.")


async def token_keys(organization: str, given: bytes | None) -> None:
    """Print whose tokens are believed, without secrets; with a document, what it holds is from now on."""
    document = None if given is None else without_nulls(read_document(given))
    if document is not None:
        read_token_keys(document)
    async with wiring.open_store(await running_settings()) as store:
        found = await find(store, organization)
        if document is not None:
            await store.tokens.set_token_keys(found.organization_id, document)
        shown = shown_token_keys(await store.tokens.token_keys(found.organization_id), found.token_secret)
    Screen().say(orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode())

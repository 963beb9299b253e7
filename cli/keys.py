"""`tidings keys`: make, list and end the API keys of an organization."""

from rich.table import Table

import wiring
from adapters.clock import SystemClock
from cli.installation import running_settings
from cli.organization import find, known
from cli.screen import Screen
from core.auth.scopes import ALL, parse
from core.errors import Code, TidingsError
from core.ids import encode
from core.instants import MICROSECONDS, Instant, format_instant

DAY_S = 86_400


async def create(organization: str, name: str, scopes: list[str], expires_in_days: int) -> None:
    """Make a key and print it, once."""
    wanted = sorted({parse(scope) for scope in scopes} or ALL)
    lifetime = expires_in_days * DAY_S * MICROSECONDS
    expires_at = Instant(SystemClock().now() + lifetime) if expires_in_days else None
    async with wiring.open_store(await running_settings()) as store:
        api_key_id, text = await store.create_key(await find(store, organization), name, wanted, expires_at)
    screen = Screen()
    screen.say(text)
    screen.say(f"{encode('key', api_key_id)} may {', '.join(wanted)}. It is shown this once.")


async def show(organization: str) -> None:
    """Print the keys, newest first."""
    async with wiring.open_store(await running_settings()) as store:
        keys = await store.keys((await find(store, organization)).organization_id)
    table = Table("id", "key", "name", "scopes", "expires", "state")
    for key in keys:
        expires = "never" if key.expires_at is None else format_instant(key.expires_at)
        state = "active" if key.revoked_at is None else "revoked"
        scopes = "everything" if key.scopes >= ALL else ", ".join(sorted(key.scopes))
        table.add_row(encode("key", key.api_key_id), key.shown, key.name, scopes, expires, state)
    Screen().table(table)


async def revoke(organization: str, key: str) -> None:
    """End a key: within a minute on every process that has seen it, at once on others."""
    async with wiring.open_store(await running_settings()) as store:
        owner, api_key_id = await find(store, organization), known("key", key)
        if api_key_id is None or not await store.revoke_key(owner.organization_id, api_key_id):
            raise TidingsError(Code.NOT_FOUND, f"There is no active key {key}: see `tidings keys list`.")
    screen = Screen()
    screen.say(f"{key} is revoked: its sockets end within 2 s.")
    screen.say("A process that has just used it for a request refuses it within 60 s.")

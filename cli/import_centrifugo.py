"""`tidings import centrifugo`: take over the configuration of a Centrifugo installation."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

import orjson
import typer
import yaml
from rich.table import Table
from yarl import URL

import wiring
from adapters.http.addresses import is_public
from adapters.http.backend import endpoint_of
from cli.installation import running_settings
from cli.organization import find
from cli.screen import Screen
from core.auth.principal import Organization
from core.channels.namespace import IN_FORCE_AFTER_S
from core.errors import Code, TidingsError
from core.ids import encode
from core.moving.backends import options_of
from core.moving.plan import Plan, plan_of
from core.moving.source import SAME, TAKEN, UNAVAILABLE
from core.webhooks.signature import read_secret
from settings import Backend, environment, read_variables

STYLES: Final = {TAKEN: "green", SAME: "dim", UNAVAILABLE: "yellow"}


@dataclass(frozen=True, slots=True)
class Choices:
    """How to move. `env_file` holds variables besides those of this shell."""

    organization: str = ""
    env_file: Path | None = None
    reset: bool = False
    confirmed: bool = False
    dry_run: bool = False


async def import_centrifugo(file: Path | None, choices: Choices) -> None:
    """Show what each key becomes, and set it, unless something stands against it.

    Raises:
        TidingsError: something stands against it, and nothing was changed.
    """
    screen, settings = Screen(), await running_settings()
    async with wiring.open_move(settings) as move:
        organization = await find(move.store, choices.organization)
        plan = plan_of(_configuration(file), _variables(choices.env_file), move.types)
        _show(screen, plan)
        endpoints = plan.backend.get("endpoints", {})
        if refusals := (*plan.refusals, *uncallable(endpoints, settings.backend)):
            raise TidingsError(Code.VALIDATION_FAILED, f"nothing was changed. {'; '.join(refusals)}")
        public = encode("org", organization.organization_id)
        is_default = await move.store.default_organization_id() == organization.organization_id
        _warn(screen, plan, public, is_default=is_default)
        for host in closed_hosts(endpoints.values(), settings.backend):
            screen.warn(f"{host} is called only by an installation with TIDINGS_BACKEND_PRIVATE=true.")
        if choices.dry_run:
            screen.say("Nothing was changed.")
            return
        if choices.reset:
            await _reset(screen, move, organization, public, confirmed=choices.confirmed)
        with screen.step("configuration"):
            new_secret = await _configure(move, organization, plan)
            await move.clock.sleep(IN_FORCE_AFTER_S)  # by then nobody goes by what was before
    screen.say(f"{public} is as the configuration says, on every replica.")
    if new_secret:
        screen.say(f"Backend secret  {new_secret}")
        screen.say("It signs the calls to your backend, and is shown this once: see docs/backend.md.")


async def _configure(move: wiring.Move, organization: Organization, plan: Plan) -> str:
    """Set what the plan says, and return the secret of its backend if it is a new one."""
    backend, new_secret = None, ""
    if plan.backend:
        before = await move.backends.find(organization.organization_id)
        has_secret = before is not None and before.secret != ""
        secret = read_secret(before.secret) if before is not None and has_secret else move.entropy.token(32)
        backend = options_of(plan.backend, secret)
        new_secret = "" if has_secret else backend.secret
    await move.mover.configure(organization.organization_id, plan, backend)
    return new_secret


async def _reset(
    screen: Screen, move: wiring.Move, organization: Organization, public: str, *, confirmed: bool
) -> None:
    if not confirmed:
        typer.confirm(f"Delete all channels and publications of {public} ({organization.name})?", abort=True)
    with screen.step("channels and publications"):
        await move.mover.reset(organization.organization_id)


def _configuration(file: Path | None) -> Mapping[str, Any]:
    if file is None:
        return {}
    raw = file.read_bytes()
    try:
        match file.suffix.lower():
            case ".toml":
                found: Any = tomllib.loads(raw.decode())
            case ".yaml" | ".yml":
                found = yaml.safe_load(raw)
            case _:
                found = orjson.loads(raw)
    except (ValueError, yaml.YAMLError) as error:
        raise TidingsError(Code.MALFORMED_REQUEST, f"{file} can't be read: {error}") from None
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise TidingsError(Code.MALFORMED_REQUEST, f"{file} holds no configuration.")
    return found


def _variables(file: Path | None) -> dict[str, str]:
    return environment() | ({} if file is None else read_variables(file))


def _show(screen: Screen, plan: Plan) -> None:
    table = Table("key", "what becomes of it", "why")
    for row in plan.rows:
        table.add_row(row.key, f"[{STYLES[row.verdict]}]{row.verdict}[/]", row.why)
    screen.table(table)
    counts = [f"{sum(row.verdict == verdict for row in plan.rows)} {verdict}" for verdict in STYLES]
    screen.say(", ".join(counts) + ".")


def uncallable(endpoints: Mapping[str, str], settings: Backend) -> list[str]:
    """Return a sentence for each URL that no installation would call. It may hold a password: not shown."""
    open_to_all = settings.model_copy(update={"private": True})
    return [
        f"the endpoint for {event}: no call can go to such a URL (docs/backend.md)"
        for event, url in endpoints.items()
        if endpoint_of(url, open_to_all) is None
    ]


def closed_hosts(urls: Iterable[str], settings: Backend) -> list[str]:
    """Return the hosts that are called only where `TIDINGS_BACKEND_PRIVATE` is on, and it is off.

    To what address a name leads is seen by calls alone.
    """
    found = (URL(url) for url in urls)
    closed = (url.host or "" for url in found if url.scheme == "http" or _is_private(url.host or ""))
    return [] if settings.private else list(dict.fromkeys(closed))


def _is_private(host: str) -> bool:
    try:
        return not is_public(str(ip_address(host)))
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _warn(screen: Screen, plan: Plan, public: str, *, is_default: bool) -> None:
    if plan.client_insecure:
        screen.warn("client.insecure lets everybody in, without a credential: for development only.")
    if plan.server_api.is_open and is_default:
        screen.warn("http_api.insecure lets everybody use /api, without a key: keep others away from it.")
    if plan.server_api.is_open and not is_default:
        screen.warn("http_api.insecure counts for the default organization alone, which this is not.")
    if not is_default:
        screen.warn(
            "Centrifugo's tokens name no organization: who brings one comes to the default organization, "
            f"which this is not. `tidings orgs set -o {public} --default` makes it the default."
        )

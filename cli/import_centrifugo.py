"""`tidings import centrifugo`: take over the configuration of a Centrifugo installation."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
import typer
import yaml
from rich.table import Table

import wiring
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
from settings import Settings, environment, read_variables

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
        if plan.refusals:
            raise TidingsError(Code.VALIDATION_FAILED, f"nothing was changed. {_sentences(plan.refusals)}")
        if choices.dry_run:
            screen.say("Nothing was changed.")
            return
        public = encode("org", organization.organization_id)
        if choices.reset:
            await _reset(screen, move, organization, public, confirmed=choices.confirmed)
        with screen.step("configuration"):
            await _configure(move, organization, plan)
            await move.clock.sleep(IN_FORCE_AFTER_S)  # by then nobody goes by what was before
    screen.say(f"{public} is as the configuration says, on every replica.")
    _warn(screen, plan, is_default=await _is_default(settings, organization))


async def _configure(move: wiring.Move, organization: Organization, plan: Plan) -> None:
    backend = None
    if plan.backend:
        before = await move.backends.find(organization.organization_id)
        has_secret = before is not None and before.secret != ""
        secret = read_secret(before.secret) if before is not None and has_secret else move.entropy.token(32)
        backend = options_of(plan.backend, secret)
    await move.mover.configure(organization.organization_id, plan, backend)


async def _reset(
    screen: Screen, move: wiring.Move, organization: Organization, public: str, *, confirmed: bool
) -> None:
    if not confirmed:
        typer.confirm(f"Delete all channels and publications of {public} ({organization.name})?", abort=True)
    with screen.step("channels and publications"):
        await move.mover.reset(organization.organization_id)


async def _is_default(settings: Settings, organization: Organization) -> bool:
    async with wiring.open_store(settings) as store:
        return await store.default_organization_id() == organization.organization_id


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


def _sentences(refusals: tuple[str, ...]) -> str:
    return "; ".join(refusals)


def _warn(screen: Screen, plan: Plan, *, is_default: bool) -> None:
    if plan.client_insecure:
        screen.warn("client.insecure lets everybody in, without a credential: for development only.")
    if plan.server_api.is_open and is_default:
        screen.warn("http_api.insecure lets everybody use /api, without a key: keep others away from it.")
    if plan.server_api.is_open and not is_default:
        screen.warn("http_api.insecure counts for the default organization alone, which this is not.")
    if plan.backend:
        screen.warn("A backend at a private address, or over http, needs TIDINGS_BACKEND_PRIVATE=true.")

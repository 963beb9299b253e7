"""The command `tidings`: parses, and leaves the rest to the verb's own file, imported when it is wanted."""

# ruff: noqa: PLC0415  (each verb loads only what it needs: `tidings --help` answers at once)

from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer(name="tidings", pretty_exceptions_enable=False, add_completion=False, no_args_is_help=True)
keys_app = typer.Typer(no_args_is_help=True, help="Make, list and end API keys.")
orgs_app = typer.Typer(no_args_is_help=True, help="Make, list and set up organizations.")
import_app = typer.Typer(no_args_is_help=True, help="Move here from another system.")
app.add_typer(keys_app, name="keys")
app.add_typer(orgs_app, name="orgs")
app.add_typer(import_app, name="import")

Organization = Annotated[
    str, typer.Option("--organization", "-o", help="Its id; the installation's default when left out.")
]


@app.callback()
def tidings() -> None:
    """One durable, ordered event log per organization, delivered over REST, WebSocket and SSE."""


@app.command()
def up(
    *,
    single_process: Annotated[
        bool, typer.Option("--single-process", help="One process without Ray: small, quick to start.")
    ] = False,
) -> None:
    """Start the whole system on this machine and keep it running until Ctrl-C."""
    from cli.up import up as run

    raise typer.Exit(run(single_process=single_process))


@app.command()
def status() -> None:
    """Show what runs where, and where each partition of the log stands."""
    from cli.status import status as work
    from cli.verb import run

    run(work())


@app.command()
def doctor() -> None:
    """Look at everything that is usually wrong, and say what to do about it."""
    from cli.doctor import doctor as work
    from cli.verb import run

    run(work())


@app.command()
def migrate() -> None:
    """Bring the database to this release's schema."""
    from cli.migrate import migrate as work
    from cli.verb import run

    run(work())


@app.command()
def deploy(
    env_file: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="NAME=value lines for the environment.")
    ] = None,
) -> None:
    """Start or update Tidings on a Ray cluster: migrate, owners, Serve. Safe to run again."""
    from settings import load_environment

    if env_file is not None:
        load_environment(env_file)  # before Ray is imported: it reads its flags then
    from cli.deploy import deploy as work
    from cli.verb import attempt

    attempt(work)


@app.command()
def tail(
    channel: str,
    since: Annotated[int | None, typer.Option(min=0, help="Begin after this offset, not now.")] = None,
) -> None:
    """Print a channel's publications as they come, until Ctrl-C."""
    from cli.tail import tail as work
    from cli.verb import run

    run(work(channel, since))


@app.command()
def publish(channel: str, data: Annotated[str, typer.Argument(metavar="JSON")]) -> None:
    """Publish JSON to a channel, and print where it stands."""
    from cli.publish import publish as work
    from cli.verb import run

    run(work(channel, data))


@app.command()
def seed(
    rooms: Annotated[int, typer.Option(min=1, max=10_000)] = 20,
    messages: Annotated[int, typer.Option(min=1, max=1_000_000)] = 2_000,
) -> None:
    """Fill the first organization with a chat to try things on."""
    from cli.seed import seed as work
    from cli.verb import run

    run(work(rooms, messages))


@keys_app.command("create")
def keys_create(
    name: Annotated[str, typer.Argument(help="What it is for.")] = "made by the command line",
    organization: Organization = "",
    scope: Annotated[
        list[str] | None, typer.Option(help="May be given several times; everything when left out.")
    ] = None,
    expires_in_days: Annotated[int, typer.Option(min=0, max=3_650, help="0: never.")] = 0,
) -> None:
    """Make an API key and print it, once."""
    from cli.keys import create
    from cli.verb import run

    run(create(organization, name, scope or [], expires_in_days))


@keys_app.command("list")
def keys_list(organization: Organization = "") -> None:
    """Print an organization's keys."""
    from cli.keys import show
    from cli.verb import run

    run(show(organization))


@keys_app.command("revoke")
def keys_revoke(
    key: Annotated[str, typer.Argument(help="Its id, key_….")], organization: Organization = ""
) -> None:
    """End an API key."""
    from cli.keys import revoke
    from cli.verb import run

    run(revoke(organization, key))


@orgs_app.command("create")
def orgs_create(name: str, environment: Annotated[Literal["live", "test"], typer.Option()] = "live") -> None:
    """Make an organization with a key for everything."""
    from cli.orgs import create
    from cli.verb import run

    run(create(name, environment))


@orgs_app.command("list")
def orgs_list() -> None:
    """Print all organizations."""
    from cli.orgs import show
    from cli.verb import run

    run(show())


@orgs_app.command("set")
def orgs_set(
    organization: Organization = "",
    *,
    name: Annotated[str | None, typer.Option()] = None,
    client_publish: Annotated[
        bool | None, typer.Option(help="Users with a connection token may publish.")
    ] = None,
    anonymous: Annotated[bool | None, typer.Option(help="Connections without a credential.")] = None,
    client_insecure: Annotated[
        bool | None, typer.Option(help="Everybody may do nearly everything: development.")
    ] = None,
    unknown_namespaces: Annotated[Literal["allow", "refuse"] | None, typer.Option()] = None,
    token_secret: Annotated[str | None, typer.Option(help="Signs connection tokens (HS256).")] = None,
    require_idempotency_key: Annotated[
        bool | None, typer.Option(help="A write over REST without a key is refused.")
    ] = None,
    default: Annotated[bool, typer.Option("--default", help="Make it the installation's default.")] = False,
) -> None:
    """Change an organization's options; those left out stay."""
    from cli.orgs import Changes, change
    from cli.verb import run

    changes = Changes(
        name,
        client_publish,
        anonymous,
        client_insecure,
        unknown_namespaces,
        token_secret,
        require_idempotency_key,
        default,
    )
    run(change(organization, changes))


@orgs_app.command("token-keys")
def orgs_token_keys(
    file: Annotated[
        Path | None, typer.Argument(help="JSON with the keys from now on; those shown when left out.")
    ] = None,
    organization: Organization = "",
) -> None:
    """Print or set the keys of another system whose tokens are believed (docs/tokens.md)."""
    from cli.orgs import token_keys
    from cli.verb import attempt, run

    run(token_keys(organization, None if file is None else attempt(file.read_bytes)))


@import_app.callback()
def import_() -> None:
    """Move here from another system."""


@import_app.command("centrifugo")
def import_centrifugo(
    file: Annotated[
        Path | None,
        typer.Argument(dir_okay=False, help="JSON, YAML or TOML; its environment alone when left out."),
    ] = None,
    organization: Organization = "",
    env_file: Annotated[
        Path | None, typer.Option(dir_okay=False, help="NAME=value lines of its environment.")
    ] = None,
    *,
    reset: Annotated[
        bool, typer.Option("--reset", help="First delete the organization's channels and publications.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask before that.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would become of it.")] = False,
) -> None:
    """Take over a configuration of Centrifugo, wholly (docs/moving-from-centrifugo.md)."""
    from cli.import_centrifugo import Choices
    from cli.import_centrifugo import import_centrifugo as work
    from cli.verb import run

    choices = Choices(organization, env_file, reset, yes, dry_run)
    run(work(file, choices))


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()

"""The command `tidings`: parses, and leaves the rest to the verb's own file.

Imported only when it is wanted.
"""

from typing import Annotated

import typer

app = typer.Typer(
    name="tidings",
    help="One durable, ordered event log per organization, delivered over REST, WebSocket and SSE.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback()
def tidings() -> None:
    """One durable, ordered event log per organization."""


@app.command()
def up(
    *,
    single_process: Annotated[
        bool, typer.Option("--single-process", help="One process without Ray: small, quick to start.")
    ] = False,
) -> None:
    """Start the whole system on this machine and keep it running until Ctrl-C."""
    from cli.up import up as run  # noqa: PLC0415 (each verb loads only what it needs)

    raise typer.Exit(run(single_process=single_process))


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()

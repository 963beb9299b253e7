"""Finds the installation that a command is about: its settings, its database, its first key."""

import json
from dataclasses import dataclass
from pathlib import Path

import typer

from adapters.embedded.folder import DataFolder
from cli.screen import Screen
from settings import Settings


@dataclass(frozen=True, slots=True)
class Access:
    """What `cli.json` says: how to call the API."""

    url: str
    organization: str
    api_key: str
    token_secret: str


def absolute(settings: Settings) -> Settings:
    """Return the settings with their folders made absolute, so that they mean the same in every process."""
    where = settings.installation
    paths = {"data_dir": where.data_dir.resolve(), "schemas_dir": where.schemas_dir.resolve()}
    return settings.model_copy(update={"installation": where.model_copy(update=paths)})


def with_addresses(settings: Settings, database_url: str, redis_url: str) -> Settings:
    """Return the settings with the addresses of what was started."""
    where = settings.installation.model_copy(update={"database_url": database_url, "redis_url": redis_url})
    return settings.model_copy(update={"installation": where})


def running_settings() -> Settings:
    """Return the settings with the database that `DATABASE_URL` or a running `tidings up` names.

    Or exit with 1.
    """
    settings = absolute(Settings())
    if settings.installation.database_url:
        return settings
    folder = DataFolder(settings.installation.data_dir)
    try:
        url = folder.database_url_file.read_text().strip()
    except OSError:
        Screen().fail(
            f"no database: nothing runs on {folder.root}. Start `make up`, set TIDINGS_DATA_DIR to the "
            "folder of one that runs, or set DATABASE_URL."
        )
        raise typer.Exit(1) from None
    return with_addresses(settings, url, settings.installation.redis_url)


def access() -> Access:
    """Return how to call the API, or exit with 1."""
    folder = DataFolder(absolute(Settings()).installation.data_dir)
    try:
        written = json.loads(folder.cli_file.read_text())
        return Access(**written)
    except (OSError, ValueError, TypeError):
        Screen().fail(
            f"{folder.cli_file} can't be read: start `make up` first, or set TIDINGS_DATA_DIR to the "
            "folder of one that ran."
        )
        raise typer.Exit(1) from None


def edge_dir() -> Path:
    """Return the folder of the edge's configuration, which stands beside this package."""
    return Path(__file__).resolve().parents[1] / "edge"

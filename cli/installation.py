"""Finds the installation that a command is about: its settings, its database, its first key."""

import json
from dataclasses import dataclass
from pathlib import Path

from adapters.embedded.errors import StartError
from adapters.embedded.folder import DataFolder
from cli.stores import SilentError, reach_database
from settings import Settings, read_settings


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


def variables(settings: Settings) -> dict[str, str]:
    """Return the variables that make another process see the same installation."""
    where = settings.installation
    return {
        "TIDINGS_DATA_DIR": str(where.data_dir),
        "TIDINGS_SCHEMAS_DIR": str(where.schemas_dir),
        "TIDINGS_HOST": where.host,
        "TIDINGS_PORT": str(where.port),
        "TIDINGS_BIND": where.bind,
        "DATABASE_URL": where.database_url,
        "REDIS_URL": where.redis_url,
    }


async def running_settings() -> Settings:
    """Return the settings of the installation that DATABASE_URL or a running `tidings up` names.

    What `up` was started with wins over this shell's variables, but for a DATABASE_URL that is another one.

    Raises:
        SettingsError: a variable can't be used.
        StartError: there is no database, or it does not answer.
    """
    settings = absolute(read_settings())
    where = settings.installation
    noted = DataFolder(where.data_dir).running()
    if where.database_url and where.database_url != noted.get("DATABASE_URL"):
        await reach_database(where.database_url)
        return settings
    if not noted:
        raise StartError(
            f"no database: nothing runs on {where.data_dir}. Start `make up`, set TIDINGS_DATA_DIR to the "
            "folder of one that runs, or set DATABASE_URL."
        )
    found = {
        "schemas_dir": Path(noted["TIDINGS_SCHEMAS_DIR"]),
        "host": noted["TIDINGS_HOST"],
        "port": int(noted["TIDINGS_PORT"]),
        "bind": noted["TIDINGS_BIND"],
        "database_url": noted["DATABASE_URL"],
        "redis_url": noted["REDIS_URL"],
    }
    try:
        await reach_database(noted["DATABASE_URL"])
    except SilentError as error:
        raise SilentError(
            f"the database of the `tidings up` on {where.data_dir} does not answer: start `make up` again, "
            "or ask `tidings doctor`."
        ) from error
    return settings.model_copy(update={"installation": where.model_copy(update=found)})


def access() -> Access:
    """Return how to call the API.

    Raises:
        SettingsError: a variable can't be used.
        StartError: no `tidings up` has written it down.
    """
    folder = DataFolder(absolute(read_settings()).installation.data_dir)
    try:
        written = json.loads(folder.cli_file.read_text())
        return Access(**written)
    except (OSError, ValueError, TypeError):
        raise StartError(
            f"{folder.cli_file} can't be read: start `make up` first, or set TIDINGS_DATA_DIR to the "
            "folder of one that ran."
        ) from None


def edge_dir() -> Path:
    """Return the folder of the edge's configuration, which stands beside this package."""
    return Path(__file__).resolve().parents[1] / "edge"

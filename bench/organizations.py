"""Other organizations, each with a key, made directly in the database as the command line does."""

import asyncio
from pathlib import Path

import wiring
from adapters.embedded.folder import DataFolder
from core.auth.principal import Organization
from settings import Settings

NAME = "bench"
SCOPES = ("channels:read", "channels:write")


def keys_of_others(data_dir: Path, count: int) -> list[str]:
    """Return keys of `count` organizations other than the first one, made where they are missing."""
    return asyncio.run(_keys(data_dir.resolve(), count))


async def _keys(data_dir: Path, count: int) -> list[str]:
    settings = Settings()
    url = settings.installation.database_url or DataFolder(data_dir).database_url_file.read_text().strip()
    where = settings.installation.model_copy(update={"data_dir": data_dir, "database_url": url})
    async with wiring.open_store(settings.model_copy(update={"installation": where})) as store:
        others: list[Organization] = [one for one in await store.organizations() if one.name == NAME][:count]
        while len(others) < count:
            others.append(await store.create_organization(NAME, "test"))
        return [(await store.create_key(one, NAME, SCOPES))[1] for one in others]

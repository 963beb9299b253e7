"""The cache: it answers, or it is said in bounded time that it does not."""

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.embedded.valkey import valkey
from adapters.redis import client
from adapters.redis.client import Cache, CacheError
from tests.helpers.loop import run


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a folder whose name is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="tidings-") as name:
        yield Path(name)


def test_a_server_that_is_there_answers(folder: Path) -> None:
    async def scenario() -> None:
        program = valkey(folder, folder)
        cache = Cache.open(f"unix://{folder / 'valkey.sock'}")
        program.start()
        try:
            async with asyncio.timeout(10):
                while True:
                    try:
                        await cache.ping()
                        break
                    except CacheError:
                        await asyncio.sleep(0.02)
        finally:
            await cache.close()
            await program.stop()

    run(scenario())


def test_a_server_that_is_not_there_is_told_when_it_is_needed(folder: Path) -> None:
    async def scenario() -> None:
        cache = Cache.open(f"unix://{folder / 'valkey.sock'}")
        with pytest.raises(CacheError):
            await cache.ping()
        await cache.close()

    run(scenario())


def test_a_server_that_does_not_answer_is_given_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        server = await asyncio.start_unix_server(silent, folder / "silent.sock")
        cache = Cache.open(f"unix://{folder / 'silent.sock'}")
        with pytest.raises(CacheError):
            await asyncio.wait_for(cache.ping(), 5)
        await cache.close()
        server.close()

    assert client.TIMEOUT_S <= 2
    monkeypatch.setattr(client, "TIMEOUT_S", 0.2)
    run(scenario())

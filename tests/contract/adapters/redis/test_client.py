"""The cache: it answers, or it is said in bounded time that it does not."""

import asyncio
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.embedded.valkey import valkey
from adapters.redis import client
from adapters.redis.client import Cache, CacheError
from adapters.redis.scripts import call
from tests.helpers.cache import cache_of, cache_server
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


def test_commands_sent_together_are_answered_together() -> None:
    async def scenario() -> None:
        async with cache_server() as server, cache_of(server) as cache:
            told = await cache.run([("SET", "k", b"\x00v"), ("GET", "k"), ("INCR", "n"), ("GET", "none")])
            assert told == [b"OK", b"\x00v", 1, None]

    run(scenario())


def test_after_a_refusal_the_next_call_gets_its_own_answer() -> None:
    async def scenario() -> None:
        async with cache_server() as server, cache_of(server) as cache:
            line = cache.line()
            for run_ in (cache.run, lambda commands: line.run(commands, 1.0)):
                with pytest.raises(CacheError):
                    await run_([("SET", "k", "v"), ("NO", "SUCH"), ("GET", "k")])
                assert await run_([("ECHO", "x")]) == [b"x"]
            await line.close()

    run(scenario())


def test_more_callers_than_connections_wait_for_their_turn() -> None:
    async def scenario() -> None:
        async with cache_server() as server, cache_of(server) as cache:
            told = await asyncio.gather(*(cache.run([("ECHO", str(number))]) for number in range(100)))
            assert told == [[str(number).encode()] for number in range(100)]
            clients = (await cache.run([("CLIENT", "LIST")]))[0].splitlines()
            assert len(clients) <= client.CONNECTIONS_MAX

    run(scenario())


def test_a_line_knows_the_scripts_on_every_new_connection() -> None:
    async def scenario() -> None:
        async with cache_server() as server, cache_of(server) as cache:
            line = cache.line()
            asked = [call("swept", ("a", "b"), "tag")]
            assert await line.run(asked, 1.0) == [0]
            await server.ask("SCRIPT", "FLUSH")
            with pytest.raises(CacheError):  # what stood before and after it would not be in order
                await line.run(asked, 1.0)
            assert await line.run(asked, 1.0) == [0]
            await server.program.stop()
            with pytest.raises(CacheError):
                await line.run(asked, 1.0)
            await server.start()
            assert await line.run(asked, 1.0) == [0]
            await line.close()

    run(scenario())


def test_a_line_gives_up_in_the_time_that_it_is_given() -> None:
    async def scenario() -> None:
        async with cache_server() as server, cache_of(server) as cache:
            line = cache.line()
            await line.run([("PING",)], 1.0)
            server.pause()
            began = time.monotonic()
            with pytest.raises(CacheError):
                await line.run([("PING",)], 0.2)
            assert time.monotonic() - began < 1
            server.go_on()
            assert await line.run([("ECHO", "mine")], 1.0) == [b"mine"]
            await line.close()

    run(scenario())


def test_an_ear_hears_what_is_published_after_it_opened_however_quiet_it_was() -> None:
    async def scenario() -> None:
        async with cache_server() as server, cache_of(server) as cache:
            ear = client.Ear(cache._pool.make_connection(), "here", 0.1)  # noqa: SLF001 (so that it asks soon)
            await ear.open()
            await cache.run(
                [("PUBLISH", "here", b"\x001"), ("PUBLISH", "there", "x"), ("PUBLISH", "here", "2")]
            )
            assert [await ear.hear(), await ear.hear()] == [b"\x001", b"2"]
            waiting = asyncio.ensure_future(ear.hear())
            await asyncio.sleep(0.5)
            await cache.run([("PUBLISH", "here", "3")])
            assert await waiting == b"3"
            await ear.close()

    run(scenario())


def test_an_ear_whose_server_has_stopped_or_hangs_says_so() -> None:
    async def scenario() -> None:
        async with cache_server() as server, cache_of(server) as cache:
            ear = client.Ear(cache._pool.make_connection(), "here", 0.1)  # noqa: SLF001 (so that it asks soon)
            await ear.open()
            server.pause()
            with pytest.raises(CacheError):
                await asyncio.wait_for(ear.hear(), 2)
            server.go_on()
            await ear.open()
            await server.program.stop()
            with pytest.raises(CacheError):
                await asyncio.wait_for(ear.hear(), 2)
            with pytest.raises(CacheError):
                await ear.open()
            await ear.close()

    run(scenario())

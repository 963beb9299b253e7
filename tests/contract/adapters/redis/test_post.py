"""Letters between replicas: taken by the one that is named, answered in time, and refused past a limit."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from adapters.clock import SystemClock
from adapters.redis.client import Cache
from adapters.redis.post import Post
from core.errors import Code, TidingsError
from settings import Realtime
from tests.helpers.cache import Server, cache_of, cache_server
from tests.helpers.eventually import eventually
from tests.helpers.loop import run


class Sessions:
    """A replica's sessions, and what they were sent."""

    def __init__(self, *names: str) -> None:
        self.got: dict[str, list[bytes]] = {name: [] for name in names}
        self.gate = asyncio.Event()
        self.gate.set()

    async def receive(self, session: str, data: bytes) -> bool:
        await self.gate.wait()
        if session == "full":
            raise TidingsError(Code.CAPACITY_REDUCED)
        if session not in self.got:
            return False
        self.got[session].append(data)
        return True


@asynccontextmanager
async def post_of(cache: Cache, node: str, sessions: Sessions, **settings: Any) -> AsyncIterator[Post]:
    post = Post(cache, node, Realtime(**{"forward_s": 1.0, **settings}), SystemClock())
    await post.open(sessions.receive)
    try:
        await until_heard(cache, node)
        yield post
    finally:
        await post.close()


async def until_heard(cache: Cache, node: str) -> None:
    async with asyncio.timeout(5):
        asked = [("PUBSUB", "NUMSUB", f"tidings:post:{node}")]
        while (await cache.run(asked))[0][1] == 0:  # noqa: ASYNC110 (another process would hold it)
            await asyncio.sleep(0.01)


@asynccontextmanager
async def two_posts(**settings: Any) -> AsyncIterator[tuple[Server, Post, Sessions]]:
    """Give a replica `a` that sends, and the sessions of a replica `b`."""
    async with cache_server() as server, cache_of(server) as cache:
        theirs = Sessions("s1", "s2")
        async with (
            post_of(cache, "a", Sessions(), **settings) as post,
            post_of(cache, "b", theirs, **settings),
        ):
            yield server, post, theirs


async def refusal_of(post: Post, session: str = "s1", node: str = "b") -> Code:
    with pytest.raises(TidingsError) as raised:
        await post.deliver(node, session, b"x")
    return raised.value.code


def test_a_session_gets_what_is_sent_to_it_and_nobody_else() -> None:
    async def scenario() -> None:
        async with two_posts() as (_, post, theirs):
            assert await post.deliver("b", "s1", b"\x00 1\n2")
            assert theirs.got == {"s1": [b"\x00 1\n2"], "s2": []}
            told = await asyncio.gather(*(post.deliver("b", "s2", str(n).encode()) for n in range(200)))
            assert all(told)
            assert sorted(theirs.got["s2"]) == sorted(str(n).encode() for n in range(200))

    run(scenario())


def test_an_unknown_replica_and_an_unknown_session_are_told_at_once() -> None:
    async def scenario() -> None:
        async with two_posts(forward_s=30) as (_, post, _theirs):
            began = time.monotonic()
            assert not await post.deliver("c", "s1", b"x")
            assert not await post.deliver("b", "s3", b"x")
            assert time.monotonic() - began < 2

    run(scenario())


def test_what_the_other_replica_refuses_is_refused_here() -> None:
    async def scenario() -> None:
        async with two_posts() as (_, post, _theirs):
            assert await refusal_of(post, "full") is Code.CAPACITY_REDUCED

    run(scenario())


def test_nobody_waits_longer_than_the_setting_says() -> None:
    async def scenario() -> None:
        async with two_posts(forward_s=0.2) as (_, post, theirs):
            theirs.gate.clear()
            began = time.monotonic()
            assert await refusal_of(post) is Code.UNAVAILABLE
            assert 0.1 < time.monotonic() - began < 2
            theirs.gate.set()
            assert await eventually(lambda: bool(theirs.got["s1"]), within_s=2)
            assert await post.deliver("b", "s1", b"next"), "a late answer is nobody's"

    run(scenario())


def test_past_the_limit_letters_are_refused_on_either_side() -> None:
    async def scenario() -> None:
        async with two_posts(forwarded_max=3) as (server, post, theirs):
            theirs.gate.clear()
            waiting = [asyncio.ensure_future(post.deliver("b", "s1", b"x")) for _ in range(3)]
            await asyncio.sleep(0)
            assert await refusal_of(post) is Code.CAPACITY_REDUCED
            async with cache_of(server) as cache, post_of(cache, "c", Sessions()) as third:
                assert await refusal_of(third) is Code.CAPACITY_REDUCED
            theirs.gate.set()
            assert await asyncio.gather(*waiting) == [True] * 3
            assert await post.deliver("b", "s1", b"x")

    run(scenario())


def test_letters_arrive_again_after_the_cache_was_away() -> None:
    async def scenario() -> None:
        async with two_posts() as (server, post, theirs):
            await server.program.stop()
            assert await refusal_of(post) is Code.UNAVAILABLE
            await server.start()
            async with cache_of(server) as cache:
                for node in ("a", "b"):
                    await until_heard(cache, node)
            assert await post.deliver("b", "s1", b"again")
            await server.ask("CLIENT", "KILL", "TYPE", "pubsub")
            async with cache_of(server) as cache:
                for node in ("a", "b"):
                    await until_heard(cache, node)
            assert await post.deliver("b", "s1", b"and again")
            assert theirs.got["s1"] == [b"again", b"and again"]

    run(scenario())


def test_a_replica_that_closes_is_unknown() -> None:
    async def scenario() -> None:
        async with (
            cache_server() as server,
            cache_of(server) as cache,
            post_of(cache, "a", Sessions()) as post,
        ):
            async with post_of(cache, "b", Sessions("s1")):
                assert await post.deliver("b", "s1", b"x")
            assert not await post.deliver("b", "s1", b"x")


def test_what_nobody_understands_is_passed_over() -> None:
    async def scenario() -> None:
        async with two_posts() as (server, post, _theirs):
            for node in ("a", "b"):
                await server.ask("PUBLISH", f"tidings:post:{node}", "\x00odd")
            assert await post.deliver("b", "s1", b"x")

    run(scenario())

"""Replicas tell of themselves, and who is silent is forgotten."""

import pytest

from adapters.clock import SystemClock
from adapters.redis.nodes import SILENCE_S, Counts, NodeBoard
from core.errors import Code, TidingsError
from core.instants import Instant
from tests.helpers.cache import cache_of, cache_server
from tests.helpers.loop import run

ORG, OTHER = b"o" * 16, b"x" * 16


class MovedClock(SystemClock):
    """Tells the time that the test sets."""

    def __init__(self) -> None:
        self.at = Instant(1_000_000_000)

    def now(self) -> Instant:
        return self.at

    def advance(self, seconds: int) -> None:
        self.at = Instant(self.at + seconds * 1_000_000)


FEW, MANY = Counts(1, 1, 1, 1), Counts(9, 8, 7, 6)


def test_each_organization_sees_its_own_share_of_each_replica() -> None:
    async def scenario() -> None:
        async with cache_server() as server, cache_of(server) as cache:
            clock = MovedClock()
            board = NodeBoard(cache, clock)
            await board.tell("n2", "two", clock.now(), {ORG: MANY})
            await board.tell("n1", "one", Instant(clock.now() - 5_000_000), {ORG: FEW, OTHER: MANY})
            await board.tell("n1", "one", Instant(clock.now() - 5_000_000), {})
            one, two = await board.nodes(ORG)
            assert (one.uid, one.name, one.uptime_s, one.counts) == ("n1", "one", 5, FEW)
            assert (two.uid, two.counts) == ("n2", MANY)
            assert [node.counts for node in await board.nodes(OTHER)] == [MANY]
            assert await board.nodes(b"z" * 16) == []
            await board.leave("n1", [ORG])
            assert [node.uid for node in await board.nodes(ORG)] == ["n2"]
            assert len(await server.keys()) == 2

    run(scenario())


def test_a_replica_that_is_silent_is_not_shown() -> None:
    async def scenario() -> None:
        async with cache_server() as server, cache_of(server) as cache:
            clock = MovedClock()
            board = NodeBoard(cache, clock)
            await board.tell("n1", "one", clock.now(), {ORG: FEW})
            clock.advance(SILENCE_S - 1)
            assert len(await board.nodes(ORG)) == 1
            clock.advance(2)
            assert await board.nodes(ORG) == []
            (key,) = await server.keys()
            assert 0 < await server.ask("TTL", key) <= 2 * SILENCE_S

    run(scenario())


def test_a_cache_that_does_not_answer_makes_it_unavailable() -> None:
    async def scenario() -> None:
        async with cache_server() as server, cache_of(server) as cache:
            await server.program.stop()
            with pytest.raises(TidingsError) as caught:
                await NodeBoard(cache, MovedClock()).nodes(ORG)
            assert caught.value.code is Code.UNAVAILABLE

    run(scenario())

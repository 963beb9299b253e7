"""What a replica tells of itself to those who look at an installation."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from adapters.redis.client import Cache
from adapters.redis.nodes import SILENCE_S, Counts, NodeBoard
from gateway.realtime.clients import Clients
from gateway.realtime.telling import TELL_S, Telling
from tests.helpers.cache import cache_of, cache_server
from tests.helpers.loop import run
from tests.helpers.memory_log import ORG, MemoryLog
from tests.helpers.replica import MemoryReplica, answer_all, connected, say, turns


@contextmanager
def told_by(replica: MemoryReplica, cache: Cache) -> Iterator[tuple[Telling, NodeBoard]]:
    clients: Clients = replica.clients
    board = NodeBoard(cache, replica.clock)
    yield Telling(board, "0123456789abcdef", clients, replica.clock), board


def test_a_replica_tells_how_much_of_each_organization_it_has_and_takes_it_back() -> None:
    async def scenario() -> None:
        async with cache_server() as server, cache_of(server) as cache:
            log = MemoryLog()
            replica, client, _ = await connected(log)
            say(client, {"subscribe": {"channel": "a"}}, {"subscribe": {"channel": "b"}})
            await answer_all(log)
            with told_by(replica, cache) as (teller, board):
                assert await board.nodes(ORG) == []
                await teller.tell()
                (node,) = await board.nodes(ORG)
                assert (node.uid, node.name) == ("0123456789abcdef", "realtime_01234567")
                assert node.counts == Counts(1, 1, 2, 2)
                assert await board.nodes(b"x" * 16) == []
                await teller.close()
                assert await board.nodes(ORG) == []
            await replica.tasks.close()

    run(scenario())


def test_it_is_told_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with cache_server() as server, cache_of(server) as cache:
            replica, client, _ = await connected(MemoryLog())
            with told_by(replica, cache) as (teller, board):
                told: list[Any] = []

                async def note() -> None:
                    told.append(await board.nodes(ORG))

                monkeypatch.setattr(teller, "tell", note)
                task = replica.tasks.spawn("telling", teller.run())
                for count in (1, 2):
                    await turns(3)
                    replica.clock.gate.open_all()
                    while len(told) < count:
                        await turns(1)
                task.cancel()
            client.lost()
            await replica.tasks.close()

    run(scenario())


def test_a_cache_that_is_away_stops_nobody() -> None:
    async def scenario() -> None:
        cache = Cache.open("unix:///nowhere.sock")
        replica, _, _ = await connected(MemoryLog())
        with told_by(replica, cache) as (teller, _board):
            await teller.tell()
            await teller.close()
        await cache.close()
        await replica.tasks.close()

    run(scenario())


def test_it_is_told_before_the_last_time_is_forgotten() -> None:
    assert 2 * TELL_S < SILENCE_S

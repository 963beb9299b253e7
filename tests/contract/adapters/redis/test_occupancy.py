"""One at a time tells what holds, never the same twice in a row, and never too soon."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from adapters.clock import SystemClock
from adapters.redis.client import CacheError
from adapters.redis.occupancy import Claim, OccupancyBoard
from adapters.redis.presence import PresenceReader
from core.channels.occupancy import Level, Watched
from settings import Presence
from tests.helpers.cache import Server, cache_of, cache_server
from tests.helpers.loop import run
from tests.helpers.rosters import ORG, OTHER, QUICK, Crowd, becomes, crowd_of

NEWS, THEIRS = (ORG, "news"), (OTHER, "news")
NOTHING = Claim(0, None)
LONG_MS = 60_000


@asynccontextmanager
async def board_of(server: Server) -> AsyncIterator[OccupancyBoard]:
    async with cache_of(server) as cache:
        board = OccupancyBoard(cache, PresenceReader(cache, Presence(**QUICK), SystemClock()))
        try:
            yield board
        finally:
            await board.close()


async def claim(
    board: OccupancyBoard,
    holder: str = "h1",
    watched: Watched = NEWS,
    *,
    interval_ms: int = 1,
    held_ms: int = LONG_MS,
) -> Claim:
    return (await board.claim(holder, [watched], interval_ms=interval_ms, held_ms=held_ms))[0]


async def filled(crowd: Crowd, count: int) -> None:
    await asyncio.gather(*(crowd.enter(f"c{number}", user=f"u{number % 2}") for number in range(count)))


def to_tell(clients: int, users: int) -> Claim:
    return Claim(0, Level(clients, users))


def test_the_same_level_is_told_once() -> None:
    async def scenario() -> None:
        async with cache_server() as server, crowd_of(server) as crowd, board_of(server) as board:
            await filled(crowd, 3)
            assert await claim(board) == to_tell(3, 2)
            await board.told("h1", NEWS, Level(3, 2))
            assert await claim(board, "h2") == NOTHING
            await crowd.leave("c0")
            await asyncio.sleep(0.002)
            assert await claim(board, "h2") == to_tell(2, 2)
            await board.told("h2", NEWS, Level(2, 2))
            await crowd.enter("c0", user="u0")
            await asyncio.sleep(0.002)
            assert await claim(board, "h1") == to_tell(3, 2)

    run(scenario())


def test_while_one_tells_the_others_wait_and_see_what_came_meanwhile() -> None:
    async def scenario() -> None:
        async with cache_server() as server, crowd_of(server) as crowd, board_of(server) as board:
            await filled(crowd, 1)
            assert await claim(board) == to_tell(1, 1)
            await crowd.enter("more", user="u1")
            for holder in ("h1", "h2"):
                assert await claim(board, holder, interval_ms=50) == Claim(50, None)
            await board.told("h1", NEWS, Level(1, 1))
            await asyncio.sleep(0.002)
            assert await claim(board, "h2") == to_tell(2, 2)

    run(scenario())


def test_who_could_not_tell_lets_others() -> None:
    async def scenario() -> None:
        async with cache_server() as server, crowd_of(server) as crowd, board_of(server) as board:
            await filled(crowd, 1)
            assert await claim(board) == to_tell(1, 1)
            await board.failed("h1", NEWS)
            assert await claim(board, "h2") == to_tell(1, 1)

    run(scenario())


def test_who_is_silent_for_too_long_has_no_say_any_more() -> None:
    async def scenario() -> None:
        async with cache_server() as server, crowd_of(server) as crowd, board_of(server) as board:
            await filled(crowd, 1)
            assert await claim(board, held_ms=20) == to_tell(1, 1)
            await crowd.enter("more", user="u1")
            await becomes(lambda: claim(board, "h2"), to_tell(2, 2))
            await board.told("h1", NEWS, Level(1, 1))
            assert (await claim(board, "h3", interval_ms=50)).level is None
            await board.told("h2", NEWS, Level(2, 2))
            await asyncio.sleep(0.002)
            assert await claim(board, "h3") == NOTHING

    run(scenario())


def test_a_channel_is_told_of_once_in_an_interval() -> None:
    async def scenario() -> None:
        async with cache_server() as server, crowd_of(server) as crowd, board_of(server) as board:
            await filled(crowd, 1)
            await claim(board)
            await board.told("h1", NEWS, Level(1, 1))
            await crowd.leave("c0")
            wait_ms, level = await claim(board, interval_ms=LONG_MS)
            assert level is None
            assert LONG_MS - 5_000 < wait_ms <= LONG_MS

    run(scenario())


def test_the_lost_do_not_count() -> None:
    async def scenario() -> None:
        async with (
            cache_server() as server,
            crowd_of(server) as here,
            board_of(server) as board,
            crowd_of(server) as lost,
        ):
            await here.enter("a")
            await lost.enter("b")
            assert await claim(board) == to_tell(2, 2)
            await board.told("h1", NEWS, Level(2, 2))
            await lost.kill()
            await becomes(lambda: claim(board), to_tell(1, 1))

    run(scenario())


def test_an_emptied_channel_is_remembered_for_a_while_and_a_forgotten_one_is_told_again() -> None:
    async def scenario() -> None:
        async with cache_server() as server, crowd_of(server) as crowd, board_of(server) as board:
            await filled(crowd, 1)
            await claim(board)
            await board.told("h1", NEWS, Level(1, 1))
            assert [page async for page in board.occupied()] == [[NEWS]]
            await crowd.leave("c0")
            await asyncio.sleep(0.002)
            assert await claim(board) == to_tell(0, 0)
            await board.told("h1", NEWS, Level(0, 0))
            assert await claim(board) == NOTHING
            assert [page async for page in board.occupied()] == [[]]
            (key,) = [key for key in await server.keys() if "occupancy" in key and "channel:" in key]
            assert 0 < await server.ask("PTTL", key) <= 3_600_000
            await board.forget(NEWS)
            assert await claim(board) == to_tell(0, 0)

    run(scenario())


def test_what_was_claimed_and_never_told_leaves_nothing() -> None:
    async def scenario() -> None:
        async with cache_server() as server, board_of(server) as board:
            assert await claim(board, held_ms=20) == to_tell(0, 0)
            await becomes(server.keys, set())

    run(scenario())


def test_another_organization_has_its_own_levels() -> None:
    async def scenario() -> None:
        async with cache_server() as server, crowd_of(server) as crowd, board_of(server) as board:
            await filled(crowd, 1)
            await claim(board)
            await board.told("h1", NEWS, Level(1, 1))
            assert await claim(board, watched=THEIRS) == to_tell(0, 0)
            await board.failed("h1", THEIRS)
            await board.forget(THEIRS)
            assert await claim(board) == NOTHING

    run(scenario())


def test_all_occupied_channels_are_found_page_by_page() -> None:
    async def scenario() -> None:
        async with cache_server() as server, crowd_of(server) as crowd, board_of(server) as board:
            wanted = {(org, f"c{number}") for org in (ORG, OTHER) for number in range(300)}
            for organization_id, channel in wanted:
                crowd.enter("a", channel, organization_id=organization_id)
            await crowd.enter("b")
            claims = await board.claim("h1", sorted(wanted), interval_ms=1, held_ms=LONG_MS)
            assert set(claims) == {to_tell(1, 1)}
            await asyncio.gather(*(board.told("h1", watched, Level(1, 1)) for watched in wanted))
            pages = [page async for page in board.occupied()]
            assert {watched for page in pages for watched in page} == wanted
            assert max(map(len, pages)) < 300

    run(scenario())


def test_without_redis_it_is_said() -> None:
    async def scenario() -> None:
        async with cache_server() as server, board_of(server) as board:
            await claim(board)
            await server.program.stop()
            with pytest.raises(CacheError):
                await board.failed("h1", NEWS)
            await server.start()
            assert await claim(board) == to_tell(0, 0)

    run(scenario())

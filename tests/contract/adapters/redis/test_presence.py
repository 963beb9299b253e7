"""Reading presence: in pages, within bounds, and without what lost replicas left."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from adapters.redis import presence
from adapters.redis.presence import HIDDEN, MEMBER_BYTES, PAGE, QUESTIONS_MAX, PresenceReader
from core.connections.frames import PresenceCount
from core.errors import Code, TidingsError
from tests.helpers.cache import cache_server
from tests.helpers.loop import run
from tests.helpers.rosters import (
    EVERYTHING,
    ORG,
    OTHER,
    Crowd,
    becomes,
    both,
    clients_in,
    crowd_of,
    reader_of,
)


@asynccontextmanager
async def crowd_and_reader() -> AsyncIterator[tuple[Crowd, PresenceReader]]:
    async with cache_server() as server, crowd_of(server) as crowd, reader_of(server) as reader:
        yield crowd, reader


async def pages(reader: PresenceReader, limit: int, bytes_max: int = EVERYTHING) -> list[list[str]]:
    """Return the clients of each page of a channel."""
    found, cursor = [], ""
    while True:
        page = await reader.members(ORG, "news", limit=limit, bytes_max=bytes_max, cursor=cursor)
        found.append(list(page.clients))
        cursor = page.next_cursor
        if not cursor:
            return found


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_pages_give_everybody_once_in_order(limit: int) -> None:
    async def scenario() -> None:
        async with crowd_and_reader() as (crowd, reader):
            await asyncio.gather(*(crowd.enter(f"c{number:02}") for number in range(7)))
            found = await pages(reader, limit)
            assert [client for page in found for client in page] == [f"c{number:02}" for number in range(7)]
            assert max(map(len, found)) == min(limit, 7)
            assert all(found)

    run(scenario())


def test_whoever_is_there_all_the_time_is_on_a_page_whoever_comes_and_goes() -> None:
    async def scenario() -> None:
        async with crowd_and_reader() as (crowd, reader):
            await asyncio.gather(*(crowd.enter(f"stays {number:03}") for number in range(300)))
            seen, cursor, turn = [], "", 0
            while True:
                page = await reader.members(ORG, "news", limit=40, bytes_max=EVERYTHING, cursor=cursor)
                seen += [client for client in page.clients if client.startswith("stays")]
                cursor = page.next_cursor
                if not cursor:
                    break
                turn += 1
                await asyncio.gather(*(crowd.enter(f"{turn % 9}{number}") for number in range(200)))
                await asyncio.gather(*(crowd.leave(f"{(turn - 1) % 9}{number}") for number in range(200)))
            assert seen == [f"stays {number:03}" for number in range(300)]

    run(scenario())


def test_more_than_are_read_at_a_time_are_given_whole() -> None:
    async def scenario() -> None:
        async with crowd_and_reader() as (crowd, reader):
            everybody = {f"c{number}" for number in range(PAGE + 300)}
            await asyncio.gather(*map(crowd.enter, everybody))
            assert await clients_in(reader) == everybody
            assert await reader.count(ORG, "news") == both(PAGE + 300)

    run(scenario())


def test_a_page_ends_where_its_bytes_do_and_holds_one_member_at_least() -> None:
    async def scenario() -> None:
        async with crowd_and_reader() as (crowd, reader):
            await asyncio.gather(*(crowd.enter(f"c{number}", user="u" * 1_000) for number in range(5)))
            found = await pages(reader, 100, 2 * (MEMBER_BYTES + 1_010))
            assert list(map(len, found)) == [2, 2, 1]
            assert list(map(len, await pages(reader, 100, 1))) == [1] * 5

    run(scenario())


def test_a_channel_that_nobody_is_in_is_empty() -> None:
    async def scenario() -> None:
        async with crowd_and_reader() as (crowd, reader):
            await crowd.enter("a", "other")
            assert await pages(reader, 10) == [[]]
            assert await reader.count(ORG, "news") == PresenceCount(0, 0)

    run(scenario())


def test_channels_are_found_by_pattern_page_by_page() -> None:
    async def scenario() -> None:
        async with crowd_and_reader() as (crowd, reader):
            names = [f"room:{number:02}" for number in range(5)] + ["news", "rooms", "$room:1"]
            await asyncio.gather(*(crowd.enter(client, name) for name in names for client in "ab"))
            await crowd.enter("a", "elsewhere", organization_id=OTHER)
            assert (await reader.channels(ORG, limit=100)).channels == dict.fromkeys(sorted(names), 2)
            found, cursor = [], ""
            while True:
                page = await reader.channels(ORG, "room:*", limit=2, cursor=cursor)
                found.append(list(page.channels))
                cursor = page.next_cursor
                if not cursor:
                    break
            assert found == [["room:00", "room:01"], ["room:02", "room:03"], ["room:04"]]
            assert (await reader.channels(ORG, "*room*", limit=1)).channels == {"$room:1": 2}
            assert (await reader.channels(OTHER, limit=100)).channels == {"elsewhere": 1}

    run(scenario())


def test_a_search_through_many_channels_ends_in_a_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.redis.presence.PAGE", 10)
    monkeypatch.setattr("adapters.redis.presence.PAGES_MAX", 2)

    async def scenario() -> None:
        async with crowd_and_reader() as (crowd, reader):
            await asyncio.gather(*(crowd.enter("a", f"c{number:02}") for number in range(45)))
            await crowd.enter("a", "c99")
            first = await reader.channels(ORG, "*9", limit=10)
            assert first == ({"c09": 1, "c19": 1}, "c19")
            second = await reader.channels(ORG, "*9", limit=10, cursor=first.next_cursor)
            third = await reader.channels(ORG, "*9", limit=10, cursor=second.next_cursor)
            assert (*second.channels, *third.channels) == ("c29", "c39", "c99")
            assert third.next_cursor == ""

    run(scenario())


def test_what_is_counted_like_a_channel_and_is_none_takes_no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.redis.presence.PAGE", 10)
    monkeypatch.setattr("adapters.redis.presence.PAGES_MAX", 1)

    async def scenario() -> None:
        async with crowd_and_reader() as (crowd, reader):
            await asyncio.gather(*(crowd.enter("a", f"{HIDDEN}user:{number}") for number in range(20)))
            await crowd.enter("a", "news")
            assert await reader.channels(ORG, limit=10) == ({"news": 1}, "")
            assert (await reader.channels(ORG, f"{HIDDEN}*", limit=10)).channels == {}

    run(scenario())


def test_a_lost_replicas_clients_are_shown_by_nothing_even_if_nobody_sweeps() -> None:
    async def scenario() -> None:
        async with cache_server() as server, crowd_of(server) as dies:
            await asyncio.gather(dies.enter("a"), dies.enter("b", "other"))
            async with reader_of(server) as reader:
                assert await reader.count(ORG, "news") == both(1)
                await dies.kill()
                await becomes(lambda: clients_in(reader), set())
                assert await reader.count(ORG, "news") == both(0)
                assert (await reader.channels(ORG, limit=10)).channels == {}

    run(scenario())


def test_a_cache_that_does_not_answer_is_unavailable() -> None:
    async def scenario() -> None:
        async with cache_server() as server, reader_of(server) as reader:
            await server.program.stop()
            with pytest.raises(TidingsError) as raised:
                await reader.count(ORG, "news")
            assert raised.value.code is Code.UNAVAILABLE

    run(scenario())


def test_the_questions_of_one_organization_do_not_keep_those_of_another_waiting() -> None:
    async def scenario() -> None:
        async with cache_server() as server, reader_of(server) as reader:
            many = [asyncio.ensure_future(reader.count(ORG, f"c{number}")) for number in range(400)]
            await asyncio.sleep(0)
            await reader.count(OTHER, "news")
            await reader.members(OTHER, "news", limit=10, bytes_max=EVERYTHING)
            await reader.channels(OTHER, limit=10)
            assert sum(one.done() for one in many) < 200
            assert await asyncio.gather(*many) == [PresenceCount(0, 0)] * 400  # and each has its turn

    run(scenario())


def test_who_has_no_turn_in_time_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "TIMEOUT_S", 0.1)

    async def scenario() -> None:
        async with cache_server() as server, reader_of(server) as reader:
            await reader.count(ORG, "news")
            server.pause()
            asked = [reader.count(ORG, "news") for _ in range(QUESTIONS_MAX + 1)]
            *first, last = (asyncio.ensure_future(one) for one in asked)
            with pytest.raises(TidingsError) as caught:
                await last
            assert caught.value.code is Code.UNAVAILABLE
            assert not any(one.done() for one in first)
            server.go_on()
            assert await asyncio.gather(*first) == [PresenceCount(0, 0)] * QUESTIONS_MAX
            assert await reader.count(ORG, "news") == PresenceCount(0, 0)

    run(scenario())

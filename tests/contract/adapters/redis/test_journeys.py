"""What is remembered of connections: written in batches, bounded, and forgotten by itself."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from adapters.clock import SystemClock
from adapters.redis.client import CacheError
from adapters.redis.journeys import SILENCE_S, TOLD, Entry, JourneyReader, JourneyWriter
from core.connections.journey import Came, Ended, Journey, Left, Step, Subscribed, WentLive
from core.errors import Code, TidingsError
from core.instants import Instant
from settings import Journeys
from tests.helpers.cache import Server, cache_of, cache_server
from tests.helpers.hand_clock import HandClock
from tests.helpers.loop import run

ORG, OTHER = b"o" * 16, b"x" * 16
SECOND = 1_000_000
TAG = "n1.1"


def began(client: str = "c1", user: str = "ann", *more: Step, of: bytes = ORG, tag: str = TAG) -> Entry:
    steps = (Came(1, client, user, "websocket", "n1", tag), *more)
    return Entry(of, user, client, begins=True, steps=steps)


def goes_on(client: str = "c1", user: str = "ann", *steps: Step, of: bytes = ORG) -> Entry:
    return Entry(of, user, client, begins=False, steps=steps)


class Book:
    """A writer and a reader over one cache, and the reader's clock."""

    def __init__(self, writer: JourneyWriter, reader: JourneyReader, clock: HandClock) -> None:
        self.writer = writer
        self.reader = reader
        self.clock = clock

    async def of(self, client: str, organization_id: bytes = ORG) -> Journey:
        found = await self.reader.of_client(organization_id, client)
        assert found is not None
        return found

    async def pages(self, user: str, limit: int, organization_id: bytes = ORG) -> list[list[str]]:
        """Return the clients of a user page by page."""
        pages, cursor = [], ""
        while True:
            page = await self.reader.of_user(organization_id, user, limit=limit, cursor=cursor)
            pages.append([journey.came.client for journey in page.journeys])
            cursor = page.next_cursor
            if not cursor:
                return pages


@asynccontextmanager
async def book_of(server: Server, **settings: Any) -> AsyncIterator[Book]:
    limits, clock = Journeys(**settings), HandClock()
    async with cache_of(server) as cache:
        writer = JourneyWriter(cache.line(), limits)
        try:
            yield Book(writer, JourneyReader(cache, limits, clock), clock)
        finally:
            await writer.close()


def steps(count: int) -> Sequence[Step]:
    return [Left(10 + number, "a", number) for number in range(count)]


def test_what_was_written_is_read() -> None:
    async def scenario() -> None:
        async with cache_server() as server, book_of(server) as book:
            first, second = Subscribed(2, "a", "one", 0, 0), WentLive(3, "a", 0)
            assert await book.writer.write([began("c1", "ann", first), began("c2", "")]) == [True, True]
            assert await book.writer.write([goes_on("c1", "ann", second)]) == [True]
            await book.writer.tell(TAG, Instant(book.clock.now() - SECOND))
            one = await book.of("c1")
            assert (one.came.user, one.steps, one.is_cut) == ("ann", (first, second), False)
            assert (one.told_until, one.is_alive) == (book.clock.now() - SECOND, True)
            assert (await book.of("c2")).steps == ()
            assert await book.reader.of_client(ORG, "c3") is None

    run(scenario())


def test_what_begins_again_is_remembered_anew() -> None:
    async def scenario() -> None:
        async with cache_server() as server, book_of(server) as book:
            await book.writer.write([began("c1", "ann", *steps(3))])
            assert await book.writer.write([began("c1", "ann", tag="n1.2")]) == [True]
            found = await book.of("c1")
            assert (found.came.tag, found.steps) == ("n1.2", ())

    run(scenario())


def test_what_has_no_beginning_is_not_kept() -> None:
    async def scenario() -> None:
        async with cache_server() as server, book_of(server) as book:
            assert await book.writer.write([goes_on("c1", "ann", *steps(1)), goes_on()]) == [False, False]
            assert await server.keys() == set()

    run(scenario())


def test_the_oldest_steps_are_forgotten_and_the_beginning_is_not() -> None:
    async def scenario() -> None:
        async with cache_server() as server, book_of(server, steps_max=10) as book:
            await book.writer.write([began("c1", "ann", *steps(8))])
            assert not (await book.of("c1")).is_cut
            await book.writer.write([goes_on("c1", "ann", *steps(5)[3:])])
            found = await book.of("c1")
            assert (found.came.client, len(found.steps), found.is_cut) == ("c1", 9, True)
            assert found.steps == (*steps(8)[1:], *steps(5)[3:])
            await book.writer.write([goes_on("c1", "ann", *steps(50))])
            assert (await book.of("c1")).steps == tuple(steps(50)[-9:])

    run(scenario())


def test_past_the_most_connections_new_ones_are_not_remembered() -> None:
    async def scenario() -> None:
        async with cache_server() as server, book_of(server, connections_max=2) as book:
            many = [began("c1"), began("c2"), began("c3"), began("c1"), began("c1", of=OTHER)]
            assert await book.writer.write(many) == [True, True, False, True, True]
            assert await book.reader.of_client(ORG, "c3") is None
            assert await book.writer.write([goes_on("c3"), goes_on("c2")]) == [False, True]

    run(scenario())


def test_everything_is_forgotten_by_itself() -> None:
    async def scenario() -> None:
        async with cache_server() as server, book_of(server, kept_s=60) as book:
            await book.writer.write([began("c1")])
            keys = await server.keys()
            assert len(keys) == 3
            for key in keys:
                assert 55_000 < await server.ask("PTTL", key) <= 60_000
                await server.ask("PEXPIRE", key, 5_000)
            await book.writer.write([goes_on("c1")])
            for key in keys:
                assert await server.ask("PTTL", key) > 55_000

    run(scenario())


def test_room_is_made_by_those_that_nobody_told_of() -> None:
    async def scenario() -> None:
        async with cache_server() as server, book_of(server, connections_max=2) as book:
            await book.writer.write([began("c1"), began("c2")])
            everybody = next(key for key in await server.keys() if key.endswith(":clients"))
            await server.ask("ZADD", everybody, 1, "c1")  # long ago
            await server.ask("DEL", next(key for key in await server.keys() if key.endswith(":c1")))
            assert await book.writer.write([began("c3")]) == [True]
            assert await book.pages("ann", 10) == [["c3", "c2"]]
            users = next(key for key in await server.keys() if key.endswith(":user:ann"))
            await book.writer.write([began("c3")])
            assert await server.ask("ZRANGE", users, 0, -1) == [b"c2", b"c3"]

    run(scenario())


def test_the_connections_of_a_user_are_paged_through_newest_first() -> None:
    async def scenario() -> None:
        async with cache_server() as server, book_of(server) as book:
            await book.writer.write([began(f"c{number}", "ann") for number in range(7)])
            await book.writer.write([began("d1", "bob"), began("d2", "")])
            assert await book.pages("ann", 3) == [["c6", "c5", "c4"], ["c3", "c2", "c1"], ["c0"]]
            assert await book.pages("ann", 7) == [["c6", "c5", "c4", "c3", "c2", "c1", "c0"]]
            assert [await book.pages(user, 3) for user in ("bob", "", "eve")] == [[["d1"]], [["d2"]], [[]]]
            for number in (1, 2, 4, 5, 6):
                await server.ask("DEL", f"tidings:journeys:{{{ORG.hex()}}}:client:c{number}")
            assert await book.pages("ann", 1) == [["c3"], ["c0"]]
            assert await book.pages("ann", 2) == [["c3", "c0"]]

    run(scenario())


def test_a_page_looks_at_so_many_forgotten_ones_and_no_more() -> None:
    async def scenario() -> None:
        async with cache_server() as server, book_of(server) as book:
            names = [argument for number in range(60) for argument in (0, f"c{number:02}")]
            await server.ask("ZADD", f"tidings:journeys:{{{ORG.hex()}}}:user:ann", *names)
            page = await book.reader.of_user(ORG, "ann", limit=1)
            assert (page.journeys, page.next_cursor) == ([], "c20")

    run(scenario())


def test_a_replica_that_says_nothing_is_silent() -> None:
    async def scenario() -> None:
        async with cache_server() as server, book_of(server, flush_s=1.0) as book:
            await book.writer.write([began("c1", "ann", *steps(2)), began("c2", tag="n2.1"), began("c3")])
            told_at = book.clock.now()
            await book.writer.tell(TAG, told_at)
            found = [await book.of(client) for client in ("c1", "c2")]
            assert [(one.told_until, one.is_alive) for one in found] == [(told_at, True), (1, False)]
            book.clock.seconds += SILENCE_S + 2.9
            assert (await book.of("c1")).is_alive
            book.clock.seconds += 0.2
            assert not (await book.of("c1")).is_alive
            await server.ask("DEL", TOLD)
            assert (await book.of("c1")).told_until == 11  # its last step
            assert (await book.of("c3")).told_until == 1

    run(scenario())


def test_tags_are_forgotten() -> None:
    async def scenario() -> None:
        async with cache_server() as server, book_of(server, kept_s=60) as book:
            assert not await book.writer.tell("n1.1", Instant(100 * SECOND))
            assert not await book.writer.tell("n1.2", Instant(219 * SECOND))
            assert await server.ask("ZRANGE", TOLD, 0, -1) == [b"n1.1", b"n1.2"]
            assert await book.writer.tell("n1.2", Instant(221 * SECOND))
            assert await server.ask("ZRANGE", TOLD, 0, -1) == [b"n1.2"]

    run(scenario())


def test_each_organization_sees_its_own_alone() -> None:
    async def scenario() -> None:
        async with cache_server() as server, book_of(server) as book:
            await book.writer.write([began("c1", "ann"), began("c2", "ann", of=OTHER)])
            assert await book.pages("ann", 10) == [["c1"]]
            assert await book.pages("ann", 10, OTHER) == [["c2"]]
            assert await book.reader.of_client(OTHER, "c1") is None

    run(scenario())


def test_names_may_be_anything() -> None:
    async def scenario() -> None:
        async with cache_server() as server, book_of(server) as book:
            for user in ("a b", "{x}", "ü:\n", "x" * 5_000, "*"):
                await book.writer.write([began("c1", user)])
                assert await book.pages(user, 10) == [["c1"]]
            assert await book.reader.of_client(ORG, "\x00{") is None

    run(scenario())


def test_steps_of_another_release_are_left_out_and_noticed() -> None:
    async def scenario() -> None:
        async with cache_server() as server, book_of(server) as book:
            end = Ended(9, 3001, "shutdown", {})
            await book.writer.write([began("c1"), began("c2")])
            for client in ("c1", "c3"):
                await server.ask("RPUSH", f"tidings:journeys:{{{ORG.hex()}}}:client:{client}", "?")
            await book.writer.write([goes_on("c1", "ann", end)])
            found = await book.of("c1")
            assert (found.steps, found.is_cut) == ((end,), True)
            assert await book.reader.of_client(ORG, "c3") is None
            await server.ask("LPOP", f"tidings:journeys:{{{ORG.hex()}}}:client:c2")
            await server.ask("RPUSH", f"tidings:journeys:{{{ORG.hex()}}}:client:c2", "?")
            assert await book.reader.of_client(ORG, "c2") is None

    run(scenario())


def test_a_cache_that_does_not_answer_is_told() -> None:
    async def scenario() -> None:
        async with cache_server() as server, book_of(server) as book:
            await server.program.stop()
            with pytest.raises(CacheError):
                await book.writer.write([began("c1")])
            with pytest.raises(CacheError):
                await book.writer.tell(TAG, SystemClock().now())
            with pytest.raises(TidingsError) as caught:
                await book.of("c1")
            assert caught.value.code is Code.UNAVAILABLE

    run(scenario())

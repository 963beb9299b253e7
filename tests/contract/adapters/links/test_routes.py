"""Where commands go, as it was read last."""

import asyncio

from structlog.testing import capture_logs

from adapters.links.routes import RouteBook
from adapters.postgres.streams import Route
from adapters.telemetry.tasks import Tasks
from tests.contract.adapters.links.desk import Table
from tests.helpers.links import until
from tests.helpers.loop import run

FIRST, SECOND, FREE = Route(0, "a", "host:1", 1), Route(1, "b", "host:2", 4), Route(2, "", "", 2)


def book_of(table: Table) -> tuple[RouteBook, list[int]]:
    """Return a book, and a list that grows with each reading."""
    read: list[int] = []
    return RouteBook(table, Tasks("test"), lambda: read.append(table.reads)), read


def test_a_partition_has_the_owner_that_was_read_or_nobody() -> None:
    async def scenario() -> None:
        book, _ = book_of(Table(FIRST, SECOND, FREE))
        assert book.of(0) is None
        await book.refresh()
        assert [book.of(number) for number in range(4)] == [FIRST, SECOND, None, None]
        assert list(book.known) == [FIRST, SECOND, FREE]

    run(scenario())


def test_a_reading_replaces_what_was_known_and_tells_so() -> None:
    async def scenario() -> None:
        table = Table(FIRST, SECOND)
        book, read = book_of(table)
        await book.refresh()
        moved = Route(0, "b", "host:2", 2)
        table.rows = [moved]
        assert book.of(0) == FIRST
        await book.refresh()
        assert (book.of(0), book.of(1)) == (moved, None)
        assert read == [1, 2]

    run(scenario())


def test_who_asks_while_a_reading_is_on_its_way_shares_it() -> None:
    async def scenario() -> None:
        table = Table(FIRST)
        book, read = book_of(table)
        table.gate.clear()
        asking = [asyncio.create_task(book.refresh()) for _ in range(50)]
        await until(lambda: table.reads)
        asking[0].cancel()
        table.gate.set()
        await asyncio.gather(*asking[1:])
        assert table.reads == 1
        assert read == [1]
        await book.refresh()
        assert table.reads == 2

    run(scenario())


def test_a_reading_that_fails_leaves_the_old_routes_and_a_line() -> None:
    async def scenario() -> None:
        table = Table(FIRST)
        book, read = book_of(table)
        await book.refresh()
        table.away = True
        table.rows = []
        with capture_logs() as lines:
            await book.refresh()
        assert [line["event"] for line in lines] == ["routes.unread"]
        assert book.of(0) == FIRST
        assert read == [1]
        table.away = False
        await book.refresh()
        assert book.of(0) is None

    run(scenario())

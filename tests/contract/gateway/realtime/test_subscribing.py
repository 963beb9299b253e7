"""How a subscription begins: from memory or from the log, at a head that covers what was acknowledged."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from actors.streams.owner import StreamOwner
from adapters.clock import SystemClock
from adapters.postgres.channels import ChannelReader
from adapters.postgres.codec import Page
from adapters.postgres.streams import LogReader
from adapters.telemetry.tasks import Tasks
from core.channels.filter import FilterNode
from core.channels.namespace import OWN
from core.connections.subscription import Grant
from core.errors import Code, TidingsError
from core.streams.command import Publish
from core.streams.event import PUBLICATION_CREATED, SPARES_SENDER, ClientInfo, Event
from core.streams.position import Position
from gateway.realtime.catching import Catching
from gateway.realtime.clients import Clients
from gateway.realtime.feed import Feed
from gateway.realtime.subscribing import Beginning, Reader, merged, offset_in
from settings import Realtime
from tests.helpers.log import OWNER, LogWriter, database_at, make_days, make_organization
from tests.helpers.loop import run
from tests.helpers.owners import command, owner_of
from tests.helpers.replica import turns

WHOLE = Grant(OWN, recoverable=True)
CACHE = replace(WHOLE, options=msgspec.structs.replace(OWN, force_recovery_mode="cache"))
WINDOW = {"history_size": 2, "history_ttl_s": 60}


class World:
    """A reader and a feed over a real owner and a real database."""

    def __init__(self, owner: StreamOwner, org: bytes, reader: Reader, feed: Feed) -> None:
        self.owner, self.org, self.reader, self.feed = owner, org, reader, feed

    async def publish(self, count: int, data: bytes = b"1", **of: Any) -> None:
        for _ in range(count):
            await self.owner.submit(command(self.org, Publish(("news",), data, **of)))
        await turns(5)

    def watch(self) -> None:
        """Fill the feed's memory from now on."""
        self.owner.watch(self.org, self.feed)

    async def begin(
        self, since: Position | None = None, grant: Grant = WHOLE, *, strict: bool = False
    ) -> Beginning:
        channel = self.feed.channel("news")
        return await self.reader.begin(self.feed, channel, since, grant, "reader", strict=strict)


@asynccontextmanager
async def world_of(url: str, org: bytes = b"", **settings: int) -> AsyncIterator[World]:
    org = org or await make_organization(url)
    limits = Realtime(**settings)
    async with owner_of(url, name=OWNER) as owner, database_at(url) as database:
        log, channels = LogReader(database, retention_days=30), ChannelReader(database, retention_days=30)
        feed = Feed(org, owner, log, SystemClock(), limits, Tasks("test"), Clients())
        yield World(owner, org, Reader(channels, limits), feed)


def recovered(begun: Beginning) -> tuple[bool, int, list[int]]:
    return (
        begun.reply.recovered,
        begun.reply.offset,
        [offset for offset, _ in begun.reply.publications],
    )


async def with_memory(world: World) -> None:
    world.watch()
    await turns(10)


async def without_memory(_world: World) -> None:
    await turns(1)


@pytest.mark.parametrize("prepared", [with_memory, without_memory])
@pytest.mark.parametrize(
    ("since", "found"),
    [(0, (True, 0, [1, 2, 3])), (2, (True, 2, [3])), (3, (True, 3, [])), (4, (False, 3, []))],
)
def test_it_goes_on_from_any_position_whether_memory_reaches_back_or_not(
    database_url: str,
    prepared: Callable[[World], Coroutine[Any, Any, None]],
    since: int,
    found: tuple[bool, int, list[int]],
) -> None:
    async def scenario() -> None:
        async with world_of(database_url) as world:
            await prepared(world)
            await world.publish(3)
            head = await world.owner.head(world.org)
            for epoch in ("", head.epoch):
                begun = await world.begin(Position(epoch, since))
                assert recovered(begun) == found
                assert (begun.reply.was_recovering, begun.reply.epoch) == (True, head.epoch)
                assert (begun.offset, begun.head, begun.more) == (3, head, False)

    run(scenario())


def test_without_a_position_it_begins_at_everything_that_was_acknowledged(database_url: str) -> None:
    async def scenario() -> None:
        async with world_of(database_url) as world:
            assert recovered(await world.begin()) == (False, 0, [])
            await world.publish(3)
            begun = await world.begin()
            assert recovered(begun) == (False, 3, [])
            assert not begun.reply.was_recovering
            assert begun.offset == 3

    run(scenario())


@pytest.mark.parametrize("position", [Position("another", 1), Position("another", 3), Position("", 9)])
def test_a_position_that_cannot_be_served_begins_anew_or_is_refused_if_asked(
    database_url: str, position: Position
) -> None:
    async def scenario() -> None:
        async with world_of(database_url) as world:
            await world.publish(3)
            begun = await world.begin(position)
            assert recovered(begun) == (False, 3, [])
            assert begun.reply.was_recovering
            with pytest.raises(TidingsError) as refused:
                await world.begin(position, strict=True)
            assert refused.value.code.value == "unrecoverable_position"
            assert recovered(await world.begin(Position("", 3), strict=True)) == (True, 3, [])

    run(scenario())


def test_a_position_older_than_the_retention_is_not_recovered(database_url: str) -> None:
    async def scenario() -> None:
        await make_days(database_url, 40)
        org = await make_organization(database_url)
        old = LogWriter(org, days_back=40)
        await old.write(database_url, *(old.event("news") for _ in range(3)))
        async with world_of(database_url, org) as world:
            assert recovered(await world.begin(Position("", 2))) == (False, 3, [])
            assert recovered(await world.begin(Position("", 3))) == (True, 3, [])
            await world.publish(1)
            assert recovered(await world.begin(Position("", 2))) == (False, 4, [])
            assert recovered(await world.begin(Position("", 3))) == (True, 3, [4])

    run(scenario())


def test_a_page_is_bounded_in_number_and_says_that_more_is_left(database_url: str) -> None:
    async def scenario() -> None:
        async with world_of(database_url, history_max=2) as world:
            await world.publish(5)
            begun = await world.begin(Position("", 0))
            assert recovered(begun) == (True, 0, [1, 2])
            assert (begun.offset, begun.more) == (2, True)
            pages = []
            offset, more = begun.offset, True
            while more:
                page, more = await world.reader.page(world.feed, "news", offset, begun.head)
                pages.append([offset for offset, _ in page])
                offset = page[-1][0]
            assert pages == [[3, 4], [5]]

    run(scenario())


def test_a_page_is_bounded_in_bytes_and_has_one_publication_at_least(database_url: str) -> None:
    async def scenario() -> None:
        async with world_of(database_url, page_bytes_max=1_000) as world:
            for size in (1_500, 100, 100, 100):  # each weighs what it costs besides its data, too
                await world.publish(1, b'"%b"' % (b"x" * size))
            head, found, more = await world.owner.head(world.org), [], True
            offset = 0
            while more:
                page, more = await world.reader.page(world.feed, "news", offset, head)
                found.append([offset for offset, _ in page])
                offset = page[-1][0]
            assert found == [[1], [2, 3], [4]]

    run(scenario())


def test_what_is_newer_than_the_head_is_not_in_a_page_from_the_log(database_url: str) -> None:
    async def scenario() -> None:
        async with world_of(database_url) as world:
            await world.publish(2)
            head = await world.owner.head(world.org)
            await world.publish(2)
            page, more = await world.reader.page(world.feed, "news", 0, head)
            assert ([offset for offset, _ in page], more) == ([1, 2], False)

    run(scenario())


class Heads(ChannelReader):
    """Tells where channels stand, and reads no page."""

    async def page(self, *_: Any, **__: Any) -> Page:
        raise TidingsError(Code.UNAVAILABLE)


def test_what_memory_holds_is_not_read_from_the_log(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with owner_of(database_url, name=OWNER) as owner, database_at(database_url) as database:
            log, channels = LogReader(database, retention_days=30), Heads(database, retention_days=30)
            feed = Feed(org, owner, log, SystemClock(), Realtime(), Tasks("test"), Clients())
            world = World(owner, org, Reader(channels, Realtime()), feed)
            await with_memory(world)
            feed.channel("news").catching[1] = Catching(10, 1_000_000)
            await world.publish(3)
            assert recovered(await world.begin(Position("", 1))) == (True, 1, [2, 3])
            assert recovered(await world.begin(Position("", 2), CACHE)) == (True, 3, [3])
            assert recovered(await world.begin()) == (False, 3, [])
            feed.recent.clear()
            with pytest.raises(TidingsError) as failed:
                await world.begin(Position("", 1))
            assert failed.value.code.value == "unavailable"

    run(scenario())


def test_what_the_client_itself_published_is_not_given_back_if_it_wants_it_so(database_url: str) -> None:
    async def scenario() -> None:
        async with world_of(database_url) as world:
            own, another = ClientInfo("ann", "reader"), ClientInfo("ann", "another")
            for info, flags in ((own, 0), (own, SPARES_SENDER), (another, SPARES_SENDER)):
                await world.publish(1, info=info, flags=flags)
            begun = await world.begin(Position("", 0))
            assert recovered(begun) == (True, 0, [1, 3])
            assert begun.last is not None
            await world.publish(1, info=own, flags=SPARES_SENDER)
            begun = await world.begin(Position("", 0))
            assert (recovered(begun), begun.offset, begun.last) == ((True, 0, [1, 3]), 4, None)

    run(scenario())


# --- what a namespace shows of the log


@pytest.mark.parametrize(
    ("published", "since", "found"),
    [
        (0, Position("", 0), (False, 0, [])),  # there is none
        (3, Position("", 0), (True, 3, [3])),
        (3, Position("", 1), (True, 3, [3])),
        (3, Position("", 3), (True, 3, [])),  # it stands there already
        (3, Position("another", 3), (True, 3, [3])),
        (3, Position("another", 1), (True, 3, [3])),
    ],
)
def test_in_cache_mode_the_newest_alone_is_recovered_if_there_is_one_and_the_client_has_it_not(
    database_url: str, published: int, since: Position, found: tuple[bool, int, list[int]]
) -> None:
    async def scenario() -> None:
        async with world_of(database_url) as world:
            await world.publish(published)
            begun = await world.begin(since, CACHE)
            assert recovered(begun) == found
            assert (begun.offset, begun.more, begun.reply.was_recovering) == (published, False, True)
            if not published:
                with pytest.raises(TidingsError):
                    await world.begin(since, CACHE, strict=True)

    run(scenario())


def test_what_is_not_recoverable_begins_anew_and_is_never_refused(database_url: str) -> None:
    async def scenario() -> None:
        async with world_of(database_url) as world:
            await world.publish(3)
            begun = await world.begin(Position("", 1), replace(WHOLE, recoverable=False), strict=True)
            assert recovered(begun) == (False, 3, [])
            assert (begun.reply.was_recovering, begun.reply.recoverable) == (True, False)

    run(scenario())


def test_only_what_a_window_shows_is_recovered(database_url: str) -> None:
    async def scenario() -> None:
        async with world_of(database_url) as world:
            await world.publish(5)
            window = replace(WHOLE, options=msgspec.structs.replace(OWN, history="window", **WINDOW))
            for since, found in ((2, (False, 5, [])), (3, (True, 3, [4, 5])), (5, (True, 5, []))):
                assert recovered(await world.begin(Position("", since), window)) == found

    run(scenario())


def test_a_filter_holds_for_the_recovered_and_moves_the_position_all_the_same(database_url: str) -> None:
    async def scenario() -> None:
        async with world_of(database_url) as world:
            for parity in ("odd", "even", "odd"):
                await world.publish(1, tags={"parity": parity})
            even = replace(WHOLE, filter=FilterNode(key="parity", cmp="eq", val="even"))
            begun = await world.begin(Position("", 0), even)
            assert recovered(begun) == (True, 0, [2])
            assert begun.offset == 3

    run(scenario())


def test_what_was_noted_is_merged_after_what_was_read() -> None:
    catching = Catching(10, 1_000_000)
    events = [Event(n, b"", PUBLICATION_CREATED, 0, b"", (("b", 1), ("news", n))) for n in range(1, 6)]
    for event in events[2:]:
        catching.note(offset_in(event, "news"), event)
    assert [offset for offset, _ in merged(catching, 3)] == [4, 5]
    assert [offset for offset, _ in merged(catching, 0)] == [3, 4, 5]
    assert merged(catching, 5) == []

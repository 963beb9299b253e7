"""One organization's live events on a replica: in order and whole, whatever the link did, over a real log."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from adapters.clock import SystemClock
from adapters.postgres.streams import LogReader
from adapters.telemetry.tasks import Tasks
from core.channels.namespace import OWN
from core.connections.orders import JOINED, LEFT, ORDER
from core.connections.subscription import Grant
from core.errors import Code, TidingsError
from core.streams.event import SPARES_SENDER, ClientInfo, EphemeralPublication, Event, Head, LiveBatch
from gateway.realtime.catching import Catching
from gateway.realtime.feed import GAP_PAGE, Feed
from settings import Realtime
from tests.helpers.eventually import eventually
from tests.helpers.listener import FORMS, Listener
from tests.helpers.log import EPOCH, LogWriter, database_at, make_days, make_organization
from tests.helpers.loop import run
from tests.helpers.memory_log import ORG, MemoryLog
from tests.helpers.recorder import Recorder
from tests.helpers.replica import MemoryReplica, turns

PLAIN = Grant(OWN)


def live(feed: Feed, channel: str, listener: Listener | None = None) -> Listener:
    """Let somebody go live in a channel."""
    listener = listener or Listener()
    feed.channel(channel).go_live(listener, PLAIN, has_last=False)
    return listener


class Told:
    """What a feed tells the clients of its replica."""

    def __init__(self) -> None:
        self.breaks: list[Feed] = []
        self.orders: list[tuple[Feed, bytes]] = []
        self.here: dict[str, Listener] = {}

    def find(self, client_id: str) -> Listener | None:
        return self.here.get(client_id)

    def broken(self, feed: Feed) -> None:
        self.breaks.append(feed)

    def ordered(self, feed: Feed, order: bytes) -> None:
        self.orders.append((feed, order))


class World:
    """A feed that hears what the test says, over a log in PostgreSQL. Channel `a` has a live subscriber."""

    def __init__(self, writer: LogWriter, reader: LogReader, url: str, settings: Realtime) -> None:
        self.writer = writer
        self._url = url
        self.clients = Told()
        nobody: Any = None  # no head is asked for here
        tasks = Tasks("test")
        self.feed = Feed(writer.organization_id, nobody, reader, SystemClock(), settings, tasks, self.clients)
        self.listener = live(self.feed, "a")

    @property
    def breaks(self) -> list[Feed]:
        return self.clients.breaks

    async def commit(self, count: int, *channels: str) -> list[Event]:
        """Append events to the log; nobody is told."""
        events = [self.writer.event(*(channels or ("a",))) for _ in range(count)]
        await self.writer.write(self._url, *events)
        return events

    def head(self, seq: int, epoch: str = EPOCH) -> None:
        self.feed.on_head(Head(self.writer.organization_id, epoch, seq))

    def live(self, events: Sequence[Event], epoch: str = EPOCH) -> None:
        self.feed.on_live(LiveBatch(self.writer.organization_id, epoch, tuple(events)))

    async def reached(self, seq: int) -> None:
        await asyncio.wait_for(self.feed.reached(seq), 10)
        await turns(2)

    @property
    def heard(self) -> list[int]:
        """The offsets in channel `a` that were pushed."""
        return self.listener.offsets

    def whisper(self, channel: str, data: bytes, info: ClientInfo | None = None, kind: str = "") -> None:
        organization_id = self.writer.organization_id
        self.feed.on_ephemeral(EphemeralPublication(organization_id, channel, data, info, kind=kind))


@asynccontextmanager
async def world_of(url: str, **settings: int) -> AsyncIterator[World]:
    writer = LogWriter(await make_organization(url))
    async with database_at(url) as database:
        yield World(writer, LogReader(database, retention_days=30), url, Realtime(**settings))


def test_before_its_first_head_nothing_is_dispatched(database_url: str) -> None:
    async def scenario() -> None:
        async with world_of(database_url) as world:
            events = await world.commit(3)
            world.live(events[:2])
            await turns(3)
            assert world.heard == []
            world.head(2)
            world.live(events[2:])
            await world.reached(3)
            assert world.heard == [3]

    run(scenario())


def test_batches_that_repeat_and_overlap_are_dispatched_once(database_url: str) -> None:
    async def scenario() -> None:
        async with world_of(database_url) as world:
            world.head(0)
            events = await world.commit(6)
            for first, last in ((0, 2), (0, 2), (1, 4), (0, 1), (2, 6), (0, 6)):
                world.live(events[first:last])
            await world.reached(6)
            assert world.heard == [1, 2, 3, 4, 5, 6]
            recent = world.feed.recent.after_seq(0, 10)
            assert [event.seq for event in recent or []] == [1, 2, 3, 4, 5, 6]

    run(scenario())


def test_what_was_missed_is_read_before_what_came_after_it(database_url: str) -> None:
    async def scenario() -> None:
        async with world_of(database_url) as world:
            world.head(0)
            events = await world.commit(8)
            world.live(events[:2])
            world.live(events[4:6])
            world.live(events[6:])
            assert world.feed.next_seq == 3
            await world.reached(8)
            assert world.heard == [1, 2, 3, 4, 5, 6, 7, 8]
            assert world.breaks == []

    run(scenario())


def test_a_head_shows_a_loss_at_the_end_and_is_never_read_past(database_url: str) -> None:
    async def scenario() -> None:
        async with world_of(database_url) as world:
            world.head(0)
            await world.commit(5)
            world.head(3)
            await world.reached(3)
            assert world.heard == [1, 2, 3]
            for seq in (3, 1, 0):
                world.head(seq)
            await turns(5)
            assert world.feed.next_seq == 4
            world.head(5)
            await world.reached(5)
            assert world.heard == [1, 2, 3, 4, 5]

    run(scenario())


def test_a_gap_of_many_pages_is_filled(database_url: str) -> None:
    async def scenario() -> None:
        async with world_of(database_url) as world:
            world.head(0)
            await world.commit(2 * GAP_PAGE + 5)
            (last,) = await world.commit(1)
            world.live([last])
            await world.reached(last.seq)
            assert world.heard == list(range(1, last.seq + 1))

    run(scenario())


def test_more_than_may_wait_for_a_gap_is_dropped_and_read(database_url: str) -> None:
    async def scenario() -> None:
        async with world_of(database_url, gap_events_max=3) as world:
            world.head(0)
            events = await world.commit(12)
            for start in range(2, 12, 2):
                world.live(events[start : start + 2])
            await world.reached(12)
            assert world.heard == list(range(1, 13))

    run(scenario())


def test_another_epoch_is_told_at_once_and_what_comes_then_begins_at_its_head(database_url: str) -> None:
    async def scenario() -> None:
        async with world_of(database_url) as world:
            world.head(0)
            assert world.breaks == []
            events = await world.commit(3)
            world.live(events)
            waiting = asyncio.ensure_future(world.feed.reached(50))
            await turns(2)
            world.live(events, epoch="another")  # a batch alone is no proof; its head will tell
            assert (world.breaks, world.feed.epoch) == ([], EPOCH)
            world.head(1, epoch="another")
            assert world.breaks == [world.feed]
            assert (world.feed.epoch, world.feed.next_seq) == ("another", 2)
            assert world.feed.recent.after_seq(0, 10) is None
            await asyncio.wait_for(waiting, 5)

    run(scenario())


def test_a_range_past_its_retention_is_an_honest_break(database_url: str) -> None:
    async def scenario() -> None:
        await make_days(database_url, 40)
        org = await make_organization(database_url)
        old = LogWriter(org, days_back=40)
        await old.write(database_url, *(old.event("a") for _ in range(3)))
        async with database_at(database_url) as database:
            today = LogWriter(org)
            today.seq, today.offsets = old.seq, dict(old.offsets)
            reader = LogReader(database, retention_days=30)
            world = World(today, reader, database_url, Realtime())
            world.head(1)
            (event,) = await world.commit(1)
            world.live([event])
            assert await eventually(lambda: bool(world.breaks), within_s=10)
            assert world.heard == []
            assert world.feed.next_seq == event.seq + 1

    run(scenario())


def test_what_was_missed_of_a_log_that_is_no_more_is_no_break_of_the_next_one() -> None:
    # A log in memory, since its epoch must change exactly while a page is read.
    async def scenario() -> None:
        log = MemoryLog()
        replica = MemoryReplica(log)
        feed = replica.hub.join(b"o" * 16)
        log.announce(0)
        for _ in range(3):
            log.commit("a")
        log.announce(3)
        await turns(3)  # a page is read
        log.epoch = "another"
        log.announce(2)
        assert replica.clients.breaks == 1
        listener = live(feed, "a")
        log.push(3, 3)  # of the new one
        log.gate.open_all()
        await turns(5)
        assert listener.offsets == [3]
        assert replica.clients.breaks == 1

    run(scenario())


def test_who_catches_up_over_a_range_past_its_retention_is_not_passed_over_it() -> None:
    async def scenario() -> None:
        log = MemoryLog()
        replica = MemoryReplica(log)
        feed = replica.hub.join(b"o" * 16)
        channel = feed.channel("a")
        log.announce(0)
        log.publish("a")
        noted = channel.catching[object()] = Catching(10, 1_000)
        waiting = asyncio.ensure_future(feed.reached(3))
        for _ in range(2):
            log.commit("a")
        log.expired = 3
        log.announce(3)
        await turns(3)
        log.gate.open_all()
        await asyncio.wait_for(waiting, 5)
        assert (noted.overflowed, channel.offset) == (True, None)  # the log must be asked for both
        assert replica.clients.breaks == 1

    run(scenario())


def test_while_the_log_cannot_be_read_it_is_tried_again() -> None:
    # A log in memory, since its answers must fail exactly twice.
    async def scenario() -> None:
        log = MemoryLog()
        replica = MemoryReplica(log)
        feed = replica.hub.join(b"o" * 16)
        listener = live(feed, "a")
        log.announce(0)
        log.commit("a")
        log.announce(1)
        for _ in range(2):
            await turns(3)
            assert log.gate.open(0, well=False)
            await turns(3)
            assert replica.clock.gate.open(0)
        await turns(3)
        log.gate.open_all()
        await turns(5)
        assert listener.offsets == [1]
        assert replica.clients.breaks == 0

    run(scenario())


def test_a_gap_is_read_in_pages_that_memory_can_hold() -> None:
    async def scenario() -> None:
        log = MemoryLog()
        replica = MemoryReplica(log, recent_bytes_max=2)  # the log in memory counts a byte for each event
        feed = replica.parts.hub.join(ORG)
        for _ in range(5):
            log.commit("a")
        log.announce(5)
        reached = []
        while feed.next_seq <= 5:
            await turns(3)
            assert log.gate.open(0)
            await turns(3)
            reached.append(feed.next_seq - 1)
        assert reached == [2, 4, 5]
        await replica.tasks.close()

    run(scenario())


def test_a_hole_in_a_channel_is_told_to_everybody(database_url: str) -> None:
    async def scenario() -> None:
        async with world_of(database_url) as world:
            world.head(0)
            (first,) = await world.commit(1)
            world.live([first])
            broken = Event(2, bytes(16), first.type, first.created_at, b"1", (("a", 3),))
            world.live([broken])
            assert world.breaks == [world.feed]

    run(scenario())


def test_a_publication_that_is_not_stored_moves_nothing_and_is_for_those_who_are_live(
    database_url: str,
) -> None:
    async def scenario() -> None:
        async with world_of(database_url) as world:
            world.head(0)
            for channel in ("a", "nobody"):
                world.whisper(channel, b'"typing"')
            await turns(2)
            assert world.listener.publications == [{"data": "typing"}]
            assert world.feed.next_seq == 1
            assert set(world.feed.channels) == {"a"}

    run(scenario())


def test_an_event_in_several_channels_is_pushed_in_each(database_url: str) -> None:
    async def scenario() -> None:
        async with world_of(database_url) as world:
            other = live(world.feed, "b")
            world.head(0)
            world.live(await world.commit(1, "b") + await world.commit(2, "a", "b", "c"))
            await world.reached(3)
            assert world.heard == [1, 2]
            assert other.offsets == [1, 2, 3]

    run(scenario())


def test_what_one_tick_dispatches_is_written_in_one_frame(database_url: str) -> None:
    async def scenario() -> None:
        async with world_of(database_url) as world:
            frames: list[bytes] = []

            class Frames(Recorder):
                def write(self, data: bytes) -> None:
                    frames.append(data)

            listener = Listener()
            listener.wire = Frames(FORMS.websocket_json)
            live(world.feed, "a", listener)
            world.head(0)
            for event in await world.commit(5):
                world.live([event])
            assert frames == []
            await world.reached(5)
            assert len(frames) == 1

    run(scenario())


def test_a_channel_is_forgotten_with_its_last_subscriber(database_url: str) -> None:
    async def scenario() -> None:
        async with world_of(database_url) as world:
            channel = world.feed.channel("a")
            assert world.feed.channel("a") is channel
            channel.catching[1] = Catching(1, 1_000_000)
            channel.leave(world.listener)
            world.feed.leave(channel)
            assert world.feed.channels == {"a": channel}
            channel.catching.clear()
            world.feed.leave(channel)
            assert world.feed.channels == {}

    run(scenario())


def test_who_joins_and_leaves_is_told_to_those_who_hear_of_it(database_url: str) -> None:
    async def scenario() -> None:
        async with world_of(database_url) as world:
            world.feed.channel("a").hear(world.listener)
            bob = ClientInfo("b", "bob")
            for kind in (JOINED, LEFT):
                world.whisper("a", b"", bob, kind)
                world.whisper("nobody", b"", bob, kind)
                world.whisper("a", b"", None, kind)  # of a release that says less
            about = {"channel": "a", "join": {"info": {"user": "b", "client": "bob"}}}
            assert world.listener.wire.pushes() == [about, {"channel": "a", "leave": about["join"]}]

    run(scenario())


def test_an_order_is_handed_to_the_clients_and_is_no_publication(database_url: str) -> None:
    async def scenario() -> None:
        async with world_of(database_url) as world:
            world.whisper("", b"order", kind=ORDER)
            world.whisper("a", b"order", kind=ORDER)
            await turns(2)
            assert world.clients.orders == [(world.feed, b"order")] * 2
            assert world.listener.wire.lines == []

    run(scenario())


def test_a_fresh_head_covers_what_was_acknowledged_and_brings_the_epoch() -> None:
    async def scenario() -> None:
        log = MemoryLog(greets=False)
        replica = MemoryReplica(log)
        feed = replica.hub.join(ORG)
        log.commit("a")
        asked = asyncio.ensure_future(feed.fresh_head())
        await turns(2)
        log.gate.open_all()
        head = await asked
        assert (head.seq, head.epoch) == (1, log.epoch)
        assert (feed.epoch, feed.next_seq, feed.reaches(head)) == (log.epoch, 2, True)
        heard = asyncio.ensure_future(feed.heard())
        await turns(2)
        assert not heard.done()  # it was asked for, and does not mean that what is said from now on comes
        log.announce(1)
        await heard
        await feed.heard()

    run(scenario())


def test_who_waits_for_an_owner_that_says_nothing_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.realtime.feed.HEARD_S", 0.01)

    async def scenario() -> None:
        feed = MemoryReplica(MemoryLog(greets=False)).hub.join(ORG)
        with pytest.raises(TidingsError) as refused:
            await feed.heard()
        assert refused.value.code is Code.UNAVAILABLE

    run(scenario())


def test_who_published_is_found_among_the_clients_of_the_replica_and_spared(database_url: str) -> None:
    async def scenario() -> None:
        async with world_of(database_url) as world:
            world.clients.here["ann"] = world.listener
            other = live(world.feed, "a")
            world.head(0)
            events = await world.commit(1)
            spared = msgspec.structs.replace(events[0], info=ClientInfo("a", "ann"), flags=SPARES_SENDER)
            world.live([spared])
            await world.reached(1)
            assert (world.heard, other.offsets) == ([], [1])

    run(scenario())

"""One feed for each organization with connections here, kept for a while after the last one left."""

from typing import Any

from adapters.telemetry.tasks import Tasks
from core.ports import LiveListener
from core.streams.event import Head
from gateway.realtime.feed import Feed
from gateway.realtime.hub import LINGER_S, Hub
from settings import Realtime
from tests.helpers.memory_log import ORG, MemoryLog
from tests.helpers.replica import StoppedClock

OTHER = b"p" * 16


class Watching(MemoryLog):
    """A log that knows who watches which organization."""

    def __init__(self) -> None:
        super().__init__()
        self.watched: list[tuple[bytes, LiveListener]] = []

    def watch(self, organization_id: bytes, listener: LiveListener) -> None:
        self.watched.append((organization_id, listener))

    def unwatch(self, organization_id: bytes, listener: LiveListener) -> None:
        self.watched.remove((organization_id, listener))


class World:
    """A hub and what is around it."""

    def __init__(self) -> None:
        self.clock, self.live = StoppedClock(), Watching()
        self.breaks: list[Feed] = []
        log: Any = self.live
        clients: Any = self
        self.hub = Hub(log, log, self.clock, Realtime(), Tasks("test"), clients)

    def broken(self, feed: Feed) -> None:
        self.breaks.append(feed)

    def sweep_after(self, seconds: float) -> None:
        self.clock.seconds += seconds
        self.hub.sweep()


def test_connections_of_one_organization_share_a_feed_that_is_watched_once() -> None:
    world = World()
    feed = world.hub.join(ORG)
    assert world.hub.join(ORG) is feed
    other = world.hub.join(OTHER)
    assert (feed.organization_id, other.organization_id) == (ORG, OTHER)
    assert world.live.watched == [(ORG, feed), (OTHER, other)]
    assert world.hub.feeds == [feed, other]


def test_a_feed_lingers_after_its_last_connection_and_is_then_unwatched() -> None:
    world = World()
    feed = world.hub.join(ORG)
    world.hub.join(ORG)
    world.hub.leave(feed)
    world.sweep_after(10 * LINGER_S)
    assert world.hub.feeds == [feed]
    world.hub.leave(feed)
    world.sweep_after(LINGER_S)
    assert world.hub.feeds == [feed]
    world.sweep_after(0.1)
    assert (world.hub.feeds, world.live.watched) == ([], [])


def test_who_comes_back_in_time_finds_the_same_feed() -> None:
    world = World()
    feed = world.hub.join(ORG)
    world.hub.leave(feed)
    world.sweep_after(LINGER_S / 2)
    assert world.hub.join(ORG) is feed
    world.sweep_after(10 * LINGER_S)
    assert world.live.watched == [(ORG, feed)]
    world.hub.leave(feed)
    world.sweep_after(LINGER_S)
    assert world.hub.feeds == [feed]


def test_who_comes_later_gets_a_new_feed_that_knows_nothing_old() -> None:
    world = World()
    feed = world.hub.join(ORG)
    feed.on_head(Head(ORG, "epochone", 5))
    world.hub.leave(feed)
    world.sweep_after(LINGER_S + 1)
    later = world.hub.join(ORG)
    assert later is not feed
    assert (later.epoch, later.next_seq) == ("", 0)


def test_whose_log_broke_is_told_by_its_feed() -> None:
    world = World()
    feed, other = world.hub.join(ORG), world.hub.join(OTHER)
    for epoch in ("epochone", "epochtwo"):
        feed.on_head(Head(ORG, epoch, 5))
        other.on_head(Head(OTHER, "epochone", 5))
    assert world.breaks == [feed]

"""A subscriber that wants few publications: of each key the latest arrives, and offsets ascend."""

import asyncio
from dataclasses import replace
from typing import Any

from core.channels.filter import FilterNode
from core.channels.namespace import OWN
from core.connections.subscription import Grant
from core.streams.event import PUBLICATION_CREATED, SPARES_SENDER, ClientInfo, Event
from gateway.realtime.channel import Channel
from tests.helpers.eventually import eventually
from tests.helpers.listener import FORMS, Following, Listener, document
from tests.helpers.loop import run

FAST = Grant(OWN, max_rate=50.0)
NEVER_AGAIN = Grant(OWN, max_rate=0.001)
"""One goes out, and nothing more while a test lasts."""


def publication(offset: int, key: str = "", **of: Any) -> Event:
    tags = {"key": key, "n": str(offset)} if key else None
    data = of.pop("data", b"%d" % offset)
    return Event(offset, b"", PUBLICATION_CREATED, 0, data, (("news", offset),), tags=tags, **of)


class World:
    """A channel with subscribers, and what is published in it."""

    def __init__(self) -> None:
        self.sender = Listener(client_id="sender")
        self.channel = Channel("news", 100_000, {"sender": self.sender}.get)

    def live(self, grant: Grant, listener: Listener | None = None) -> Listener:
        listener = listener or Listener()
        self.channel.go_live(listener, grant, has_last=False)
        return listener

    def publish(self, *events: Event) -> None:
        for event in events:
            self.channel.dispatch(event.seq, event)
        self.channel.flush()


async def settled(listener: Listener, *offsets: int) -> None:
    """Return when the last of these has come, and check that it was these."""
    await eventually(lambda: offsets[-1] in listener.offsets, within_s=5)
    assert listener.offsets == list(offsets)


def test_the_first_comes_at_once_and_of_those_behind_it_the_latest() -> None:
    async def scenario() -> None:
        world = World()
        listener, everything = world.live(FAST), world.live(Grant(OWN))
        world.publish(*(publication(offset) for offset in range(1, 10)))
        assert listener.offsets == [1]
        assert everything.offsets == list(range(1, 10))
        await settled(listener, 1, 9)

    run(scenario())


def test_the_latest_of_each_key_arrives_in_the_order_of_the_offsets() -> None:
    async def scenario() -> None:
        world = World()
        listener = world.live(FAST)
        keys = "abcabcaab"
        world.publish(*(publication(offset, key) for offset, key in enumerate(keys, 1)))
        await settled(listener, 1, 6, 8, 9)
        latest = {push["tags"]["key"]: push["offset"] for push in listener.publications}
        assert latest == {"a": 8, "b": 9, "c": 6}

    run(scenario())


def test_what_comes_while_others_wait_is_in_the_next_round_and_none_is_lost_for_good() -> None:
    async def scenario() -> None:
        world = World()
        listener = world.live(FAST)
        for offset in range(1, 60):
            world.publish(publication(offset, "ab"[offset % 2]))
            await asyncio.sleep(0)
        await eventually(lambda: {58, 59} <= set(listener.offsets), within_s=5)
        assert listener.offsets == sorted(set(listener.offsets))
        assert len(listener.offsets) < 59

    run(scenario())


def test_a_filter_and_the_wish_to_be_spared_hold_here_too() -> None:
    async def scenario() -> None:
        world = World()
        world.live(replace(FAST, filter=FilterNode(key="key", cmp="neq", val="b")), world.sender)
        own = ClientInfo("ann", "sender")
        world.publish(
            publication(1, "b"),
            publication(2, "a", info=own),
            publication(3, "a", info=own, flags=SPARES_SENDER),
            publication(4, "b"),
            publication(5, "c"),
        )
        await settled(world.sender, 2, 5)

    run(scenario())


def test_with_delta_each_is_a_patch_of_what_was_sent_before_it_and_not_of_what_was_left_out() -> None:
    async def scenario() -> None:
        for form in (FORMS.websocket_json, FORMS.websocket_protobuf):
            world = World()
            listener = world.live(replace(FAST, delta=True), Listener(form))
            world.publish(*(publication(offset, data=document(offset)) for offset in range(1, 5)))
            await settled(listener, 1, 4)
            world.publish(publication(5, data=document(5)))
            await settled(listener, 1, 4, 5)
            following = Following()
            assert following.take_all(listener.publications) == [document(number) for number in (1, 4, 5)]
            assert following.patches == 2

    run(scenario())


def test_who_has_left_gets_nothing_that_waited_and_no_timer_stays() -> None:
    async def scenario() -> None:
        world = World()
        listener, stays = world.live(FAST), world.live(FAST)
        world.publish(publication(1), publication(2))
        world.channel.leave(listener)
        await settled(stays, 1, 2)
        assert listener.offsets == [1]
        world.channel.leave(stays)
        assert world.channel.is_idle

    run(scenario())


def test_each_has_a_lane_of_its_own_with_its_own_time() -> None:
    async def scenario() -> None:
        world = World()
        slow, fast = world.live(NEVER_AGAIN), world.live(FAST)
        world.publish(publication(1), publication(2))
        await settled(fast, 1, 2)
        assert slow.offsets == [1]
        assert world.channel.live_count == 2
        world.channel.leave(slow)
        world.channel.leave(fast)

    run(scenario())

"""One channel: the same bytes to everybody who is live and alike, notes for everybody who is not yet."""

from dataclasses import replace

import msgspec
import orjson
import pytest

from core.channels.filter import FilterNode
from core.channels.namespace import OWN
from core.connections.frames import Joined, Left
from core.connections.subscription import Grant
from core.streams.event import (
    OPAQUE,
    PUBLICATION_CREATED,
    SPARES_SENDER,
    ClientInfo,
    EphemeralPublication,
    Event,
)
from gateway.realtime.catching import Catching
from gateway.realtime.channel import Channel
from tests.helpers.listener import FORMS, Listener
from tests.helpers.loop import run
from tests.helpers.recorder import Recorder

ORG = b"o" * 16
PLAIN = Grant(OWN)
SENDER = ClientInfo("ann", "sender")


def event(offset: int, data: bytes = b"1", info: ClientInfo | None = None, flags: int = 0) -> Event:
    return Event(offset, b"", PUBLICATION_CREATED, 0, data, (("news", offset),), info, flags=flags)


def live(channel: Channel, listener: Listener | None = None, grant: Grant = PLAIN) -> Listener:
    """Let somebody go live."""
    listener = listener or Listener()
    channel.go_live(listener, grant, has_last=False)
    return listener


class Frames(Recorder):
    """A wire that keeps the very objects that it is given."""

    def __init__(self) -> None:
        super().__init__(FORMS.websocket_json)
        self.frames: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.frames.append(data)


@pytest.mark.parametrize("kind", ["filter", "rate"])
def test_to_leave_costs_the_same_however_many_have_terms_of_their_own(kind: str) -> None:
    asked = 0

    class Asked(Listener):
        def __hash__(self) -> int:
            nonlocal asked
            asked += 1
            return id(self)

    async def scenario() -> None:
        channel = Channel("news", 1_000)
        listeners = []
        for number in range(50):
            tags = FilterNode(key="a", cmp="eq", val=str(number))
            of = {"filter": tags} if kind == "filter" else {"max_rate": 1.0 + number}
            listeners.append(live(channel, Asked(), replace(PLAIN, **of)))  # type: ignore[arg-type]
        plain = live(channel, Asked())
        before = asked
        assert channel.is_live(listeners[-1])
        for listener in (listeners[-1], plain):
            channel.leave(listener)
            assert not channel.is_live(listener)
        assert asked - before < 30
        for listener in listeners:
            channel.leave(listener)
        assert channel.is_idle

    run(scenario())


def test_everybody_gets_the_same_bytes_in_one_frame_for_all_that_was_gathered() -> None:
    channel = Channel("news", 1_000)
    first, second = Frames(), Frames()
    for wire in (first, second):
        listener = Listener()
        listener.wire = wire
        live(channel, listener)
    for offset in (1, 2, 3):
        assert channel.dispatch(offset, event(offset))
    assert first.frames == []
    channel.flush()
    channel.flush()
    assert len(first.frames) == 1
    assert first.frames[0] is second.frames[0]


def test_those_of_another_form_get_the_same_in_their_own() -> None:
    channel = Channel("news", 1_000)
    text, binary = live(channel), live(channel, Listener(FORMS.websocket_protobuf))
    channel.dispatch(1, event(1, b'{"x":1}'))
    channel.flush()
    assert text.wire.lines == [{"push": {"channel": "news", "pub": {"data": {"x": 1}, "offset": 1}}}]
    assert binary.wire.lines == [{"push": {"channel": "news", "pub": {"data": b'{"x":1}', "offset": 1}}}]


def test_what_is_dispatched_twice_is_pushed_once() -> None:
    channel = Channel("news", 1_000)
    listener = live(channel)
    for offset in (4, 5, 4, 5, 6):
        assert channel.dispatch(offset, event(offset))
    channel.flush()
    assert listener.offsets == [4, 5, 6]
    assert channel.offset == 6


def test_a_hole_is_told_and_not_pushed_over() -> None:
    channel = Channel("news", 1_000)
    listener = live(channel)
    assert channel.dispatch(1, event(1))
    assert not channel.dispatch(3, event(3))
    channel.flush()
    assert listener.offsets == [1]
    assert channel.offset == 1


def test_where_nobody_is_live_there_is_no_hole() -> None:
    channel = Channel("news", 1_000)
    assert channel.dispatch(1, event(1))
    assert channel.dispatch(9, event(9))
    assert channel.offset == 9


def test_who_catches_up_is_sent_nothing_and_finds_it_noted() -> None:
    channel = Channel("news", 1_000)
    listener = live(channel)
    catching = channel.catching[2] = Catching(10, 1_000_000)
    for offset in (1, 2):
        channel.dispatch(offset, event(offset))
    channel.flush()
    assert listener.offsets == [1, 2]
    assert [offset for offset, _ in catching.noted] == [1, 2]


def test_a_publication_that_is_not_stored_has_no_offset_and_moves_none() -> None:
    channel = Channel("news", 1_000)
    listener = live(channel)
    catching = channel.catching[2] = Catching(10, 1_000_000)
    channel.dispatch(1, event(1))
    channel.dispatch_ephemeral(EphemeralPublication(ORG, "news", b'"typing"', SENDER, {"a": "b"}))
    channel.dispatch(2, event(2))
    channel.flush()
    info = {"user": "ann", "client": "sender"}
    assert listener.publications == [
        {"data": 1, "offset": 1},
        {"data": "typing", "info": info, "tags": {"a": "b"}},
        {"data": 1, "offset": 2},
    ]
    assert [offset for offset, _ in catching.noted] == [1, 2]
    assert channel.offset == 2


def test_without_subscribers_nothing_is_kept_for_later() -> None:
    channel = Channel("news", 1_000)
    channel.dispatch(1, event(1))
    channel.dispatch_ephemeral(EphemeralPublication(ORG, "news", b"1"))
    listener = live(channel)
    channel.flush()
    assert listener.wire.lines == []


def test_another_epoch_forgets_where_it_stood_and_lets_those_who_catch_up_ask_anew() -> None:
    channel = Channel("news", 1_000)
    listener = live(channel)
    catching = channel.catching[2] = Catching(10, 1_000_000)
    channel.dispatch(7, event(7))
    channel.reset()
    assert listener.offsets == [7]  # it was gathered before
    assert channel.offset is None
    assert (list(catching.noted), catching.overflowed) == ([], True)
    assert channel.dispatch(1, event(1))
    channel.flush()
    assert listener.offsets == [7, 1]


@pytest.mark.parametrize("grant", [PLAIN, replace(PLAIN, delta=True)], ids=["plain", "delta"])
def test_who_published_is_spared_if_it_wants_to_be_and_others_are_not(grant: Grant) -> None:
    sender, other = Listener(client_id="sender"), Listener(client_id="other")
    channel = Channel("news", 1_000, {"sender": sender}.get)
    for listener in (sender, other):
        live(channel, listener, grant)
    channel.dispatch(1, event(1, info=SENDER))
    channel.dispatch(2, event(2, info=SENDER, flags=SPARES_SENDER))
    channel.dispatch(3, event(3, info=ClientInfo("ann", "elsewhere"), flags=SPARES_SENDER))
    channel.flush()
    assert other.offsets == [1, 2, 3]
    assert sender.offsets == [1, 3]


def test_a_payload_that_is_not_json_ends_those_who_read_json_and_no_others() -> None:
    channel = Channel("news", 1_000)
    text, patched = live(channel), live(channel, grant=replace(PLAIN, delta=True))
    slow = live(channel, grant=replace(PLAIN, max_rate=1.0))
    binary = live(channel, Listener(FORMS.websocket_protobuf))
    channel.dispatch(1, event(1, b"\xff\x00", flags=OPAQUE))
    channel.flush()
    assert [listener.refused for listener in (text, patched, slow, binary)] == [1, 1, 1, 0]
    assert text.wire.lines == patched.wire.lines == slow.wire.lines == []
    assert binary.publications == [{"data": b"\xff\x00", "offset": 1}]


@pytest.mark.parametrize("max_rate", [0.0, 1_000.0])
def test_a_payload_that_is_not_json_and_not_wanted_ends_nobody(max_rate: float) -> None:
    async def scenario() -> None:
        channel = Channel("news", 1_000)
        tags = FilterNode(key="kind", cmp="eq", val="text")
        text = live(channel, grant=replace(PLAIN, filter=tags, max_rate=max_rate))
        channel.dispatch(1, msgspec.structs.replace(event(1, b"\xff", flags=OPAQUE), tags={"kind": "image"}))
        channel.dispatch(2, msgspec.structs.replace(event(2), tags={"kind": "text"}))
        channel.flush()
        assert (text.refused, text.offsets) == (0, [2])
        channel.dispatch(3, msgspec.structs.replace(event(3, b"\xff", flags=OPAQUE), tags={"kind": "text"}))
        channel.flush()
        assert (text.refused, text.offsets) == (1, [2])

    run(scenario())


# --- who is there


def test_who_comes_and_goes_is_told_to_those_who_hear_of_it_but_not_to_itself() -> None:
    channel = Channel("news", 1_000)
    ann, bob = Listener(client_id="ann"), Listener(FORMS.websocket_protobuf, "bob")
    deaf = live(channel, Listener(client_id="carl"))
    channel.hear(ann)
    channel.hear(bob)
    channel.announce(Joined("news", ClientInfo("b", "bob", b'{"x":1}')))
    channel.announce(Left("news", ClientInfo("a", "ann")))
    about = {"user": "b", "client": "bob", "conn_info": {"x": 1}}
    assert ann.wire.lines == [{"push": {"channel": "news", "join": {"info": about}}}]
    about = {"user": "a", "client": "ann"}
    assert bob.wire.lines == [{"push": {"channel": "news", "leave": {"info": about}}}]
    assert deaf.wire.lines == []


def test_word_of_who_leaves_comes_after_what_was_published_before() -> None:
    channel = Channel("news", 1_000)
    listener = live(channel)
    channel.hear(listener)
    channel.dispatch(1, event(1))
    channel.announce(Left("news", ClientInfo("b", "bob")))
    assert [next(iter(push.keys() - {"channel"})) for push in listener.wire.pushes()] == ["pub", "leave"]


def test_what_was_published_before_may_be_the_end_of_all_who_would_hear_who_comes() -> None:
    channel = Channel("news", 1_000)
    listener = Listener()
    listener.refuse_payload = lambda: channel.leave(listener)  # type: ignore[method-assign]  # as a client does
    live(channel, listener)
    channel.hear(listener)
    channel.dispatch(1, event(1, flags=OPAQUE))
    channel.announce(Joined("news", ClientInfo("b", "bob")))
    assert listener.wire.lines == []
    assert channel.is_idle


def test_it_is_idle_when_nobody_is_live_catches_up_or_hears() -> None:
    channel, listener = Channel("news", 1_000), Listener()
    found = [(channel.is_idle, channel.is_live(listener))]

    def note() -> None:
        channel.catching[listener] = Catching(1, 1_000_000)

    for enter in (lambda: live(channel, listener), note, lambda: channel.hear(listener)):
        enter()
        found.append((channel.is_idle, channel.is_live(listener)))
        channel.leave(listener)
        found.append((channel.is_idle, channel.is_live(listener)))
    idle = (True, False)
    assert found == [idle, (False, True), idle, (False, False), idle, (False, False), idle]


def test_all_that_are_live_are_counted_and_looked_at_whatever_their_terms() -> None:
    channel = Channel("news", 1_000)
    grants = [PLAIN, PLAIN, replace(PLAIN, delta=True), replace(PLAIN, max_rate=1.0)]
    listeners = [live(channel, grant=grant) for grant in grants]
    assert channel.live_count == 4
    assert set(channel.wires()) == {listener.wire for listener in listeners}
    for listener in listeners:
        channel.leave(listener)
    assert (channel.live_count, list(channel.wires()), channel.is_idle) == (0, [], True)


def test_who_has_left_hears_nothing_more_and_the_others_go_on() -> None:
    channel = Channel("news", 1_000)
    for grant in (PLAIN, replace(PLAIN, delta=True), replace(PLAIN, max_rate=1_000.0)):
        gone, here = live(channel, grant=grant), live(channel)
        channel.leave(gone)
        channel.leave(gone)
        channel.dispatch((channel.offset or 0) + 1, event(1, orjson.dumps("news")))
        channel.flush()
        assert gone.wire.lines == []
        assert len(here.publications) == 1

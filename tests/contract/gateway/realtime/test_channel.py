"""One channel: the same bytes to everybody who is live, notes for everybody who is not yet."""

import orjson
import pytest

from core.streams.event import PUBLICATION_CREATED, EphemeralPublication, Event
from gateway.realtime.channel import Catching, Channel, frames_of
from tests.helpers.replica import Recorder

ORG = b"o" * 16


def event(offset: int, data: bytes = b"1") -> Event:
    return Event(offset, b"", PUBLICATION_CREATED, 0, data, (("news", offset),))


class Shared:
    """A wire that keeps the very objects that it is given."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.frames.append(data)


def offsets(recorder: Recorder) -> list[int]:
    return [line["push"]["pub"]["offset"] for line in recorder.lines]


def test_everybody_gets_the_same_bytes_in_one_frame_for_all_that_was_gathered() -> None:
    channel = Channel("news", 1_000)
    first, second = Shared(), Shared()
    channel.live = {1: first, 2: second}
    for offset in (1, 2, 3):
        assert channel.dispatch(offset, event(offset))
    assert first.frames == []
    channel.flush()
    channel.flush()
    assert len(first.frames) == 1
    assert first.frames[0] is second.frames[0]


def test_what_is_dispatched_twice_is_pushed_once() -> None:
    channel, wire = Channel("news", 1_000), Recorder()
    channel.live[1] = wire
    for offset in (4, 5, 4, 5, 6):
        assert channel.dispatch(offset, event(offset))
    channel.flush()
    assert offsets(wire) == [4, 5, 6]
    assert channel.offset == 6


def test_a_hole_is_told_and_not_pushed_over() -> None:
    channel, wire = Channel("news", 1_000), Recorder()
    channel.live[1] = wire
    assert channel.dispatch(1, event(1))
    assert not channel.dispatch(3, event(3))
    channel.flush()
    assert offsets(wire) == [1]
    assert channel.offset == 1


def test_where_nobody_is_live_there_is_no_hole() -> None:
    channel = Channel("news", 1_000)
    assert channel.dispatch(1, event(1))
    assert channel.dispatch(9, event(9))
    assert channel.offset == 9


def test_who_catches_up_is_sent_nothing_and_finds_it_noted() -> None:
    channel, live = Channel("news", 1_000), Recorder()
    channel.live[1] = live
    catching = channel.catching[2] = Catching(10, 1_000_000)
    for offset in (1, 2):
        channel.dispatch(offset, event(offset))
    channel.flush()
    assert offsets(live) == [1, 2]
    assert [offset for offset, _ in catching.noted] == [1, 2]


def test_past_its_limit_nothing_is_noted_any_more_and_that_is_known() -> None:
    catching = Catching(2, 1_000_000)
    for offset in (1, 2):
        catching.note(offset, event(offset))
    assert (len(catching.noted), catching.overflowed) == (2, False)
    for offset in (3, 4):
        catching.note(offset, event(offset))
        assert (len(catching.noted), catching.overflowed) == (0, True)


def test_a_publication_that_is_not_stored_has_no_offset_and_moves_none() -> None:
    channel, wire = Channel("news", 1_000), Recorder()
    channel.live[1] = wire
    catching = channel.catching[2] = Catching(10, 1_000_000)
    channel.dispatch(1, event(1))
    channel.dispatch_ephemeral(EphemeralPublication(ORG, "news", b'"typing"'))
    channel.dispatch(2, event(2))
    channel.flush()
    publications = [line["push"]["pub"] for line in wire.lines]
    assert publications == [{"data": 1, "offset": 1}, {"data": "typing"}, {"data": 1, "offset": 2}]
    assert [offset for offset, _ in catching.noted] == [1, 2]
    assert channel.offset == 2


def test_without_subscribers_nothing_is_encoded_for_later() -> None:
    channel, wire = Channel("news", 1_000), Recorder()
    channel.dispatch(1, event(1))
    channel.dispatch_ephemeral(EphemeralPublication(ORG, "news", b"1"))
    channel.live[1] = wire
    channel.flush()
    assert wire.lines == []


def test_a_push_of_its_own_says_what_the_shared_one_says() -> None:
    channel, wire = Channel('with "quotes"', 1_000), Recorder()
    channel.live[1] = wire
    channel.dispatch(7, event(7, b'{"x":1}'))
    channel.flush()
    assert wire.lines == [orjson.loads(channel.push_of(7, event(7, b'{"x":1}')))]


def test_it_is_idle_when_nobody_is_live_or_catching_up() -> None:
    channel = Channel("news", 1_000)
    assert channel.is_idle
    channel.live[1] = Recorder()
    assert not channel.is_idle
    channel.live.clear()
    channel.catching[1] = Catching(1, 1_000_000)
    assert not channel.is_idle


@pytest.mark.parametrize(
    ("sizes", "frames"),
    [([10], 1), ([40, 40], 1), ([60, 60], 2), ([200], 1), ([10, 200, 10], 3), ([30] * 9, 3)],
)
def test_a_frame_is_bounded_and_a_longer_message_has_one_of_its_own(sizes: list[int], frames: int) -> None:
    messages = [b"%d" % (number % 10) * size for number, size in enumerate(sizes)]
    made = frames_of(messages, 100)
    assert len(made) == frames
    recorded = b"\n".join(frame[4:] if frame[1] == 126 else frame[2:] for frame in made)
    assert recorded == b"\n".join(messages)

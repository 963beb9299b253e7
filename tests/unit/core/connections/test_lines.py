"""Lines: nothing of a channel is overtaken, nothing of another one waits."""

import pytest

from core.connections.admission import Terms
from core.connections.effects import Admit, Close, Effect, Join, Leave, Read, Renew, See, Send, Write
from core.connections.frames import (
    History,
    Presence,
    Publish,
    SubRefresh,
    Subscribe,
    Unsubscribe,
    Unsubscribed,
)
from core.connections.lines import Add, Evict, Lines
from tests.helpers.connections import ROOM

SUBSCRIBE, UNSUBSCRIBE, HISTORY = Subscribe(1, "a"), Unsubscribe(2, "a"), History(3, "a")
PUBLISH, ELSEWHERE = Publish(4, "a", b"1"), Publish(5, "b", b"1")
READ, WRITE = Read(HISTORY), Write(PUBLISH)
ADD, EVICT = Add(Subscribe(0, "a"), Terms("a")), Evict("a", 2000)


def test_nothing_waits_where_nothing_is_under_way() -> None:
    lines = Lines(4)
    assert not any(lines.must_wait(one) for one in (SUBSCRIBE, UNSUBSCRIBE, HISTORY, PUBLISH, ADD, EVICT))
    assert list(lines.turns("a")) == []


def test_whatever_names_a_held_channel_waits_and_is_given_back_in_order() -> None:
    lines = Lines(6)
    lines.begun("a", READ)
    for command in (SUBSCRIBE, PUBLISH, HISTORY, ADD, UNSUBSCRIBE, EVICT):
        assert lines.must_wait(command)
        assert lines.wait(command)
    assert not lines.must_wait(ELSEWHERE)
    assert list(lines.turns("a")) == [SUBSCRIBE, PUBLISH, HISTORY, ADD, UNSUBSCRIBE, EVICT]
    assert not lines.must_wait(SUBSCRIBE)


@pytest.mark.parametrize(
    "effect",
    [
        Join(SUBSCRIBE, ROOM),
        Admit(SUBSCRIBE, ask_backend=False),
        Leave("a", ROOM, 2),
        Renew(SubRefresh(6, "a", "t")),
        READ,
        See(Presence(7, "a")),
        Write(PUBLISH, ask_backend=True),
    ],
)
def test_what_others_must_do_is_overtaken_by_nothing_of_its_channel(effect: Effect) -> None:
    lines = Lines(4)
    lines.begun("a", effect)
    assert all(lines.must_wait(one) for one in (SUBSCRIBE, UNSUBSCRIBE, HISTORY, PUBLISH, ADD, EVICT))
    assert not lines.must_wait(ELSEWHERE)


@pytest.mark.parametrize("effect", [Send(2, Unsubscribed()), Close(3500)])
def test_for_what_is_done_at_once_nothing_waits(effect: Effect) -> None:
    lines = Lines(4)
    lines.begun("a", effect)
    assert not lines.must_wait(PUBLISH)
    assert not lines.must_wait(HISTORY)


def test_a_line_has_so_many_places_and_no_more() -> None:
    lines = Lines(2)
    lines.begun("a", READ)
    assert [lines.wait(PUBLISH), lines.wait(HISTORY), lines.wait(EVICT)] == [True, True, False]
    lines.begun("b", READ)
    assert lines.wait(ELSEWHERE)
    assert list(lines.turns("a")) == [PUBLISH, HISTORY]


def test_publishes_go_on_together_and_what_is_none_waits_for_all_of_them() -> None:
    lines = Lines(4)
    lines.begun("a", WRITE)
    lines.begun("a", WRITE)
    lines.begun("b", WRITE)
    assert not lines.must_wait(PUBLISH)
    assert all(lines.must_wait(one) for one in (SUBSCRIBE, UNSUBSCRIBE, HISTORY, ADD, EVICT))
    assert not lines.published("a")
    assert lines.must_wait(HISTORY)
    assert lines.published("a")
    assert not lines.must_wait(HISTORY)
    assert lines.published("b")


def test_a_publish_does_not_overtake_what_waits_for_publishes() -> None:
    lines = Lines(4)
    lines.begun("a", WRITE)
    assert lines.must_wait(HISTORY)
    assert lines.wait(HISTORY)
    assert lines.must_wait(PUBLISH)


def test_what_cannot_go_on_yet_waits_on_in_its_order() -> None:
    lines, done = Lines(4), []
    lines.begun("a", READ)
    for command in (SUBSCRIBE, PUBLISH, HISTORY):
        lines.wait(command)
    for turn in lines.turns("a"):
        done.append(turn)
        lines.begun("a", READ)
    assert done == [SUBSCRIBE]
    assert lines.wait(UNSUBSCRIBE)
    assert list(lines.turns("a")) == [PUBLISH, HISTORY, UNSUBSCRIBE]


def test_what_waits_on_behind_publishes_alone_holds_the_channel() -> None:
    lines, done = Lines(4), []
    lines.begun("a", READ)
    for command in (PUBLISH, PUBLISH, HISTORY):
        lines.wait(command)
    for turn in lines.turns("a"):
        done.append(turn)
        lines.begun("a", WRITE)
    assert done == [PUBLISH, PUBLISH]
    assert lines.must_wait(PUBLISH)


def test_one_line_is_taken_and_the_others_stay() -> None:
    lines = Lines(4)
    lines.begun("a", READ)
    lines.begun("b", READ)
    lines.wait(ELSEWHERE)
    assert list(lines.turns("c")) == []
    assert list(lines.turns("a")) == []
    assert list(lines.turns("b")) == [ELSEWHERE]


def test_an_addition_is_of_the_channel_of_its_command() -> None:
    assert ADD.channel == "a"

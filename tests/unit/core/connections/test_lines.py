"""Lines: nothing of a channel is overtaken, nothing of another one waits."""

from core.connections.admission import Terms
from core.connections.frames import History, Publish, Subscribe, Unsubscribe
from core.connections.lines import Add, Evict, Lines

SUBSCRIBE, UNSUBSCRIBE, HISTORY = Subscribe(1, "a"), Unsubscribe(2, "a"), History(3, "a")
PUBLISH, ELSEWHERE = Publish(4, "a", b"1"), Publish(5, "b", b"1")
ADD, EVICT = Add(Subscribe(0, "a"), Terms("a")), Evict("a", 2000)


def test_nothing_waits_where_nothing_is_under_way() -> None:
    lines = Lines(4)
    assert not any(lines.must_wait(one) for one in (SUBSCRIBE, UNSUBSCRIBE, HISTORY, PUBLISH, ADD, EVICT))
    assert list(lines.turns("a")) == []


def test_whatever_names_a_held_channel_waits_and_is_given_back_in_order() -> None:
    lines = Lines(6)
    lines.hold("a")
    for command in (SUBSCRIBE, PUBLISH, HISTORY, ADD, UNSUBSCRIBE, EVICT):
        assert lines.must_wait(command)
        assert lines.wait(command)
    assert not lines.must_wait(ELSEWHERE)
    assert list(lines.turns("a")) == [SUBSCRIBE, PUBLISH, HISTORY, ADD, UNSUBSCRIBE, EVICT]
    assert not lines.must_wait(SUBSCRIBE)


def test_a_line_has_so_many_places_and_no_more() -> None:
    lines = Lines(2)
    lines.hold("a")
    assert [lines.wait(PUBLISH), lines.wait(HISTORY), lines.wait(EVICT)] == [True, True, False]
    lines.hold("b")
    assert lines.wait(ELSEWHERE)
    assert list(lines.turns("a")) == [PUBLISH, HISTORY]


def test_publishes_go_on_together_and_what_is_none_waits_for_all_of_them() -> None:
    lines = Lines(4)
    lines.publishing("a")
    lines.publishing("a")
    lines.publishing("b")
    assert not lines.must_wait(PUBLISH)
    assert all(lines.must_wait(one) for one in (SUBSCRIBE, UNSUBSCRIBE, HISTORY, ADD, EVICT))
    assert not lines.published("a")
    assert lines.must_wait(HISTORY)
    assert lines.published("a")
    assert not lines.must_wait(HISTORY)
    assert lines.published("b")


def test_a_publish_does_not_overtake_what_waits_for_publishes() -> None:
    lines = Lines(4)
    lines.publishing("a")
    assert lines.must_wait(HISTORY)
    assert lines.wait(HISTORY)
    assert lines.must_wait(PUBLISH)


def test_what_cannot_go_on_yet_waits_on_in_its_order() -> None:
    lines, done = Lines(4), []
    lines.hold("a")
    for command in (SUBSCRIBE, PUBLISH, HISTORY):
        lines.wait(command)
    for turn in lines.turns("a"):
        done.append(turn)
        lines.hold("a")
    assert done == [SUBSCRIBE]
    assert lines.wait(UNSUBSCRIBE)
    assert list(lines.turns("a")) == [PUBLISH, HISTORY, UNSUBSCRIBE]


def test_what_waits_on_behind_publishes_alone_holds_the_channel() -> None:
    lines, done = Lines(4), []
    lines.hold("a")
    for command in (PUBLISH, PUBLISH, HISTORY):
        lines.wait(command)
    for turn in lines.turns("a"):
        done.append(turn)
        lines.publishing("a")
    assert done == [PUBLISH, PUBLISH]
    assert lines.must_wait(PUBLISH)


def test_one_line_is_taken_and_the_others_stay() -> None:
    lines = Lines(4)
    lines.hold("a")
    lines.hold("b")
    lines.wait(ELSEWHERE)
    assert list(lines.turns("c")) == []
    assert list(lines.turns("a")) == []
    assert list(lines.turns("b")) == [ELSEWHERE]


def test_an_addition_is_of_the_channel_of_its_command() -> None:
    assert ADD.channel == "a"

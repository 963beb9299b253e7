"""What is remembered of one connection: its steps, and what they add up to."""

import msgspec
import pytest

from core.channels.filter import FilterNode
from core.connections.journey import (
    FILTER_BYTES_MAX,
    Came,
    Ended,
    Journey,
    Left,
    Paged,
    Refused,
    Step,
    Subscribed,
    WentLive,
    decode_step,
    encode_step,
    kept_filter,
)
from core.instants import Instant

CAME = Came(1, "c-1", "ann", "websocket", "n1", "n1.1")
TAGGED = FilterNode("and", nodes=(FilterNode(key="a", cmp="eq", val="1"), FilterNode(key="b", cmp="ex")))
STEPS: list[Step] = [
    CAME,
    Subscribed(2, "room:1", "one", 4, 6, was_recovering=True, recovered=True, has_filter=True, filter=TAGGED),
    Paged(3, "room:1", 9),
    WentLive(4, "room:1", 10),
    Refused(5, "room:2", 103),
    Left(6, "room:1", 12, 2000),
    Ended(7, 3008, "slow", {"room:3": 7}),
]


def journey(*steps: Step, is_alive: bool = True) -> Journey:
    return Journey(CAME, steps, Instant(100), is_alive=is_alive)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: type(step).__name__)
def test_a_step_is_kept_as_it_is(step: Step) -> None:
    assert decode_step(encode_step(step)) == step


def test_what_is_no_step_is_not_read() -> None:
    for raw in (b"", b"\x91\xa1z", b"\xff", encode_step(CAME)[:-1]):
        with pytest.raises(msgspec.DecodeError):
            decode_step(raw)


def test_a_large_filter_is_not_kept() -> None:
    large = FilterNode(key="a", cmp="in", vals=("x" * FILTER_BYTES_MAX,))
    assert (kept_filter(TAGGED), kept_filter(large), kept_filter(None)) == (TAGGED, None, None)


def test_steps_of_a_subscription_add_up_to_where_it_stands() -> None:
    (stay,) = journey(Subscribed(2, "a", "one", 4, 6)).stays("a")
    assert (stay.sent, stay.is_live) == (6, False)
    assert [stay.covers(offset) for offset in (4, 5, 6, 7)] == [False, True, True, False]
    (stay,) = journey(Subscribed(2, "a", "one", 4, 6), Paged(3, "a", 9)).stays("a")
    assert (stay.sent, stay.live_offset) == (9, None)
    (stay,) = journey(Subscribed(2, "a", "one", 4, 6), WentLive(3, "a", 8)).stays("a")
    assert (stay.sent, stay.is_live, stay.live_at) == (8, True, 3)
    assert stay.covers(1_000_000)


def test_each_subscription_of_a_channel_stands_for_itself() -> None:
    began, live, left = Subscribed(2, "a", "one", 4, 4), WentLive(3, "a", 4), Left(5, "a", 7, 2500)
    again = Subscribed(6, "a", "one", 9, 9)
    first, second = journey(began, live, left, again, Subscribed(7, "b", "one", 0, 0)).stays("a")
    assert (first.sent, first.is_live, first.end and first.end.code) == (7, False, 2500)
    assert [first.covers(offset) for offset in (7, 8)] == [True, False]
    assert (second.sent, second.end) == (9, None)


@pytest.mark.parametrize(
    ("steps", "sent"),
    [
        ((Left(5, "a", 9),), 6),  # it was not live: what the channel was written did not go to it
        ((WentLive(4, "a", 6), Left(5, "a", 9)), 9),
        ((WentLive(4, "a", 6), Ended(5, 3001, "shutdown", {"a": 9})), 9),
        ((WentLive(4, "a", 6), Ended(5, 3001, "shutdown", {})), 6),
        ((Ended(5, 3001, "shutdown", {"a": 9}),), 6),
        ((WentLive(4, "a", 6), Left(5, "a", 9), Left(6, "a", 11), Ended(7, 0, "", {})), 9),
    ],
)
def test_an_end_says_up_to_where_it_was_written(steps: tuple[Step, ...], sent: int) -> None:
    (stay,) = journey(Subscribed(2, "a", "one", 4, 6), *steps).stays("a")
    assert (stay.sent, stay.is_live, stay.end is None) == (sent, False, False)


def test_a_subscription_that_was_told_twice_is_one() -> None:
    (stay,) = journey(Subscribed(2, "a", "one", 4, 4), Subscribed(3, "a", "one", 6, 6)).stays("a")
    assert stay.began.start == 6


def test_steps_without_their_subscription_say_nothing() -> None:
    assert journey(WentLive(4, "a", 6), Left(5, "a", 9), Ended(7, 0, "", {})).stays("a") == []


def test_a_connection_shows_its_channels_refusals_and_end() -> None:
    whole = journey(*STEPS[1:])
    assert (whole.channels, whole.status, whole.ended) == (["room:1"], "disconnected", STEPS[-1])
    assert (whole.refusal("room:2"), whole.refusal("room:1")) == (STEPS[4], None)
    assert journey().status == "connected"
    assert journey(Refused(5, "", 109)).status == "refused"
    assert journey(WentLive(4, "a", 6), is_alive=False).status == "lost"

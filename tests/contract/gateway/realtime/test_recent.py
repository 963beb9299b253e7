"""The newest events in memory: contiguous, findable by position and channel, bounded in bytes."""

import pytest

from core.streams.event import EVENT_BYTES, PUBLICATION_CREATED, Event
from gateway.realtime.recent import Recent


def event(seq: int, *entries: tuple[str, int], data: bytes = b"") -> Event:
    return Event(seq, seq.to_bytes(16, "big"), PUBLICATION_CREATED, seq, data, entries)


def holding(count: int, bytes_max: int = 1_000_000) -> Recent:
    """Return a memory of events from `seq` 11 on, every other one in channel b, too."""
    recent = Recent(bytes_max)
    for number in range(1, count + 1):
        more = (("b", number // 2),) if number % 2 == 0 else ()
        recent.add(event(10 + number, ("a", number), *more))
    return recent


@pytest.mark.parametrize(("seq", "found"), [(10, [11, 12, 13]), (12, [13, 14]), (14, []), (99, [])])
def test_events_after_a_position_come_in_order_and_not_more_than_asked_for(
    seq: int, found: list[int]
) -> None:
    events = holding(4).after_seq(seq, 3)
    assert events is not None
    assert [event.seq for event in events] == found


def test_memory_says_so_when_it_does_not_reach_back() -> None:
    assert holding(4).after_seq(9, 3) is None
    assert Recent(1_000).after_seq(0, 3) is None
    assert holding(4).after_offset("nobody", 0, 3) is None
    recent = holding(4, bytes_max=2 * EVENT_BYTES)
    assert recent.after_offset("a", 1, 3) is None
    assert recent.after_offset("a", 2, 3) is not None


@pytest.mark.parametrize(
    ("channel", "offset", "found"),
    [
        ("a", 0, [(1, 11), (2, 12), (3, 13)]),
        ("a", 2, [(3, 13), (4, 14)]),
        ("b", 0, [(1, 12), (2, 14)]),
        ("b", 2, []),
        ("b", 9, []),
    ],
)
def test_publications_of_a_channel_come_with_their_offsets(
    channel: str, offset: int, found: list[tuple[int, int]]
) -> None:
    publications = holding(4).after_offset(channel, offset, 3)
    assert publications is not None
    assert [(offset, event.seq) for offset, event in publications] == found


def test_the_oldest_leave_when_there_are_too_many_bytes() -> None:
    recent = Recent(3 * (EVENT_BYTES + 10))
    for seq in range(1, 101):
        recent.add(event(seq, ("a", seq), (f"once:{seq}", 1), data=b"0123456789"))
    assert recent.after_seq(96, 10) is None
    kept = recent.after_seq(97, 10)
    assert kept is not None
    assert [event.seq for event in kept] == [98, 99, 100]
    assert recent.after_offset("once:97", 0, 1) is None
    assert recent.after_offset("once:98", 0, 1) is not None


def test_one_event_stays_however_large_it_is() -> None:
    recent = Recent(10)
    recent.add(event(1, ("a", 1), data=b"x" * 1_000))
    recent.add(event(2, ("a", 2), data=b"x" * 1_000))
    assert recent.after_seq(0, 5) is None
    assert [event.seq for event in recent.after_seq(1, 5) or []] == [2]


def test_what_was_forgotten_does_not_come_back_with_the_next_event() -> None:
    recent = holding(4)
    recent.clear()
    assert recent.after_seq(13, 5) is None
    recent.add(event(30, ("a", 9)))
    assert recent.after_seq(28, 5) is None
    assert [event.seq for event in recent.after_seq(29, 5) or []] == [30]
    assert recent.after_offset("a", 4, 5) is None
    assert recent.after_offset("b", 0, 5) is None

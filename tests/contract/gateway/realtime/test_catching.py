"""What is noted for who is not live yet: all of it in order, or nothing and the knowledge of that."""

from core.streams.event import EVENT_BYTES, PUBLICATION_CREATED, Event
from gateway.realtime.catching import Catching


def event(offset: int, data: bytes = b"1") -> Event:
    return Event(offset, b"", PUBLICATION_CREATED, 0, data, (("news", offset),))


def offsets(catching: Catching) -> list[int]:
    return [offset for offset, _ in catching.noted]


def test_what_is_dispatched_meanwhile_is_noted_in_order() -> None:
    catching = Catching(10, 1_000_000)
    for offset in (4, 5, 6):
        catching.note(offset, event(offset))
    assert (offsets(catching), catching.overflowed) == ([4, 5, 6], False)


def test_past_its_number_nothing_is_noted_any_more_and_that_is_known() -> None:
    catching = Catching(2, 1_000_000)
    for offset in (1, 2):
        catching.note(offset, event(offset))
    assert (offsets(catching), catching.overflowed) == ([1, 2], False)
    for offset in (3, 4):
        catching.note(offset, event(offset))
        assert (offsets(catching), catching.overflowed) == ([], True)


def test_past_its_bytes_nothing_is_noted_any_more_however_few_they_are() -> None:
    catching = Catching(100, 2 * EVENT_BYTES)
    for offset in (1, 2):
        catching.note(offset, event(offset, b"x" * 100))
    assert (offsets(catching), catching.overflowed) == ([1, 2], False)
    catching.note(3, event(3))
    assert (offsets(catching), catching.overflowed) == ([], True)


def test_after_a_pause_it_begins_anew_with_all_its_room() -> None:
    catching = Catching(2, 1_000_000)
    catching.note(1, event(1))
    catching.pause()
    catching.note(2, event(2))
    assert (offsets(catching), catching.overflowed) == ([], True)
    catching.resume()
    for offset in (3, 4):
        catching.note(offset, event(offset))
    assert (offsets(catching), catching.overflowed) == ([3, 4], False)

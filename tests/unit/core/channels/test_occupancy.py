"""A channel is looked at once for all that changed before, and what is told is what holds."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from core.channels.occupancy import Agenda, Level, Watched, occupancy_data
from core.instants import Instant

ORG, OTHER = b"o" * 16, b"x" * 16


def test_a_level_is_told_with_its_time() -> None:
    assert orjson.loads(occupancy_data("room:1", Level(3, 2), Instant(1_000_000))) == {
        "channel": "room:1", "clients": 3, "users": 2, "occupied": True, "at": "1970-01-01T00:00:01.000000Z",
    }  # fmt: skip
    assert orjson.loads(occupancy_data("room:1", Level(0, 0), Instant(0)))["occupied"] is False


def test_a_channel_is_looked_at_once_at_the_first_time_it_was_noted_for() -> None:
    agenda = Agenda(10)
    assert agenda.note((ORG, "a"), 2.0)
    assert agenda.note((ORG, "a"), 1.0)
    assert agenda.due(1.9, 10) == []
    assert len(agenda) == 1
    assert agenda.due(2.0, 10) == [(ORG, "a")]
    assert agenda.due(9.0, 10) == []
    assert len(agenda) == 0
    assert agenda.note((ORG, "a"), 3.0)
    assert agenda.due(3.0, 10) == [(ORG, "a")]


def test_the_earliest_come_first_and_the_rest_waits() -> None:
    agenda = Agenda(10)
    for channel, at_s in (("c", 3.0), ("a", 1.0), ("b", 2.0)):
        agenda.note((ORG, channel), at_s)
    assert agenda.due(9.0, 2) == [(ORG, "a"), (ORG, "b")]
    assert agenda.due(9.0, 2) == [(ORG, "c")]


def test_the_same_name_of_another_organization_is_another_channel() -> None:
    agenda = Agenda(10)
    agenda.note((ORG, "a"), 1.0)
    agenda.note((OTHER, "a"), 1.0)
    assert agenda.due(1.0, 10) == [(ORG, "a"), (OTHER, "a")]


def test_without_room_it_is_said() -> None:
    agenda = Agenda(1)
    assert agenda.note((ORG, "a"), 1.0)
    assert not agenda.note((ORG, "b"), 1.0)
    assert agenda.note((ORG, "a"), 1.0)
    agenda.due(1.0, 10)
    assert agenda.note((ORG, "b"), 1.0)


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 20))), st.integers(1, 4))
def test_whatever_is_noted_is_looked_at_and_never_before_its_time(
    notes: list[tuple[str, int]], limit: int
) -> None:
    agenda = Agenda(100)
    wanted: dict[Watched, int] = {}
    for channel, at_s in notes:
        agenda.note((ORG, channel), at_s)
        wanted.setdefault((ORG, channel), at_s)
    found: list[Watched] = []
    for now_s in range(21):
        while due := agenda.due(now_s, limit):
            assert len(due) <= limit
            assert all(wanted[watched] == now_s for watched in due)
            found += due
    assert sorted(found) == sorted(wanted)

"""An owner's memory holds what is durable, and forgets the channels that nobody used lately."""

from core.streams.append import Append, StreamState
from core.streams.memory import Memory


def test_it_takes_over_what_a_batch_changed() -> None:
    memory = Memory({b"o": StreamState("e", 1, 0)}, 10)
    assert memory.offset_of((b"o", "a")) is None
    memory.commit(Append(channels={(b"o", "a"): 3}), {b"o": StreamState("e", 2, 0)})
    assert memory.offset_of((b"o", "a")) == 3
    assert memory.streams[b"o"].last_seq == 2


def test_the_least_recently_used_channels_leave_first() -> None:
    memory = Memory({}, 2)
    for channel in ("a", "b", "a", "c"):
        memory.commit(Append(channels={(b"o", channel): 1}), {})
    assert memory.offset_of((b"o", "b")) is None
    assert (memory.offset_of((b"o", "a")), memory.offset_of((b"o", "c"))) == (1, 1)

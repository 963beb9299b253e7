"""Events cross process borders and the database whole."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from core.streams.event import ClientInfo, Event, LiveBatch, open_envelope, seal_envelope

EVENTS = st.builds(
    Event,
    st.integers(1, 2**53),
    st.binary(min_size=16, max_size=16),
    st.text(),
    st.integers(0, 2**53),
    st.binary(),
    st.lists(st.tuples(st.text(), st.integers(1, 2**53))).map(tuple),
    st.none() | st.builds(ClientInfo, st.text(), st.text(), st.binary()),
    st.none() | st.dictionaries(st.text(), st.text()),
    st.text(),
    st.binary(),
    st.text(),
)


@given(EVENTS)
def test_a_stored_event_is_read_as_it_was_written(event: Event) -> None:
    stored = seal_envelope(event)
    read = open_envelope(
        stored, seq=event.seq, id=event.id, type=event.type, created_at=event.created_at, data=event.data
    )
    assert read == event


@given(st.lists(EVENTS))
def test_a_live_batch_arrives_as_it_was_sent(events: list[Event]) -> None:
    batch = LiveBatch(b"o" * 16, "epoch", tuple(events))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(batch), type=LiveBatch) == batch

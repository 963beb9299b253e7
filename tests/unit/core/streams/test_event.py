"""Events cross process borders and the database whole."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from core.streams.event import (
    OPAQUE,
    SPARES_SENDER,
    WANTS_PATCH,
    ClientInfo,
    EphemeralPublication,
    Event,
    LiveBatch,
    open_envelope,
    seal_envelope,
    size_of,
)

INFOS = st.builds(ClientInfo, st.text(), st.text(), st.binary(), st.binary())
EVENTS = st.builds(
    Event,
    st.integers(1, 2**53),
    st.binary(min_size=16, max_size=16),
    st.text(),
    st.integers(0, 2**53),
    st.binary(),
    st.lists(st.tuples(st.text(), st.integers(1, 2**53))).map(tuple),
    st.none() | INFOS,
    st.none() | st.dictionaries(st.text(), st.text()),
    st.text(),
    st.binary(),
    st.text(),
    st.integers(0, WANTS_PATCH + SPARES_SENDER + OPAQUE),
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


@given(
    st.builds(
        EphemeralPublication,
        st.binary(),
        st.text(),
        st.binary(),
        st.none() | INFOS,
        st.none() | st.dictionaries(st.text(), st.text()),
        st.sampled_from(["", "order", "join", "leave"]),
        st.integers(0, 7),
    )
)
def test_word_that_is_not_stored_arrives_as_it_was_sent(word: EphemeralPublication) -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(word), type=EphemeralPublication) == word


def test_an_event_of_an_older_release_has_no_flags_and_nothing_of_the_channel() -> None:
    stored = msgspec.msgpack.encode([[["room:a", 1]], ["ann", "c-1", b"1"], None, "", b"", ""])
    read = open_envelope(stored, seq=1, id=b"e" * 16, type="publication.created", created_at=0, data=b"1")
    assert (read.flags, read.info) == (0, ClientInfo("ann", "c-1", b"1"))


def test_the_flags_of_an_event_can_be_told_apart() -> None:
    assert len({sum(flags) for flags in [(), (WANTS_PATCH,), (SPARES_SENDER,), (OPAQUE,)]}) == 4
    assert WANTS_PATCH | SPARES_SENDER | OPAQUE == WANTS_PATCH + SPARES_SENDER + OPAQUE


def test_the_size_of_an_event_counts_everything_that_clients_chose() -> None:
    bare = Event(1, b"e" * 16, "publication.created", 0, b"", (("room:a", 1),))
    info = ClientInfo("u" * 10, "c" * 20, b"1" * 30, b"2" * 40)
    full = Event(1, b"e" * 16, "publication.created", 0, b"3" * 50, (("room:a", 1),), info, {"k": "v" * 60})
    assert size_of(full) - size_of(bare) == 10 + 20 + 30 + 40 + 50 + 61

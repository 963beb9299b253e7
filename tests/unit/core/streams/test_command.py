"""Commands cross process borders whole."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from core.streams.command import (
    Atomic,
    Claim,
    Command,
    Condition,
    Create,
    Delete,
    Item,
    Patch,
    Publish,
    Put,
    Target,
    size_of_publication,
)
from core.streams.event import ClientInfo

IDS = st.binary(min_size=16, max_size=16)
CONDITIONS = st.builds(Condition, st.integers(-1, 9), st.booleans())
TARGETS = st.builds(Target, st.just("message"), IDS, st.text())
CHANGES = st.one_of(
    st.builds(
        Publish,
        st.lists(st.text(), min_size=1).map(tuple),
        st.binary(),
        st.none() | st.builds(ClientInfo, st.text(), st.text(), st.binary(), st.binary()),
        st.none() | st.dictionaries(st.text(), st.text()),
        st.booleans(),
        st.sampled_from(["", "order", "join", "leave"]),
        st.integers(0, 7),
    ),
    st.builds(Create, st.just("message"), IDS, st.binary(), st.text()),
    st.builds(Put, TARGETS, IDS, st.binary(), CONDITIONS),
    st.builds(Patch, TARGETS, st.binary(), CONDITIONS),
    st.builds(Delete, TARGETS, CONDITIONS),
)
OPERATIONS = (
    CHANGES | st.builds(Atomic, st.lists(st.builds(Item, IDS, CHANGES)).map(tuple)) | st.builds(Claim)
)


COMMANDS = st.builds(Command, IDS, IDS, OPERATIONS, st.integers(0, 60_000), st.text(), st.binary())


@given(COMMANDS)
def test_a_command_arrives_as_it_was_sent(command: Command) -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(command), type=Command) == command


def test_a_field_that_an_older_sender_did_not_know_takes_its_default() -> None:
    frame = msgspec.msgpack.encode([b"o" * 16, b"e" * 16, [0, ["room"], b"{}"], 1000])
    assert msgspec.msgpack.decode(frame, type=Command) == Command(
        b"o" * 16, b"e" * 16, Publish(("room",), b"{}"), 1000
    )


def test_a_publication_counts_with_all_that_it_brings_along() -> None:
    bare = Publish(("a" * 100, "b" * 100), bytes(1_000))
    info = ClientInfo("u" * 10, "c" * 20, bytes(30), bytes(40))
    assert 1_200 <= size_of_publication(bare) < 1_500
    whole = Publish(bare.channels, bare.data, info, {"t" * 50: "v" * 500})
    assert size_of_publication(whole) - size_of_publication(bare) == 650
    assert size_of_publication(Publish(("a",) * 1_000, b"")) > 50_000

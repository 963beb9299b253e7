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

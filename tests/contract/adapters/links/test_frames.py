"""Everything that is said arrives as it was said, also between two releases."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.links import frames
from adapters.links.frames import CALLER_FRAMES, ENCODER, OWNER_FRAMES, FromCaller, FromOwner
from core.streams.command import (
    Atomic,
    Command,
    Condition,
    Create,
    Delete,
    Item,
    Operation,
    Patch,
    Publish,
    Put,
    Target,
)
from core.streams.event import ClientInfo, EphemeralPublication, Event, Head, LiveBatch
from core.streams.outcome import Committed, FieldError, Outcome, Refused, Unknown

ORG, EVENT = b"o" * 16, b"e" * 16

ids = st.binary(min_size=16, max_size=16)
data = st.binary(max_size=20)
text = st.text(max_size=8)
numbers = st.integers(0, 2**63 - 1)
tags = st.none() | st.dictionaries(text, text, max_size=2)
infos = st.none() | st.builds(ClientInfo, text, text, data)
targets = st.builds(Target, text, ids, text)
conditions = st.builds(Condition, st.integers(-1, 2**53), st.booleans())
changes = st.one_of(
    st.builds(Publish, st.lists(text, max_size=3).map(tuple), data, infos, tags, st.booleans()),
    st.builds(Create, text, ids, data, text),
    st.builds(Put, targets, ids, data, conditions),
    st.builds(Patch, targets, data, conditions),
    st.builds(Delete, targets, conditions),
)
operations: st.SearchStrategy[Operation] = changes | st.builds(
    Atomic, st.lists(st.builds(Item, ids, changes), max_size=3).map(tuple)
)
commands = st.builds(Command, ids, ids, operations, numbers, text, data, text, data)
effects = st.sampled_from(["published", "created", "replaced", "patched", "unchanged", "deleted", "atomic"])
offsets = st.lists(numbers, max_size=3).map(tuple)
singles = st.builds(
    Committed, effects, ids, numbers, text, numbers, offsets, data, numbers, ids, st.booleans()
)
errors = st.lists(st.builds(FieldError, text, text, text), max_size=2).map(tuple)
outcomes: st.SearchStrategy[Outcome] = st.one_of(
    singles,
    st.tuples(singles, st.lists(singles, max_size=3)).map(
        lambda drawn: msgspec.structs.replace(drawn[0], items=tuple(drawn[1]))
    ),
    st.builds(
        Refused, text, text, errors, numbers, st.integers(-1, 99), st.integers(0, 9), st.booleans(), ids
    ),
    st.builds(Unknown, text),
)
heads = st.builds(Head, ids, text, numbers)
entries = st.lists(st.tuples(text, numbers), max_size=3).map(tuple)
events = st.builds(Event, numbers, ids, text, numbers, data, entries, infos, tags, text, data, text)
batches = st.builds(LiveBatch, ids, text, st.lists(events, max_size=3).map(tuple))
from_caller: st.SearchStrategy[FromCaller] = st.one_of(
    st.builds(frames.Submit, numbers, commands),
    st.builds(frames.Watch, ids),
    st.builds(frames.Unwatch, ids),
    st.builds(frames.AskHead, numbers, ids),
    st.builds(frames.Find, numbers, ids, ids),
    st.builds(frames.Suspect, numbers, numbers),
)
from_owner: st.SearchStrategy[FromOwner] = st.one_of(
    st.builds(frames.Answer, numbers, outcomes),
    st.builds(frames.Found, numbers, st.none() | outcomes),
    st.builds(frames.HeadIs, numbers, heads),
    st.builds(frames.Failed, numbers, text, text),
    st.builds(frames.Live, batches),
    st.builds(frames.Announced, heads),
    st.builds(frames.Ephemeral, st.builds(EphemeralPublication, ids, text, data, infos, tags)),
    st.just(frames.Moving()),
)


@given(st.lists(from_caller, max_size=5))
def test_what_a_caller_says_arrives_as_it_was_said(said: list[FromCaller]) -> None:
    assert CALLER_FRAMES.decode(ENCODER.encode(said)) == said


@given(st.lists(from_owner, max_size=5))
def test_what_an_owner_says_arrives_as_it_was_said(said: list[FromOwner]) -> None:
    assert OWNER_FRAMES.decode(ENCODER.encode(said)) == said


RECORDED_CALLERS: list[tuple[list[Any], FromCaller]] = [
    (
        [0, 7, [ORG, EVENT, [0, ["room:1"], b"{}", None, None, False], 900, "key", b"f", "key_1", b"t"]],
        frames.Submit(7, Command(ORG, EVENT, Publish(("room:1",), b"{}"), 900, "key", b"f", "key_1", b"t")),
    ),
    (
        [0, 8, [ORG, EVENT, [3, ["room", b"", "lobby"], b"{}", [2, False]], 900]],
        frames.Submit(
            8, Command(ORG, EVENT, Patch(Target("room", external_id="lobby"), b"{}", Condition(2)), 900)
        ),
    ),
    ([1, ORG], frames.Watch(ORG)),
    ([2, ORG], frames.Unwatch(ORG)),
    ([3, 9, ORG], frames.AskHead(9, ORG)),
    ([4, 10, ORG, EVENT], frames.Find(10, ORG, EVENT)),
    ([5, 3, 12], frames.Suspect(3, 12)),
]
RECORDED_OWNERS: list[tuple[list[Any], FromOwner]] = [
    (
        [0, 7, [0, "published", EVENT, 5, "epoch", 1_000, [4]]],
        frames.Answer(7, Committed("published", EVENT, 5, "epoch", 1_000, (4,))),
    ),
    (
        [0, 7, [1, "precondition_failed", "stale", [], 3]],
        frames.Answer(7, Refused("precondition_failed", "stale", version=3)),
    ),
    ([1, 8, [2, "lost"]], frames.Found(8, Unknown("lost"))),
    ([1, 8, None], frames.Found(8, None)),
    ([2, 9, [ORG, "epoch", 5]], frames.HeadIs(9, Head(ORG, "epoch", 5))),
    ([3, 9, "partition_moving", ""], frames.Failed(9, "partition_moving", "")),
    (
        [4, [ORG, "epoch", [[5, EVENT, "publication.created", 1_000, b"{}", [["room:1", 4]]]]]],
        frames.Live(
            LiveBatch(ORG, "epoch", (Event(5, EVENT, "publication.created", 1_000, b"{}", (("room:1", 4),)),))
        ),
    ),
    ([5, [ORG, "epoch", 5]], frames.Announced(Head(ORG, "epoch", 5))),
    ([6, [ORG, "room:1", b"typing"]], frames.Ephemeral(EphemeralPublication(ORG, "room:1", b"typing"))),
    ([7], frames.Moving()),
]


def extended(said: Any) -> Any:
    """Return a message as a newer release would say it: every struct in it has one more field."""
    if isinstance(said, msgspec.Struct):
        tag = said.__struct_config__.tag
        fields = [extended(getattr(said, name)) for name in said.__struct_fields__]
        return [*([] if tag is None else [tag]), *fields, "a field of tomorrow"]
    return (
        [extended(one) for one in said] if isinstance(said, tuple) and said and _holds_structs(said) else said
    )


def _holds_structs(said: tuple[Any, ...]) -> bool:
    return isinstance(said[0], msgspec.Struct)


@pytest.mark.parametrize(("recorded", "meant"), RECORDED_CALLERS)
def test_a_caller_of_this_release_or_the_next_is_understood(recorded: list[Any], meant: FromCaller) -> None:
    for said in (recorded, extended(meant)):
        assert CALLER_FRAMES.decode(msgspec.msgpack.encode([said])) == [meant]


@pytest.mark.parametrize(("recorded", "meant"), RECORDED_OWNERS)
def test_an_owner_of_this_release_or_the_next_is_understood(recorded: list[Any], meant: FromOwner) -> None:
    for said in (recorded, extended(meant)):
        assert OWNER_FRAMES.decode(msgspec.msgpack.encode([said])) == [meant]


@pytest.mark.parametrize(
    "said", [[[99, ORG]], [[1]], [[1, "no bytes"]], [[0, 1, "no command"]], [1, ORG], {"a": 1}, 7]
)
def test_what_was_never_agreed_upon_is_not_guessed_at(said: Any) -> None:
    with pytest.raises(msgspec.DecodeError):
        CALLER_FRAMES.decode(msgspec.msgpack.encode(said))

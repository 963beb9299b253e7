"""Whatever comes in whatever batches: numbers have no holes, keys one effect, refusals no trace."""

import itertools
from collections.abc import Sequence

import orjson
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from core.streams.command import Command, Create, Delete, Operation, Patch, Publish, Put, Target
from core.streams.outcome import Committed, Outcome
from tests.helpers.ledger import NOW, ORG, OTHER, Ledger

EXTERNALS = st.sampled_from(["a", "b", "c"])
ROOM = st.builds(Target, st.just("room"), st.just(b""), EXTERNALS)
ROOMS = st.sampled_from(["x", "y", ""]).map(lambda name: orjson.dumps({"name": name}))
MESSAGES = EXTERNALS.map(lambda room: orjson.dumps({"room_id": f"ext:{room}", "text": "hi"}))
NO_ID = st.just(b"")
"""Each command is given its own when its place is known: no two resources ever have the same."""
CHANNELS = st.lists(st.sampled_from("uvw"), min_size=1, max_size=3, unique=True).map(tuple)
OPERATIONS: st.SearchStrategy[Operation] = st.one_of(
    st.builds(Publish, CHANNELS, st.binary(max_size=3)),
    st.just(Publish(("u",), b"typing", ephemeral=True)),
    st.builds(Create, st.just("room"), NO_ID, ROOMS, EXTERNALS),
    st.builds(Put, ROOM, NO_ID, ROOMS),
    st.builds(Patch, ROOM, ROOMS),
    st.builds(Delete, ROOM),
    st.builds(Create, st.just("message"), NO_ID, MESSAGES),
)


@st.composite
def histories(draw: st.DrawFn) -> list[Command]:
    """Return commands with ids and, some of them, keys; a key always stands on one request."""
    drawn = draw(st.lists(st.tuples(st.sampled_from([ORG, OTHER]), OPERATIONS), max_size=25))
    commands = []
    for number, (org, operation) in enumerate(drawn):
        event_id, resource_id = number.to_bytes(16, "big"), (number + 1_000).to_bytes(16, "big")
        if isinstance(operation, Create):
            operation = structs.replace(operation, id=resource_id)  # noqa: PLW2901 (the same, with its id)
        elif isinstance(operation, Put):
            operation = structs.replace(operation, new_id=resource_id)  # noqa: PLW2901 (as above)
        key = f"key{number}" if draw(st.booleans()) else ""
        commands.append(Command(org, event_id, operation, 1_000, key, b"f" if key else b""))
    return commands


def batches(commands: Sequence[Command], cuts: Sequence[int]) -> list[list[Command]]:
    """Return the commands cut into batches."""
    edges = sorted({cut % (len(commands) + 1) for cut in cuts} | {0, len(commands)})
    return [list(commands[start:end]) for start, end in itertools.pairwise(edges)]


def run(parts: Sequence[Sequence[Command]]) -> tuple[Ledger, list[Outcome]]:
    ledger = Ledger(channels_max=2)
    outcomes: list[Outcome] = []
    for part in parts:
        outcomes += ledger.write(part).outcomes
    return ledger, outcomes


CUTS = st.lists(st.integers(0, 100), max_size=8)


@given(histories(), CUTS)
def test_numbers_are_contiguous_whatever_the_batches_are(commands: list[Command], cuts: list[int]) -> None:
    ledger, outcomes = run(batches(commands, cuts))
    for org in (ORG, OTHER):
        events = ledger.events[org]
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert ledger.streams[org].last_seq == len(events)
        assert len({event.id for event in events}) == len(events)
    for (org, channel), last in ledger.channels.items():
        entries = [
            offset for event in ledger.events[org] for name, offset in event.entries if name == channel
        ]
        assert entries == list(range(1, last + 1))
    effects = {
        outcome.event_id for outcome in outcomes if isinstance(outcome, Committed) and outcome.event_id
    }
    made = {event.id for org in (ORG, OTHER) for event in ledger.events[org]}
    assert effects <= made


@given(histories(), CUTS, CUTS)
def test_other_batches_make_the_same_log(commands: list[Command], one: list[int], other: list[int]) -> None:
    first, first_outcomes = run(batches(commands, one))
    second, second_outcomes = run(batches(commands, other))
    assert first.events == second.events
    assert first.resources == second.resources
    assert first_outcomes == second_outcomes


@given(histories(), CUTS)
def test_a_repeated_key_has_no_second_effect_and_the_same_answer(
    commands: list[Command], cuts: list[int]
) -> None:
    ledger, outcomes = run(batches(commands, cuts))
    events = {org: list(found) for org, found in ledger.events.items()}
    stored = [
        (command, outcome)
        for command, outcome in zip(commands, outcomes, strict=True)
        if command.key and (command.organization_id, command.key) in ledger.keys
    ]
    for command, outcome in stored:
        (again,) = ledger.write([command], NOW).outcomes
        assert getattr(again, "replayed", False)
        for name in ("effect", "event_id", "seq", "offsets", "document", "version", "code", "detail"):
            if name != "event_id" or isinstance(outcome, Committed):
                assert getattr(again, name, None) == getattr(outcome, name, None)
    assert ledger.events == events

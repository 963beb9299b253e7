"""The decision at the heart of the log: numbers without holes, one effect a key, one failure alone."""

import pytest

from core.ids import encode
from core.instants import DAY, Instant
from core.streams.append import Found, Version
from core.streams.command import Atomic, Claim, Create, Item, Patch, Publish, Target
from core.streams.event import OPAQUE, SPARES_SENDER, ClientInfo, EphemeralPublication
from core.streams.needs import needs_of
from core.streams.outcome import Committed
from core.streams.partition import decide
from tests.helpers.ledger import NOW, ORG, OTHER, Ledger, command, committed, new_id, publish, refused


def test_seq_and_offsets_count_without_a_hole_per_organization_and_channel() -> None:
    ledger = Ledger()
    decision = ledger.write(
        [publish("a"), publish("b"), publish("a", org=OTHER), command(Publish(("a", "b"), b"2"))]
    )
    outcomes = [committed(outcome) for outcome in decision.outcomes]
    assert [(outcome.seq, outcome.offsets) for outcome in outcomes] == [
        (1, (1,)),
        (2, (1,)),
        (1, (1,)),
        (3, (2, 2)),
    ]
    assert {batch.organization_id: [event.seq for event in batch.events] for batch in decision.live} == {
        ORG: [1, 2, 3],
        OTHER: [1],
    }


def test_an_event_bears_who_made_it_and_what_it_is_about() -> None:
    ledger = Ledger()
    info = ClientInfo("42", "client")
    made = command(Publish(("a",), b"1", info, {"k": "v"}))
    ledger.write([made])
    (event,) = ledger.events[ORG]
    assert (event.id, event.type, event.data, event.info, event.tags) == (
        made.event_id, "publication.created", b"1", info, {"k": "v"},
    )  # fmt: skip
    assert (event.actor, event.created_at) == ("key_1", NOW)


def test_an_organization_that_is_not_there_is_not_found() -> None:
    (outcome,) = Ledger().write([publish("a", org=b"x" * 16)]).outcomes
    assert refused(outcome).code == "not_found"


def test_one_bad_command_fails_alone_and_takes_no_number() -> None:
    ledger = Ledger()
    bad = command(Create("room", new_id(), b"{}"), key="bad")
    outcomes = ledger.write([publish("a"), bad, publish("a")]).outcomes
    assert [getattr(outcome, "seq", None) for outcome in outcomes] == [1, None, 2]
    assert refused(outcomes[1]).errors[0].pointer == "#/name"
    assert ledger.keys == {}


def test_a_used_key_is_answered_again_and_another_request_refused() -> None:
    ledger = Ledger()
    (first,) = ledger.write([publish("a", key="k")]).outcomes
    decision = ledger.write([publish("a", key="k"), publish("a")])
    again, other = decision.outcomes
    assert again == Committed(*(getattr(committed(first), n) for n in (
        "effect", "event_id", "seq", "epoch", "created_at", "offsets")), replayed=True)  # fmt: skip
    assert committed(other).seq == 2
    assert len(decision.append.keys) == 0
    (mismatch,) = ledger.write([command(Publish(("a",), b"2"), key="k", fingerprint=b"g")]).outcomes
    assert refused(mismatch).code == "idempotency_mismatch"


def test_a_stored_refusal_writes_its_key_and_nothing_else() -> None:
    ledger = Ledger()
    missing = Patch(Target("room", b"x" * 16), b"{}")
    first = refused(ledger.one(missing, key="k"))
    assert (first.code, list(ledger.keys)) == ("not_found", [(ORG, "k")])
    again = refused(ledger.one(missing, key="k"))
    assert (again.code, again.replayed) == ("not_found", True)
    assert ledger.events[ORG] == []


def test_a_claim_uses_up_its_key_and_changes_nothing() -> None:
    ledger = Ledger()
    assert [committed(ledger.one(Claim(), key="k")).replayed for _ in range(2)] == [False, True]
    assert (list(ledger.keys), ledger.events[ORG]) == ([(ORG, "k")], [])


def test_a_repeated_claim_is_told_the_note_of_the_first() -> None:
    ledger = Ledger()
    assert [committed(ledger.one(Claim(note), key="k")).document for note in (b"1", b"2")] == [b"1", b"1"]


def test_who_only_asks_for_the_answer_under_a_key_uses_nothing_up() -> None:
    ledger, question = Ledger(), Claim(is_question=True)
    assert refused(ledger.one(question, key="k")).code == "validation_failed"
    assert not ledger.keys
    first = committed(ledger.one(Publish(("a",), b"1"), key="k"))
    again = committed(ledger.one(question, key="k"))
    assert (again.event_id, again.offsets, again.replayed) == (first.event_id, first.offsets, True)


def test_what_is_not_stored_moves_no_position() -> None:
    ledger = Ledger()
    ledger.write([publish("a")])
    decision = ledger.write([command(Publish(("a", "b"), b"typing", ephemeral=True))])
    (outcome,) = decision.outcomes
    assert (committed(outcome).seq, committed(outcome).event_id) == (1, b"")
    assert [(one.channel, one.data) for one in decision.ephemeral] == [("a", b"typing"), ("b", b"typing")]
    assert not decision.append
    assert decision.live == []


def test_what_is_not_stored_may_be_word_to_the_replicas_and_bears_its_flags() -> None:
    info = ClientInfo("ann", "c-1", b"1", b"2")
    word = Publish(("a",), b"", info, {"k": "v"}, ephemeral=True, kind="join", flags=OPAQUE)
    (one,) = Ledger().write([command(word)]).ephemeral
    assert one == EphemeralPublication(ORG, "a", b"", info, {"k": "v"}, "join", OPAQUE)


def test_a_publication_bears_the_flags_of_its_publisher_and_nothing_else_has_any() -> None:
    ledger = Ledger()
    ledger.write([command(Publish(("a",), b"\xff", flags=OPAQUE | SPARES_SENDER))])
    ledger.write([publish("a"), command(Create("room", new_id(), b'{"name":"A"}'))])
    assert [event.flags for event in ledger.events[ORG]] == [OPAQUE | SPARES_SENDER, 0, 0]


def test_neither_time_nor_day_falls_along_seq() -> None:
    ledger = Ledger()
    late = Instant(NOW - NOW % DAY + DAY)
    ledger.write([publish("a")], late)
    decision = ledger.write([publish("a"), publish("a")], Instant(late - 5))
    times = [event.created_at for event in ledger.events[ORG]]
    assert times == sorted(times)
    assert {day for _, day, _ in decision.append.events} == {late // DAY}


def test_an_atomic_command_takes_effect_whole_and_in_order() -> None:
    ledger = Ledger()
    room, message = new_id(), new_id()
    items = (
        Item(new_id(), Create("room", room, b'{"name":"A"}', "lobby")),
        Item(new_id(), Create("message", message, b'{"room_id":"ext:lobby","text":"hi"}')),
        Item(new_id(), Publish(("news",), b"1")),
        Item(new_id(), Patch(Target("room", room), b'{"name":"B"}')),
    )
    outcome = committed(ledger.one(Atomic(items)))
    assert outcome.effect == "atomic"
    assert [(item.effect, item.seq) for item in outcome.items] == [
        ("created", 1), ("created", 2), ("published", 3), ("patched", 4),
    ]  # fmt: skip
    assert [item.event_id for item in outcome.items] == [item.event_id for item in items]
    assert len(ledger.resources) == 2


@pytest.mark.parametrize("key", ["", "k"])
def test_the_first_failing_item_refuses_the_whole_command(key: str) -> None:
    ledger = Ledger()
    items = (
        Item(new_id(), Publish(("news",), b"1")),
        Item(new_id(), Create("room", new_id(), b'{"name":"A"}', "lobby")),
        Item(new_id(), Create("room", new_id(), b'{"name":"B"}', "lobby")),
        Item(new_id(), Create("room", new_id(), b"{}")),
    )
    outcome = refused(ledger.one(Atomic(items), key=key))
    assert (outcome.code, outcome.index) == ("already_exists", 2)
    assert ledger.resources == {}
    assert ledger.events[ORG] == []
    assert committed(ledger.one(Publish(("news",), b"1"))).seq == 1


def test_a_channel_that_left_memory_goes_on_where_it_stood() -> None:
    ledger = Ledger(channels_max=1)
    for _ in range(3):
        ledger.write([publish("a"), publish("b")])
    assert ledger.channels == {(ORG, "a"): 3, (ORG, "b"): 3}


def test_deciding_changes_nothing_by_itself() -> None:
    ledger = Ledger()
    found = Found()
    commands = [publish("a")]
    found.add(needs := needs_of(commands, ledger.memory, found, ledger.catalog), ledger.read(needs))
    first = decide(commands, ledger.memory, found, ledger.catalog, NOW)
    assert decide(commands, ledger.memory, found, ledger.catalog, NOW).append == first.append
    assert ledger.memory.streams[ORG].last_seq == 0


def test_an_item_may_name_what_an_earlier_one_makes() -> None:
    ledger = Ledger()
    room = Create("room", new_id(), b'{"name":"a"}', "lobby")
    message = Create("message", new_id(), b'{"room_id":"ext:lobby","text":"hi"}')
    atomic = Atomic((Item(new_id(), room), Item(new_id(), message)))
    assert len(committed(ledger.one(atomic)).items) == 2
    assert {name for name, _ in ledger.events[ORG][-1].entries} >= {f"room:{encode('room', room.id)}"}
    again = Create("room", new_id(), b'{"name":"b"}', "other")
    text = Create("message", new_id(), b'{"room_id":"ext:other","text":"hi"}')
    outcomes = ledger.write([command(again), command(text)]).outcomes
    assert [committed(outcome).effect for outcome in outcomes] == ["created", "created"]


def test_a_version_that_is_not_above_the_last_has_no_effect() -> None:
    ledger = Ledger()

    def counted(version: int, epoch: str = "e", channel: str = "a") -> Publish:
        return Publish((channel,), b"%d" % version, version=version, version_epoch=epoch)

    first = ledger.write([command(counted(5)), command(counted(5)), command(counted(6))])
    assert [committed(one).effect for one in first.outcomes] == ["published", "unchanged", "published"]
    assert [committed(one).offsets for one in first.outcomes] == [(1,), (1,), (2,)]
    assert first.append.versions == {(ORG, "a"): Version(6, "e")}
    late = committed(ledger.one(counted(6)))
    assert (late.effect, late.event_id, late.seq, late.offsets) == ("unchanged", b"", 2, (2,))
    assert committed(ledger.one(counted(1, "f"))).offsets == (3,)
    assert committed(ledger.one(counted(1, "e", "b"))).offsets == (1,)
    assert [event.data for event in ledger.events[ORG]] == [b"5", b"6", b"1", b"1"]


def test_a_suppressed_version_is_answered_again_under_its_key() -> None:
    ledger = Ledger()
    ledger.one(Publish(("a",), b"1", version=2))
    late = Publish(("a",), b"2", version=1)
    first, again = committed(ledger.one(late, key="k")), committed(ledger.one(late, key="k"))
    assert (first.effect, again.effect, again.replayed) == ("unchanged", "unchanged", True)

"""What a batch must know, asked for in as few rounds as it takes."""

import orjson

from core.ids import encode
from core.streams.append import Found
from core.streams.command import Atomic, Create, Delete, Item, Patch, Publish, Put, Target
from core.streams.memory import Memory
from core.streams.needs import changes_in, needs_of
from tests.helpers.ledger import CATALOG, ORG, Ledger, command, new_id, publish


def test_a_publication_needs_its_stream_channels_and_key_once() -> None:
    memory = Memory({}, 10)
    needs = needs_of([publish("a", key="k"), publish("a"), publish("b")], memory, Found(), CATALOG)
    assert (needs.organizations, needs.keys) == ({ORG}, {(ORG, "k")})
    assert needs.channels == {(ORG, "a"), (ORG, "b")}
    found = Found()
    found.add(needs, Found())
    assert not needs_of([publish("a", key="k"), publish("b")], memory, found, CATALOG)


def test_what_is_not_stored_needs_no_channel() -> None:
    needs = needs_of([command(Publish(("a",), b"1", ephemeral=True))], Memory({}, 10), Found(), CATALOG)
    assert not needs.channels


def test_what_is_in_memory_is_not_asked_for() -> None:
    ledger = Ledger()
    ledger.write([publish("a")])
    ledger.write([publish("a")])
    assert ledger.rounds == 0


def test_an_own_id_is_found_before_the_channels_of_what_it_names() -> None:
    ledger = Ledger()
    ledger.one(Put(Target("room", external_id="lobby"), new_id(), b'{"name":"A"}'))
    ledger.memory = Memory(dict(ledger.streams), 10)
    ledger.one(Create("message", new_id(), b'{"room_id":"ext:lobby","text":"hi"}'))
    assert ledger.rounds == 2
    room = next(row for row in ledger.resources.values() if row.type == "room")
    assert ledger.channels[ORG, f"room:{encode('room', room.id)}"] == 2


def test_a_patch_needs_the_channels_of_its_result_and_a_delete_its_referrers() -> None:
    ledger = Ledger()
    message = new_id()
    ledger.one(Put(Target("room", external_id="lobby"), new_id(), b'{"name":"A"}'))
    ledger.one(Create("message", message, b'{"room_id":"ext:lobby","text":"hi"}'))
    reply = orjson.dumps({"room_id": "ext:lobby", "text": "re", "reply_to": encode("msg", message)})
    ledger.one(Create("message", new_id(), reply))
    ledger.memory = Memory(dict(ledger.streams), 10)
    ledger.one(Patch(Target("message", message), b'{"text":"ho"}'))
    assert ledger.rounds == 2
    ledger.one(Delete(Target("message", message)))
    assert ledger.events[ORG][-1].type == "message.updated"
    assert b"reply_to" not in ledger.events[ORG][-1].data.partition(b"previous")[0]


def test_an_unknown_type_and_nothing_there_need_no_more() -> None:
    ledger = Ledger()
    for operation, rounds in (
        (Create("nothing", new_id(), b"{}"), 0),
        (Patch(Target("room", b"x" * 16), b"{}"), 1),
        (Delete(Target("room", external_id="x")), 1),
    ):
        ledger.one(operation)
        assert ledger.rounds == rounds


def test_every_change_of_an_atomic_command_is_seen() -> None:
    changes = [Publish(("a",), b"1"), Create("room", new_id(), b"{}")]
    atomic = Atomic(tuple(Item(new_id(), change) for change in changes))
    assert list(changes_in(atomic)) == changes
    assert list(changes_in(changes[0])) == changes[:1]


def test_a_version_needs_the_last_one_of_its_channel_once() -> None:
    memory, counted = Memory({}, 10), command(Publish(("a",), b"1", version=1))
    needs = needs_of([counted, publish("b")], memory, Found(), CATALOG)
    assert needs.versions == {(ORG, "a")}
    found = Found()
    found.add(needs, Found())
    assert not needs_of([counted, publish("b")], memory, found, CATALOG)
    unstored = command(Publish(("a",), b"1", ephemeral=True, version=1))
    assert not needs_of([unstored], memory, Found(), CATALOG).versions

"""Changes of resources: each counts whole or leaves no trace."""

from typing import Any

import orjson
import pytest

from core.ids import encode
from core.resources.document import DOCUMENT_BYTES_MAX
from core.resources.schema import Catalog, parse_type
from core.streams.append import REFERRERS_MAX
from core.streams.command import Condition, Create, Delete, Patch, Put, Target
from core.streams.needs import ROUNDS_MAX
from core.streams.outcome import Committed
from tests.helpers.ledger import NOW, ORG, OTHER, Ledger, command, committed, new_id, refused

NEW = Condition(must_not_exist=True)


def schema(title: str, prefix: str, properties: dict[str, Any], **options: Any) -> bytes:
    tidings = {"collection": f"{title}s", "id_prefix": prefix, **options}
    return orjson.dumps({"title": title, "type": "object", "properties": properties, "x-tidings": tidings})


TEXT = {"type": "string"}
TREE = Catalog(
    [
        parse_type("folder.json", schema("folder", "fo", {"name": TEXT}, require_if_match=True)),
        parse_type(
            "file.json",
            schema(
                "file", "fi", {"folder_id": TEXT, "name": TEXT, "big": TEXT, "short": {"maxLength": 5}},
                references={"folder_id": "folder", "short": "folder"}, on_delete={"folder_id": "cascade"},
                channels=["folder:{folder_id}", "by:{name}"], immutable=["name"],
            ),
        ),
        parse_type(
            "note.json",
            schema("note", "no", {"file_id": TEXT, "folder_id": TEXT},
                   references={"file_id": "file", "folder_id": "folder"}, on_delete={"file_id": "set_null"}),
        ),
    ]
)  # fmt: skip


def create(type_: str, external_id: str = "", **document: Any) -> Create:
    return Create(type_, new_id(), orjson.dumps(document), external_id)


def types(ledger: Ledger) -> list[str]:
    return [event.type for event in ledger.events[ORG]]


def test_a_creation_stands_in_its_own_channel_and_those_of_its_templates() -> None:
    ledger = Ledger(TREE)
    folder = create("folder", name="a")
    ledger.one(folder)
    public = encode("fo", folder.id)
    outcome = committed(
        ledger.one(create("file", "f", folder_id=public, name="n", big=None, metadata={"k": "v"}))
    )
    event = ledger.events[ORG][-1]
    shown = orjson.loads(outcome.document)
    assert [name for name, _ in event.entries] == [f"file:{shown['id']}", f"folder:{public}", "by:n"]
    assert orjson.loads(event.data) == {"object": shown}
    assert (outcome.effect, outcome.version, shown["external_id"], shown["metadata"]) == (
        "created",
        1,
        "f",
        {"k": "v"},
    )
    assert "big" not in shown
    assert event.subject == f"file/{shown['id']}"


def test_a_put_by_own_id_creates_and_then_replaces_whole() -> None:
    ledger = Ledger(TREE)
    target = Target("note", external_id="n")
    first = committed(ledger.one(Put(target, new_id(), b'{"metadata":{"a":"b"}}')))
    second = committed(ledger.one(Put(target, new_id(), b"{}")))
    assert (first.effect, second.effect) == ("created", "replaced")
    assert (second.resource_id, second.version) == (first.resource_id, 2)
    assert orjson.loads(second.document)["metadata"] == {}
    assert committed(ledger.one(Put(target, new_id(), b"{}"))).effect == "unchanged"


def test_a_change_that_changes_nothing_makes_no_event() -> None:
    ledger = Ledger(TREE)
    made = create("note")
    ledger.one(made)
    same = committed(ledger.one(Patch(Target("note", made.id), b'{"file_id":null}')))
    assert (same.effect, same.event_id, same.seq, same.version) == ("unchanged", b"", 1, 1)
    assert types(ledger) == ["note.created"]


def test_an_update_tells_what_was_before() -> None:
    ledger = Ledger(TREE)
    made = create("note", metadata={"a": "1"})
    ledger.one(made)
    ledger.one(Patch(Target("note", made.id), b'{"metadata":{"a":"2"}}'), NOW)
    data = orjson.loads(ledger.events[ORG][-1].data)
    assert data["previous_attributes"] == {"metadata": {"a": "1"}}
    assert data["object"]["version"] == 2


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        (Create("nothing", new_id(), b"{}"), "not_found"),
        (Patch(Target("note", b"x" * 16), b"{}"), "not_found"),
        (Patch(Target("note", external_id="x"), b"{}"), "not_found"),
        (Delete(Target("note", b"x" * 16)), "not_found"),
        (Put(Target("note", b"x" * 16), new_id(), b"{}"), "not_found"),
        (Put(Target("note", external_id="x"), new_id(), b"{}", Condition(1)), "precondition_failed"),
        (Create("note", new_id(), b"{}", "taken"), "already_exists"),
        (Put(Target("note", external_id="taken"), new_id(), b"{}", NEW), "precondition_failed"),
        (Patch(Target("note", external_id="taken"), b"{}", Condition(7)), "precondition_failed"),
        (Delete(Target("note", external_id="taken"), Condition(7)), "precondition_failed"),
        (Delete(Target("folder", external_id="held")), "precondition_required"),
        (create("note", file_id="ext:none"), "validation_failed"),
        (create("note", colour="red"), "validation_failed"),
        (create("file", big="x" * DOCUMENT_BYTES_MAX), "body_too_large"),
        (create("file", short="ext:held"), "validation_failed"),
    ],
)  # fmt: skip
def test_a_refused_change_leaves_no_trace(operation: Any, code: str) -> None:
    ledger = Ledger(TREE)
    ledger.one(create("note", "taken"))
    ledger.one(create("folder", "held"))
    before = dict(ledger.resources)
    assert refused(ledger.one(operation)).code == code
    assert ledger.resources == before
    assert len(ledger.events[ORG]) == 2


def test_a_resource_of_another_organization_is_none() -> None:
    ledger = Ledger(TREE)
    made = create("note", "mine")
    ledger.one(made)
    for operation in (
        Patch(Target("note", made.id), b"{}"),
        Delete(Target("note", external_id="mine")),
        create("note", file_id=encode("no", made.id)),
    ):
        (outcome,) = ledger.write([command(operation, org=OTHER)]).outcomes
        assert refused(outcome).code in ("not_found", "validation_failed")
    (own,) = ledger.write([command(create("note", "mine"), org=OTHER)]).outcomes
    assert committed(own).effect == "created"


def test_an_immutable_field_is_set_once() -> None:
    ledger = Ledger(TREE)
    made = create("file", name="a")
    ledger.one(made)
    target = Target("file", made.id)
    assert refused(ledger.one(Patch(target, b'{"name":"b"}'))).errors[0].pointer == "#/name"
    assert refused(ledger.one(Patch(target, b'{"name":null}'))).code == "validation_failed"
    assert committed(ledger.one(Patch(target, b'{"name":"a","big":"x"}'))).version == 2


def test_a_delete_takes_along_lets_go_or_is_refused() -> None:
    ledger = Ledger(TREE)
    folder = create("folder", "top")
    ledger.one(folder)
    file = create("file", folder_id="ext:top")
    ledger.one(file)
    note = create("note", file_id=encode("fi", file.id))
    ledger.one(note)
    gone = committed(ledger.one(Delete(Target("folder", folder.id), Condition(1))))
    assert orjson.loads(gone.document) == {"id": encode("fo", folder.id), "object": "folder", "deleted": True}
    assert types(ledger)[3:] == ["folder.deleted", "file.deleted", "note.updated"]
    assert [row.type for row in ledger.resources.values()] == ["note"]
    assert len({event.id for event in ledger.events[ORG]}) == 6


def test_what_is_referred_to_without_a_rule_stays() -> None:
    ledger = Ledger(TREE)
    ledger.one(create("folder", "top"))
    note = create("note", folder_id="ext:top")
    ledger.one(note)
    kept = refused(ledger.one(Delete(Target("folder", external_id="top"), Condition(-1))))
    assert (kept.code, encode("no", note.id) in kept.detail) == ("conflict", True)
    assert len(ledger.resources) == 2


def test_a_delete_that_takes_too_many_along_is_refused() -> None:
    ledger = Ledger(TREE)
    ledger.one(create("folder", "top"))
    for _ in range(3):
        ledger.write([command(create("file", folder_id="ext:top")) for _ in range(REFERRERS_MAX // 2)])
    assert refused(ledger.one(Delete(Target("folder", external_id="top"), Condition(-1)))).code == "conflict"


def test_a_batch_sees_what_it_has_done_so_far() -> None:
    ledger = Ledger(TREE)
    folder = create("folder", "top")
    target = Target("folder", external_id="top")
    file = create("file", folder_id="ext:top")
    operations = [
        folder, create("folder", "top"), file, Delete(target, Condition(1)),
        Patch(Target("file", file.id), b"{}"), create("folder", "top"), Delete(Target("folder", folder.id)),
    ]  # fmt: skip
    outcomes = ledger.write([command(operation) for operation in operations]).outcomes
    seen = [getattr(outcome, "effect", getattr(outcome, "code", "")) for outcome in outcomes]
    assert seen == ["created", "already_exists", "created", "deleted", "not_found", "created", "not_found"]
    assert [row.external_id for row in ledger.resources.values()] == ["top"]


LINKS = Catalog(
    [
        parse_type("part.json", schema(
            "part", "pa", {"root": TEXT, "parent": TEXT}, references={"root": "part", "parent": "part"},
            on_delete={"root": "cascade", "parent": "cascade"})),
        parse_type("account.json", schema("account", "ac", {"owner": TEXT}, references={"owner": "account"},
                                          on_delete={"owner": "cascade"})),
        parse_type("transfer.json", schema(
            "transfer", "tr", {"source": TEXT, "target": TEXT, "memo": TEXT},
            references={"source": "account", "target": "account"},
            on_delete={"source": "set_null", "target": "set_null"})),
        parse_type("claim.json", schema(
            "claim", "cl", {"debtor": TEXT, "creditor": TEXT},
            references={"debtor": "account", "creditor": "account"},
            on_delete={"debtor": "set_null", "creditor": "cascade"})),
    ]
)  # fmt: skip


def test_what_a_batch_deletes_hides_nobody_who_still_refers() -> None:
    ledger = Ledger(TREE)
    folder = create("folder", "top")
    ledger.one(folder)
    notes = [create("note", folder_id="ext:top") for _ in range(REFERRERS_MAX + 50)]
    ledger.write([command(note) for note in notes])
    deletes = [command(Delete(Target("note", note.id))) for note in notes[: REFERRERS_MAX + 1]]
    outcomes = ledger.write([*deletes, command(Delete(Target("folder", folder.id), Condition(1)))]).outcomes
    assert refused(outcomes[-1]).code == "conflict"
    assert len(ledger.resources) == 50


def test_too_many_that_refer_are_named_by_one_of_them() -> None:
    ledger = Ledger(TREE)
    ledger.one(create("folder", "top"))
    ledger.write([command(create("note", folder_id="ext:top")) for _ in range(REFERRERS_MAX + 1)])
    kept = refused(ledger.one(Delete(Target("folder", external_id="top"), Condition(1))))
    assert kept.code == "conflict"
    assert "no_" in kept.detail


def test_a_cascade_goes_to_its_end_or_does_not_begin() -> None:
    for length in (3, 8, 12):
        ledger = Ledger(LINKS)
        parts = [create("part", "p0")]
        parts += [create("part", f"p{n}", parent=f"ext:p{n - 1}") for n in range(1, length)]
        for part in parts:
            ledger.one(part)
        outcome = ledger.one(Delete(Target("part", parts[0].id)))
        if isinstance(outcome, Committed):
            assert ledger.resources == {}
            assert types(ledger)[length:] == ["part.deleted"] * length
        else:
            assert refused(outcome).code == "conflict"
            assert len(ledger.resources) == length
    assert ledger.rounds == ROUNDS_MAX


def test_what_is_reached_on_two_ways_goes_once() -> None:
    ledger = Ledger(LINKS)
    ledger.one(create("part", "a"))
    ledger.one(create("part", "x", root="ext:a", parent="ext:a"))
    ledger.one(create("part", "y", root="ext:a", parent="ext:x"))
    committed(ledger.one(Delete(Target("part", external_id="a"))))
    assert types(ledger)[3:] == ["part.deleted"] * 3
    assert ledger.resources == {}


def test_who_refers_through_two_fields_lets_go_of_both_at_once() -> None:
    ledger = Ledger(LINKS)
    ledger.one(create("account", "a"))
    ledger.one(create("transfer", "t", source="ext:a", target="ext:a", memo="m"))
    committed(ledger.one(Delete(Target("account", external_id="a"))))
    assert types(ledger)[2:] == ["account.deleted", "transfer.updated"]
    (row,) = ledger.resources.values()
    assert (orjson.loads(row.data), row.version) == ({"memo": "m"}, 2)


def test_who_goes_along_through_one_field_keeps_nothing_of_the_other() -> None:
    ledger = Ledger(LINKS)
    ledger.one(create("account", "a"))
    ledger.one(create("account", "b", owner="ext:a"))
    ledger.one(create("claim", "same", debtor="ext:a", creditor="ext:a"))
    ledger.one(create("claim", "both", debtor="ext:a", creditor="ext:b"))
    committed(ledger.one(Delete(Target("account", external_id="a"))))
    assert ledger.resources == {}
    deleted = [event for event in types(ledger) if event.endswith(".deleted")]
    assert sorted(deleted) == ["account.deleted"] * 2 + ["claim.deleted"] * 2


def test_what_a_batch_has_tied_goes_along_too() -> None:
    ledger = Ledger(LINKS)
    for name, tied in (("a", {}), ("x", {}), ("y", {"parent": "ext:x"})):
        ledger.one(create("part", name, **tied))
    tie = Patch(Target("part", external_id="x"), b'{"parent":"ext:a"}')
    outcomes = ledger.write([command(tie), command(Delete(Target("part", external_id="a")))]).outcomes
    assert [committed(outcome).effect for outcome in outcomes] == ["patched", "deleted"]
    assert ledger.resources == {}


@pytest.mark.parametrize("name", ["a\u0000", "", "a b", "a" * 129])
def test_an_own_id_that_can_not_be_names_nothing(name: str) -> None:
    faults = refused(Ledger(TREE).one(create("file", folder_id=f"ext:{name}"))).errors
    assert [(fault.pointer, fault.code) for fault in faults] == [("#/folder_id", "not_found")]

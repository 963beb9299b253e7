"""Schema files: what can't be a type is refused with place and reason, and a type knows its channels."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.channels.name import is_valid
from core.resources.schema import (
    LIST_PARAMETERS,
    RESERVED_COLLECTIONS,
    RESERVED_PREFIXES,
    SCHEMA_BYTES_MAX,
    SCHEMA_DEPTH_MAX,
    SCHEMA_REFS_MAX,
    SYSTEM_FIELDS,
    Catalog,
    ResourceType,
    SchemaError,
    check_references,
    parse_type,
)

FILE = "message.json"
ABSENT: Any = object()
SHIPPED = sorted((Path(__file__).parents[4] / "schemas").glob("*.json"))


def schema(options: dict[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    """Return a good schema with these members of `x-tidings` and of the top changed, or left out."""
    tidings = {"collection": "messages", "id_prefix": "msg"} | (options or {})
    whole = {
        "title": "message",
        "type": "object",
        "properties": {"room": {"type": "string"}, "text": {}},
        "x-tidings": {name: value for name, value in tidings.items() if value is not ABSENT},
    }
    return {name: value for name, value in (whole | members).items() if value is not ABSENT}


def declared(options: dict[str, Any] | None = None, **members: Any) -> ResourceType:
    return parse_type(FILE, json.dumps(schema(options, **members)).encode())


def refusal(text: bytes) -> tuple[str, str]:
    with pytest.raises(SchemaError) as caught:
        parse_type(FILE, text)
    assert caught.value.file == FILE
    assert str(caught.value) == f"{FILE}{caught.value.pointer}: {caught.value.reason}"
    return caught.value.pointer, caught.value.reason


def nested(depth: int) -> Any:
    return {} if depth == 0 else {"items": nested(depth - 1)}


def test_a_type_knows_what_its_file_says() -> None:
    type_ = declared(
        {
            "channels": ["room:{room}"],
            "references": {"room": "room"},
            "immutable": ["room"],
            "search": ["text"],
            "index": ["text", "room"],
            "require_if_match": True,
            "on_delete": {"room": "cascade"},
        },
        required=["room"],
    )
    assert (type_.name, type_.collection, type_.id_prefix) == ("message", "messages", "msg")
    assert (type_.fields, type_.search, type_.index) == (("room", "text"), ("text",), ("text", "room"))
    assert (type_.references, type_.immutable) == ({"room": "room"}, frozenset({"room"}))
    assert (type_.require_if_match, type_.on_delete) == (True, {"room": "cascade"})
    assert type_.channels == ("room:{room}",)
    assert "validator" not in repr(type_)


def test_what_a_file_does_not_say_is_left_open() -> None:
    type_ = declared({"references": {"room": "room"}})
    assert (type_.channels, type_.search, type_.immutable, type_.on_delete) == ((), (), frozenset(), {})
    assert type_.index == ("room",)
    assert not type_.require_if_match


def test_each_field_knows_the_kinds_that_the_schema_names() -> None:
    properties = {"a": {"type": "string"}, "b": {"type": ["integer", "null"]}, "c": {}, "d": True}
    assert declared(properties=properties).kinds == {
        "a": {"string"},
        "b": {"integer", "null"},
        "c": set(),
        "d": set(),
    }


def test_the_top_is_closed_even_where_the_schema_says_otherwise() -> None:
    validator = declared(additionalProperties=True).validator
    assert validator.is_valid({"text": 1})
    assert not validator.is_valid({"other": 1})


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.name))
def test_the_types_that_come_with_the_product_are_types(path: Path) -> None:
    assert parse_type(path.name, path.read_bytes()).name == path.stem


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "no title": (schema(title=ABSENT), "#/title", "must name the type"),
    "title of no text": (schema(title=1), "#/title", "must name the type"),
    "title of two words": (schema(title="Chat message"), "#/title", "must name the type"),
    "title too long": (schema(title="m" * 41), "#/title", "must name the type"),
    "title of a publication": (schema(title="publication"), "#/title", "the system"),
    "title of the system's channels": (schema(title="tidings"), "#/title", "the system"),
    "type missing": (schema(type=ABSENT), "#/type", '"object"'),
    "type of another kind": (schema(type="array"), "#/type", '"object"'),
    "no properties": (schema(properties=ABSENT), "#/properties", "must name the fields"),
    "empty properties": (schema(properties={}), "#/properties", "must name the fields"),
    "properties of no object": (schema(properties=["a"]), "#/properties", "must name the fields"),
    "remote reference": (
        schema(properties={"a": {"anyOf": [{"$ref": "https://example.com/a"}]}}),
        "#/properties/a/anyOf/0/$ref",
        "inside the file",
    ),
    "file reference": (schema(allOf=[{"$ref": "file:///a"}]), "#/allOf/0/$ref", "inside the file"),
    "no such reference": (schema(properties={"a": {"$ref": "#/$defs/b"}}), "#", "no valid JSON Schema"),
    "remote dynamic reference": (schema(properties={"a": {"$dynamicRef": "http://b/"}}), "#", "no valid"),
    "no schema": (schema(properties={"a": {"type": "word"}}), "#", "no valid JSON Schema"),
    "no pattern": (schema(properties={"a": {"pattern": "("}}), "#", "no valid JSON Schema"),
    "required of no list": (
        schema({"references": {"room": "room"}, "on_delete": {"room": "set_null"}}, required=1),
        "#",
        "no valid JSON Schema",
    ),
    "no options": (schema(**{"x-tidings": ABSENT}), "#/x-tidings", "is missing"),
    "options null": (schema(**{"x-tidings": None}), "#/x-tidings", "object"),
    "no collection": (schema({"collection": ABSENT}), "#/x-tidings", "collection"),
    "no prefix": (schema({"id_prefix": ABSENT}), "#/x-tidings", "id_prefix"),
    "unknown option": (schema({"colour": "red"}), "#/x-tidings", "colour"),
    "option of another kind": (schema({"search": "text"}), "#/x-tidings", "search"),
    "unknown way to delete": (
        schema({"references": {"room": "room"}, "on_delete": {"room": "drop"}}),
        "#/x-tidings",
        "drop",
    ),
    "collection of two words": (schema({"collection": "a b"}), "#/x-tidings/collection", "not taken"),
    "collection too long": (schema({"collection": "c" * 41}), "#/x-tidings/collection", "not taken"),
    "prefix too short": (schema({"id_prefix": "m"}), "#/x-tidings/id_prefix", "2 to 8"),
    "prefix too long": (schema({"id_prefix": "m" * 9}), "#/x-tidings/id_prefix", "2 to 8"),
    "prefix with a digit": (schema({"id_prefix": "m1"}), "#/x-tidings/id_prefix", "2 to 8"),
    "reference of no field": (schema({"references": {"a": "b"}}), "#/x-tidings/references", "no field a"),
    "channel of no field": (schema({"channels": ["a:{text}:{a}"]}), "#/x-tidings/channels", "no field a"),
    "channel of an empty name": (schema({"channels": ["a:{}"]}), "#/x-tidings/channels", "no field ."),
    **{
        f"{option} of no field": (schema({option: ["a"]}), f"#/x-tidings/{option}", "no field a")
        for option in ("immutable", "search", "index")
    },
    "deletion of no field": (schema({"on_delete": {"a": "refuse"}}), "#/x-tidings/on_delete", "no field a"),
    "deletion of no reference": (
        schema({"on_delete": {"text": "refuse"}}),
        "#/x-tidings/on_delete/text",
        "is no reference",
    ),
    "deletion that changes an immutable field": (
        schema({"references": {"room": "room"}, "on_delete": {"room": "set_null"}, "immutable": ["room"]}),
        "#/x-tidings/on_delete/room",
        "can't be set to null",
    ),
    **{
        f"reference named {name}": (
            schema({"references": {name: "room"}}, properties={name: {}}),
            "#/x-tidings/references",
            "expand",
        )
        for name in ("a b", "a.b", "a,b", "caf\u00e9")
    },
    "deletion that empties a required field": (
        schema({"references": {"room": "room"}, "on_delete": {"room": "set_null"}}, required=["room"]),
        "#/x-tidings/on_delete/room",
        "can't be set to null",
    ),
}


@pytest.mark.parametrize(("bad", "pointer", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_a_file_that_is_no_type_is_refused_with_place_and_reason(
    bad: dict[str, Any], pointer: str, reason: str
) -> None:
    where, why = refusal(json.dumps(bad).encode())
    assert where == pointer
    assert reason in why


@pytest.mark.parametrize("name", sorted(SYSTEM_FIELDS))
def test_a_field_that_every_resource_has_is_refused(name: str) -> None:
    where, why = refusal(json.dumps(schema(properties={"a": {}, name: {}})).encode())
    assert (where, why) == (f"#/properties/{name}", "is a name that every resource has by itself.")


def test_a_field_that_stands_beside_the_fields_is_refused() -> None:
    where, why = refusal(json.dumps(schema(properties={"a": {}, "idempotency_key": {}})).encode())
    assert (where, why) == ("#/properties/idempotency_key", "is what stands beside the fields in a batch.")


@pytest.mark.parametrize("name", [*sorted(LIST_PARAMETERS), "created_at[gte]", "-name"])
def test_a_filter_that_a_list_would_take_for_something_else_is_refused(name: str) -> None:
    for option in ({"index": [name]}, {"references": {name: "room"}}):
        where, why = refusal(json.dumps(schema(option, properties={name: {}})).encode())
        assert (where, "can't filter" in why) == (f"#/x-tidings/{next(iter(option))}", True)
    assert declared({"search": [name]}, properties={name: {}}).fields == (name,)


def test_names_of_the_system_are_taken() -> None:
    for name in RESERVED_COLLECTIONS:
        assert refusal(json.dumps(schema({"collection": name})).encode())[0] == "#/x-tidings/collection"
    for prefix in RESERVED_PREFIXES:
        assert refusal(json.dumps(schema({"id_prefix": prefix})).encode())[0] == "#/x-tidings/id_prefix"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"{", "is no JSON"),
        (b"\xff", "is no JSON"),
        (b"[]", "must be an object"),
        (b"1", "must be an object"),
    ],
)
def test_a_file_is_a_json_object(text: bytes, reason: str) -> None:
    where, why = refusal(text)
    assert where == "#"
    assert reason in why


def test_size_depth_and_references_end_at_their_limits() -> None:
    text = json.dumps(schema()).encode()
    parse_type(FILE, text + b" " * (SCHEMA_BYTES_MAX - len(text)))
    assert "larger" in refusal(text + b" " * (SCHEMA_BYTES_MAX - len(text) + 1))[1]

    # The schema itself, `properties` and `a` are three levels.
    declared(properties={"a": nested(SCHEMA_DEPTH_MAX - 3)})
    where, why = refusal(json.dumps(schema(properties={"a": nested(SCHEMA_DEPTH_MAX - 2)})).encode())
    assert where == "#/properties/a" + "/items" * (SCHEMA_DEPTH_MAX - 2)
    assert "deeper" in why

    properties = {f"p{number}": {"$ref": "#/$defs/a"} for number in range(SCHEMA_REFS_MAX)}
    declared(properties=properties, **{"$defs": {"a": {}}})
    properties["one_more"] = {"$ref": "#/$defs/a"}
    where, why = refusal(json.dumps(schema(properties=properties, **{"$defs": {"a": {}}})).encode())
    assert where == "#"
    assert "references" in why


ROOM = declared({"collection": "rooms", "id_prefix": "room"}, title="room")
MESSAGE = declared({"references": {"room": "room"}})


def test_types_that_refer_to_each_other_are_checked_together() -> None:
    check_references({"room.json": ROOM, "message.json": MESSAGE})
    with pytest.raises(SchemaError) as caught:
        check_references({"message.json": MESSAGE})
    assert (caught.value.file, caught.value.pointer) == ("message.json", "#/x-tidings/references/room")


@pytest.mark.parametrize(
    ("twin", "what"),
    [
        (declared({"collection": "a", "id_prefix": "ab"}), "title message"),
        (declared({"id_prefix": "ab"}, title="a"), "collection messages"),
        (declared({"collection": "a"}, title="a"), "id_prefix msg"),
    ],
    ids=["title", "collection", "id_prefix"],
)
def test_nothing_is_claimed_by_two_types(twin: ResourceType, what: str) -> None:
    with pytest.raises(SchemaError) as caught:
        check_references({"first.json": declared(), "second.json": twin})
    assert caught.value.file == "second.json"
    assert caught.value.reason == f"{what} is already that of first.json."


def test_a_catalog_finds_types_by_name_by_collection_and_by_what_they_refer_to() -> None:
    catalog = Catalog([ROOM, MESSAGE])
    assert (catalog.by_name["room"], catalog.by_collection["messages"]) == (ROOM, MESSAGE)
    assert catalog.names == {"room", "message"}
    assert catalog.referrers_of("room") == [(MESSAGE, "room")]
    assert catalog.referrers_of("message") == []


def channels(document: dict[str, Any], *templates: str) -> tuple[str, ...]:
    return declared({"channels": list(templates)}).channels_of("msg_1", document)


def test_no_event_stands_in_a_channel_of_the_system() -> None:
    document = {"room": "tidings", "text": "tidings:occupancy"}
    assert channels(document, "tidings:{room}", "{text}", "{room}:x", "${room}:x", "{room}") == (
        "message:msg_1",
        "tidings",
    )


def test_an_event_stands_in_its_own_channel_and_in_those_of_the_templates() -> None:
    document = {"room": "room_1", "text": 7}
    assert channels(document) == ("message:msg_1",)
    assert channels(document, "room:{room}", "all", "{room}:{text}") == (
        "message:msg_1",
        "room:room_1",
        "all",
        "room_1:7",
    )


def test_a_channel_is_named_once() -> None:
    assert channels({"room": "a", "text": "a"}, "x:{room}", "x:{text}") == ("message:msg_1", "x:a")


@pytest.mark.parametrize("value", [None, ["a"], {"a": 1}, 1.5, "r\u00f6m", "a\nb", "a" * 256])
def test_a_value_that_no_channel_can_be_named_after_names_none(value: Any) -> None:
    assert channels({"room": value}, "{room}", "all") == ("message:msg_1", "all")
    assert channels({}, "{room}", "all") == ("message:msg_1", "all")


@given(
    st.dictionaries(st.sampled_from(["room", "text"]), st.text() | st.integers() | st.none() | st.booleans())
)
def test_every_channel_of_a_resource_can_be_subscribed_to(document: dict[str, Any]) -> None:
    assert all(is_valid(name) for name in channels(document, "room:{room}", "{text}{room}"))

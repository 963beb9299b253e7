"""Which references a reader may see as objects, how deep, and where the objects go."""

from pathlib import Path

import pytest

from adapters.schemas import load_catalog
from core.errors import TidingsError
from core.ids import encode
from core.resources.expansion import Expansion, parse_expand, put_objects

CATALOG = load_catalog(Path(__file__).parents[4] / "schemas")
MESSAGE, ROOM = CATALOG.by_name["message"], CATALOG.by_name["room"]
ORG = bytes(16)


def fault_of(text: str) -> tuple[str, str]:
    with pytest.raises(TidingsError) as refused:
        parse_expand(CATALOG, MESSAGE, text)
    fault = refused.value.members["errors"][0]
    return fault["parameter"], fault["code"]


def test_without_the_parameter_nothing_is_shown() -> None:
    expansion = parse_expand(CATALOG, MESSAGE, None)
    assert expansion.fields == {}
    assert list(expansion.types()) == []


def test_paths_that_begin_alike_are_read_once() -> None:
    expansion = parse_expand(CATALOG, MESSAGE, "room_id,reply_to,reply_to.room_id,room_id")
    below = Expansion(MESSAGE, {"room_id": Expansion(ROOM)})
    assert expansion == Expansion(MESSAGE, {"room_id": Expansion(ROOM), "reply_to": below})
    assert [type_.name for type_ in expansion.types()] == ["room", "message", "room"]


@pytest.mark.parametrize("text", ["text", "", "room_id,", "room_id.room_id", "Room_id", "reply_to.text"])
def test_what_is_no_reference_is_refused(text: str) -> None:
    assert fault_of(text) == ("expand", "not_allowed")


def test_depth_and_number_have_limits() -> None:
    assert fault_of("reply_to.reply_to.room_id") == ("expand", "too_long")
    assert fault_of(",".join(["room_id"] * 6)) == ("expand", "too_long")
    assert parse_expand(CATALOG, MESSAGE, ",".join(["room_id"] * 5)).fields == {"room_id": Expansion(ROOM)}


def test_a_reference_that_is_empty_needs_nothing() -> None:
    expansion = parse_expand(CATALOG, MESSAGE, "room_id,reply_to")
    document = {"room_id": encode("room", bytes(15) + b"\x01"), "reply_to": None}
    assert expansion.keys(ORG, document) == {"room_id": (ORG, "room", bytes(15) + b"\x01")}
    assert expansion.keys(ORG, {}) == {}


def test_objects_stand_where_their_ids_were() -> None:
    document = {"id": "msg_1", "room_id": "room_1", "reply_to": "msg_0", "text": "hi"}
    put_objects(document, {"room_id": {"id": "room_1"}})
    assert list(document.items()) == [
        ("id", "msg_1"), ("room_id", {"id": "room_1"}), ("reply_to", "msg_0"), ("text", "hi"),
    ]  # fmt: skip

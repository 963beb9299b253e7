"""A reference names a resource by its id, or by its own id behind `ext:`."""

import pytest

from core.ids import encode
from core.streams.command import Target
from core.streams.references import resolved, target_of
from tests.helpers.ledger import CATALOG

ROOM = CATALOG.by_name["room"]


def test_an_id_and_an_own_id_name_a_target() -> None:
    assert target_of(ROOM, encode("room", b"i" * 16)) == Target("room", b"i" * 16)
    assert target_of(ROOM, "ext:lobby") == Target("room", external_id="lobby")


@pytest.mark.parametrize("text", ["", "lobby", encode("msg", b"i" * 16), "room_short"])
def test_what_is_no_id_of_the_type_names_nothing(text: str) -> None:
    assert target_of(ROOM, text) is None


def test_a_resolved_reference_is_written_as_its_id_and_an_id_stays() -> None:
    document = {"room_id": "ext:lobby", "text": "hi"}
    assert resolved(document, "room_id", "room_1") == {"room_id": "room_1", "text": "hi"}
    assert document["room_id"] == "ext:lobby"
    same = {"room_id": "room_1"}
    assert resolved(same, "room_id", "room_1") is same

"""A resource is shown alike to everybody, and its event tells of the change."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.ids import decode
from core.instants import Instant
from core.resources.resource import event_data, event_type, public_id, render
from core.resources.row import ResourceRow
from core.resources.schema import parse_type

NOTE = parse_type(
    "note.json",
    json.dumps(
        {
            "title": "note",
            "type": "object",
            "properties": {"zeta": {}, "alpha": {}, "room": {}},
            "x-tidings": {"collection": "notes", "id_prefix": "not"},
        }
    ).encode(),
)
ID = bytes(range(16))
CREATED, UPDATED = Instant(1_800_000_000_000_001), Instant(1_800_000_060_000_000)


def row(document: dict[str, Any], external_id: str = "") -> ResourceRow:
    data = json.dumps(document).encode()
    return ResourceRow(b"o" * 16, "note", ID, external_id, data, 3, CREATED, UPDATED)


@given(st.binary(min_size=16, max_size=16))
def test_the_public_id_carries_the_prefix_of_the_type(raw: bytes) -> None:
    assert decode("not", public_id(NOTE, raw)) == raw


def test_own_fields_stand_in_the_order_of_the_schema_between_what_all_resources_have() -> None:
    document = {"room": None, "alpha": [1], "old": 1, "zeta": {"b": 1, "a": 2}, "metadata": {"k": ""}}
    assert render(NOTE, row(document, "e-1")).decode() == (
        '{"id":"not_00041061050r3gg28a1c60t3gf","object":"note","version":3,"external_id":"e-1",'
        '"zeta":{"b":1,"a":2},"alpha":[1],"room":null,"metadata":{"k":""},'
        '"created_at":"2027-01-15T08:00:00.000001Z","updated_at":"2027-01-15T08:01:00.000000Z"}'
    )


def test_what_a_resource_does_not_have_is_left_out_and_its_metadata_is_empty() -> None:
    assert list(json.loads(render(NOTE, row({"alpha": ""})))) == [
        "id", "object", "version", "alpha", "metadata", "created_at", "updated_at",
    ]  # fmt: skip
    assert json.loads(render(NOTE, row({})))["metadata"] == {}


@given(
    st.dictionaries(st.sampled_from(NOTE.fields), st.text() | st.integers(-9, 9) | st.lists(st.booleans())),
    st.sampled_from(["", "e-1"]),
)
def test_a_stored_resource_is_shown_as_it_was_when_it_was_written(
    document: dict[str, Any], external_id: str
) -> None:
    written = render(NOTE, row(document, external_id), document)
    assert render(NOTE, row(document, external_id)) == written
    assert json.loads(written).items() >= {**document, "object": "note", "version": 3}.items()


@pytest.mark.parametrize("change", ["created", "updated", "deleted"])
def test_the_type_of_an_event_names_type_and_change(change: Any) -> None:
    assert event_type(NOTE, change) == f"note.{change}"


@pytest.mark.parametrize(
    ("previous", "expected"),
    [
        (None, b'{"object":{"a": 1}}'),
        ({}, b'{"object":{"a": 1},"previous_attributes":{}}'),
        ({"a": None, "b": [1]}, b'{"object":{"a": 1},"previous_attributes":{"a":null,"b":[1]}}'),
    ],
    ids=["created", "unchanged", "updated"],
)
def test_the_data_of_an_event_embeds_the_object_and_on_updates_what_was(
    previous: dict[str, Any] | None, expected: bytes
) -> None:
    assert event_data(b'{"a": 1}', previous) == expected

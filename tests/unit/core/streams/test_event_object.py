"""The event object embeds what was stored, byte for byte."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from core.streams.event import PUBLICATION_CREATED, ClientInfo, Event
from core.streams.event_object import channel_payload, event_object, publication_entry

ID = bytes(range(16))


def publication(data: bytes) -> Event:
    return Event(7, ID, PUBLICATION_CREATED, 1, data, (("news", 3),), ClientInfo("42", "c1"), {"k": "v"})


def test_a_publication_shows_its_data_and_position() -> None:
    shown = orjson.loads(event_object(publication(b'{"n": 1}'), "k3f9"))
    assert shown == {
        "id": "evt_00041061050r3gg28a1c60t3gf",
        "object": "event",
        "type": "publication.created",
        "api_version": "2026-11-22",
        "created_at": "1970-01-01T00:00:00.000001Z",
        "seq": 7,
        "epoch": "k3f9",
        "channels": [{"channel": "news", "offset": 3}],
        "data": {
            "object": {
                "object": "publication",
                "id": "evt_00041061050r3gg28a1c60t3gf",
                "channel": "news",
                "tags": {"k": "v"},
                "info": {"user": "42", "client": "c1"},
                "data": {"n": 1},
            }
        },
    }


def test_a_payload_that_is_no_json_is_shown_in_base64() -> None:
    shown = orjson.loads(event_object(publication(b"\xff\x00"), "k3f9"))
    assert shown["data"]["object"]["b64data"] == "/wA="


@given(st.binary())
def test_subscribers_get_the_very_bytes_that_were_published(data: bytes) -> None:
    assert channel_payload(publication(data)) == data


def test_a_resource_event_travels_as_the_event_object_without_position() -> None:
    event = Event(8, ID, "room.created", 1, b'{"object":{"id":"room_1"}}', (("room:room_1", 1),))
    shown = orjson.loads(channel_payload(event))
    assert shown["data"] == {"object": {"id": "room_1"}}
    assert "seq" not in shown


def test_a_publication_in_several_channels_names_them_all() -> None:
    event = Event(7, ID, PUBLICATION_CREATED, 1, b"1", (("a", 3), ("b", 9)))
    shown = orjson.loads(event_object(event, "k3f9"))
    assert shown["data"]["object"]["channels"] == ["a", "b"]
    assert shown["channels"] == [{"channel": "a", "offset": 3}, {"channel": "b", "offset": 9}]


def test_an_entry_of_a_channel_bears_its_position_there() -> None:
    shown = orjson.loads(publication_entry(publication(b'{"n":1}'), "news", 3, "k3f9"))
    assert shown == {
        "object": "publication",
        "id": "evt_00041061050r3gg28a1c60t3gf",
        "channel": "news",
        "offset": 3,
        "seq": 7,
        "epoch": "k3f9",
        "created_at": "1970-01-01T00:00:00.000001Z",
        "tags": {"k": "v"},
        "info": {"user": "42", "client": "c1"},
        "data": {"n": 1},
    }


def test_a_resource_event_is_an_entry_as_its_event_object() -> None:
    event = Event(8, ID, "room.created", 1, b'{"object":{"id":"room_1"}}', (("room:room_1", 1),))
    shown = orjson.loads(publication_entry(event, "room:room_1", 1, "k3f9"))
    assert shown["data"] == orjson.loads(channel_payload(event))
    assert shown["offset"] == 1

"""The protocol in protobuf: messages after their lengths, payloads any bytes."""

import struct
from typing import Any

import orjson
import pytest
from centrifuge.protocol import client_pb2 as sdk
from hypothesis import given
from hypothesis import strategies as st

from core.channels.filter import FilterNode
from core.connections import client_pb2 as pb
from core.connections.codec import Codec, ProtocolError
from core.connections.codec_protobuf import PROTOBUF
from core.connections.codec_requests import ID_MAX
from core.connections.frames import (
    Command,
    Connect,
    ErrorReply,
    History,
    HistoryPage,
    Joined,
    Message,
    Pong,
    PresenceList,
    Publish,
    Published,
    Subscribe,
    Subscribed,
    Unserved,
    Unsubscribed,
)
from core.streams.event import ClientInfo, Event
from core.streams.position import Position
from tests.helpers.commands import COMMANDS, as_protobuf, delimited
from tests.helpers.replies import protobuf_objects, published

FAR = 2**21
"""A length of four bytes."""


def test_it_is_a_codec_of_any_bytes() -> None:
    codec: Codec = PROTOBUF
    assert not codec.is_json
    assert codec.ping == b"\x00"
    assert codec.join([b"\x00", b"\x01a"]) == b"\x00\x01a"


@given(st.lists(COMMANDS, min_size=1, max_size=5))
def test_the_commands_of_a_frame_are_read_in_their_order(commands: list[Command]) -> None:
    frame = PROTOBUF.join([as_protobuf(command) for command in commands])
    assert PROTOBUF.decode(frame, len(commands)) == commands
    with pytest.raises(ProtocolError):
        PROTOBUF.decode(frame, len(commands) - 1)


def command(**members: Any) -> bytes:
    return delimited(pb.Command(**members))


@pytest.mark.parametrize(
    ("frame", "commands"),
    [
        (b"\x00", [Pong()]),
        (b"\x80\x00", [Pong()]),
        (b"\x00\x00", [Pong(), Pong()]),
        (command(publish={"channel": "a"}), [Pong()]),
        (command(send={"data": b"\xff"}), [Message(b"\xff")]),
        (command(id=1, send={}), [Message(b"")]),
        (command(id=ID_MAX, connect={}), [Connect(ID_MAX)]),
        (command(id=1, connect={}) + command(id=2, ping={}), [Connect(1), Unserved(2, "ping")]),
        (command(id=1, publish={"channel": "a", "data": b"\x00\xff"}), [Publish(1, "a", b"\x00\xff")]),
        (command(id=1, history={"channel": "a", "limit": -1}), [History(1, "a", -1)]),
        (command(id=1, history={"channel": "a", "since": {}}), [History(1, "a", 0, Position("", 0))]),
        (command(id=1, subscribe={"channel": "a", "tf": {"op": "not", "nodes": [{"key": "k"}]}}),
         [Subscribe(1, "a", filter=FilterNode("not", nodes=(FilterNode(key="k"),)))]),
        (command(id=1, subscribe={"channel": "a", "type": 4}), [Unserved(1, "shared_poll", "a")]),
        (b"\x06\x08\x01\x22\x00\x78\x01", [Connect(1)]),
        (b"\x07\x08\x01\xfa\x3e\x00\x22\x00", [Connect(1)]),
        (command(id=1, publish={"channel": "a", "data": b"1" * FAR}), [Publish(1, "a", b"1" * FAR)]),
    ],
    ids=range(16),
)  # fmt: skip
def test_a_frame_means_its_commands(frame: bytes, commands: list[Command]) -> None:
    assert PROTOBUF.decode(frame, 10) == commands


def nested(depth: int) -> dict[str, Any]:
    node: dict[str, Any] = {}
    for _ in range(depth):
        node = {"op": "not", "nodes": [node]}
    return node


@pytest.mark.parametrize(
    "frame",
    [
        b"", b"\x01", b"\x02\x08", b"\x80", b"\xff\xff\xff\xff\x0f", b"\x80\x80\x80\x80\x80\x00",
        b"\xff" * 20, b"\x02\x08\x01", b"\x00\x01", b"\x01\x08", b"\x03\x22\x05a", b"\x04\x08\x01\x78\x01",
        b"\x07\x08\x01\x22\x03\x0a\x01\xff", b"\x02\x0f\x00",
        command(id=1, subscribe={}), command(id=1, subscribe={"channel": "a", "delta": "other"}),
        command(id=1, subscribe={"channel": "a", "recover": True, "offset": 2**63}),
        command(id=1, subscribe={"channel": "a", "max_rate": float("nan")}),
        command(id=1, subscribe={"channel": "a", "tf": nested(200)}),
        command(id=1, publish={"data": b"1"}), command(id=1, presence={}),
        command(id=1, connect={})[:-1],
    ],
    ids=range(22),
)  # fmt: skip
def test_what_is_no_sequence_of_commands_is_refused_as_a_whole(frame: bytes) -> None:
    with pytest.raises(ProtocolError):
        PROTOBUF.decode(frame, 10)


def test_a_length_beyond_the_frame_is_refused_before_anything_is_read() -> None:
    with pytest.raises(ProtocolError):
        PROTOBUF.decode(b"\x00\xfe\xff\xff\xff\x0f" + b"a" * 100, 10)


HEAD = PROTOBUF.head_of("a")
KNOWN = published(b"\x00", ClientInfo("ann", "c", b"\x01", b"\x02"), {"k": "v"})


def pub(message: bytes) -> dict[str, Any]:
    (found,) = protobuf_objects(message, sdk.Reply)
    assert found["push"]["channel"] == "a"
    return dict(found["push"]["pub"])


def test_the_bytes_of_a_publication() -> None:
    pushed = PROTOBUF.encode_publication(HEAD, 3, published(b"\xff\x00"))
    assert pushed == b"\x0d\x22\x0b\x12\x01a\x22\x06\x22\x02\xff\x00\x30\x03"
    assert pub(PROTOBUF.encode_publication(HEAD, 3, KNOWN)) == {
        "data": b"\x00",
        "info": {"user": "ann", "client": "c", "conn_info": b"\x01", "chan_info": b"\x02"},
        "tags": {"k": "v"},
        "offset": 3,
    }
    assert pub(PROTOBUF.encode_publication(HEAD, 0, published(b"1"))) == {"data": b"1"}
    changed = Event(7, bytes(16), "note.created", 0, b'{"object":{}}', (("a", 3),))
    assert orjson.loads(pub(PROTOBUF.encode_publication(HEAD, 3, changed))["data"])["type"] == "note.created"


@pytest.mark.parametrize("size", [0, 1, 120, 127, 128, 16_384, FAR])
def test_a_reply_of_any_length_stands_after_it(size: int) -> None:
    pushed = PROTOBUF.encode_publication(HEAD, 1, published(b"1" * size))
    assert pub(pushed).get("data", b"") == b"1" * size


def test_with_delta_a_publication_is_whole_and_the_next_a_patch_of_it() -> None:
    base, target = b"\xff" * 100 + b"1", b"\xff" * 100 + b"2"
    assert pub(PROTOBUF.encode_patch(HEAD, 1, published(base), None)) == {"data": base, "offset": 1}
    patched = pub(PROTOBUF.encode_patch(HEAD, 2, published(target), base))
    assert patched["delta"] is True
    assert len(patched["data"]) < len(target)
    assert pub(PROTOBUF.encode_patch(HEAD, 2, published(b"3"), base)) == {"data": b"3", "offset": 2}
    listed = [(1, published(base)), (2, published(target))]
    recovered = Subscribed("e", 0, publications=listed, delta=True, patches=True)
    (found,) = protobuf_objects(PROTOBUF.encode_reply(1, recovered, ""), sdk.Reply)
    assert found["subscribe"]["publications"] == [{"data": base, "offset": 1}, patched]


def test_a_bare_success_keeps_its_empty_result() -> None:
    assert PROTOBUF.encode_reply(5, Unsubscribed(), "") == b"\x04\x08\x05\x3a\x00"
    assert PROTOBUF.encode_reply(5, Published("", 0), "") == b"\x04\x08\x05\x42\x00"
    assert PROTOBUF.encode_reply(5, PresenceList({}), "") == b"\x04\x08\x05\x4a\x00"
    assert PROTOBUF.encode_reply(5, HistoryPage("", 0, []), "") == b"\x04\x08\x05\x5a\x00"


def test_what_is_ours_has_numbers_that_nobody_else_gives() -> None:
    message = PROTOBUF.encode_reply(5, Published("e", 46, 9, duplicate=True), "")
    assert protobuf_objects(message, sdk.Reply) == [{"id": 5, "publish": {}}]
    known = {"offset": 46, "epoch": "e", "seq": 9, "duplicate": True}
    assert protobuf_objects(message, pb.Reply) == [{"id": 5, "publish": known}]


def test_an_error_and_a_push() -> None:
    error = {"code": 100, "message": "internal server error", "temporary": True}
    message = PROTOBUF.encode_reply(5, ErrorReply(100), "")
    assert protobuf_objects(message, sdk.Reply) == [{"id": 5, "error": error}]
    joined = {"channel": "a", "join": {"info": {"user": "ann"}}}
    message = PROTOBUF.encode_push(Joined("a", ClientInfo("ann", "")))
    assert protobuf_objects(message, sdk.Reply) == [{"push": joined}]


def test_the_schema_is_that_of_an_official_library_and_ours_from_1000_on() -> None:
    for message in pb.DESCRIPTOR.message_types_by_name.values():
        theirs = sdk.DESCRIPTOR.message_types_by_name[message.name].fields_by_number
        for field in message.fields:
            if field.number < 1000 and (message.name, field.name) not in NEWER_THAN_THE_LIBRARY:
                other = theirs[field.number]
                assert (field.name, field.type, field.is_repeated) == (
                    other.name, other.type, other.is_repeated,
                ), message.name  # fmt: skip


NEWER_THAN_THE_LIBRARY = {
    ("SubscribeRequest", "type"),
    ("PublishRequest", "type"),
    ("SubRefreshRequest", "type"),
}


def test_a_rate_is_a_number_of_eight_bytes() -> None:
    """So written by an SDK that has no schema of ours: field 1000, little-endian."""
    request = b"\x0a\x01a\xc1\x3e" + struct.pack("<d", 2.5)
    content = b"\x08\x01\x2a" + bytes([len(request)]) + request
    assert PROTOBUF.decode(bytes([len(content)]) + content, 1) == [Subscribe(1, "a", max_rate=2.5)]

"""Encodings differ in bytes alone: what a client says, and what it is told, is the same in each."""

from typing import Any

import pytest
from centrifuge.protocol import client_pb2 as sdk
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from core.connections import client_pb2 as pb
from core.connections.codec import Codec, ProtocolError
from core.connections.codec_json import JSON
from core.connections.codec_protobuf import PROTOBUF
from core.connections.codec_requests import OFFSET_MAX
from core.connections.codec_uni import UNI
from core.connections.frames import Command, Connected, HistoryPage, Publish, Published, Push, Reply
from core.streams.event import Event
from tests.helpers.commands import CHANNELS, COMMANDS, IDS, as_json, as_protobuf, as_sdk_protobuf
from tests.helpers.replies import (
    CONNECTED,
    EVENTS,
    JSON_READER,
    PROTOBUF_READER,
    PUSHES,
    REPLIES,
    json_objects,
    protobuf_objects,
    published,
    told,
)

CODECS = pytest.mark.parametrize("codec", [JSON, PROTOBUF, UNI], ids=["json", "protobuf", "uni"])
FRAMES = st.lists(COMMANDS, min_size=1, max_size=5)


@given(FRAMES)
def test_commands_mean_the_same_in_either_encoding(commands: list[Command]) -> None:
    assert JSON.decode(b"\n".join([as_json(command) for command in commands]), 5) == commands
    assert PROTOBUF.decode(b"".join([as_protobuf(command) for command in commands]), 5) == commands


@given(COMMANDS)
def test_an_official_library_says_in_protobuf_what_it_says_in_json(command: Command) -> None:
    """But for what its schema does not know."""
    (read,) = PROTOBUF.decode(as_sdk_protobuf(command), 1)
    ours = {"idempotency_key": "", "exclude_self": False, "max_rate": 0.0}
    unsaid = {name: value for name, value in ours.items() if hasattr(command, name)}
    untold = getattr(command, "method", "") in {"map", "shared_poll", "map_publish"}
    assert read == replace(command, **unsaid) or untold


@given(IDS, REPLIES)
def test_a_reply_tells_the_same_in_either_encoding(id_: int, reply: Reply) -> None:
    (in_json,) = json_objects(JSON.encode_reply(id_, reply, "v"))
    (in_protobuf,) = protobuf_objects(PROTOBUF.encode_reply(id_, reply, "v"), pb.Reply)
    assert in_json["id"] == in_protobuf["id"] == id_
    assert told(reply) == JSON_READER.reply(in_json) == PROTOBUF_READER.reply(in_protobuf)


@given(IDS, REPLIES)
def test_an_official_library_reads_every_reply(id_: int, reply: Reply) -> None:
    (found,) = protobuf_objects(PROTOBUF.encode_reply(id_, reply, "v"), sdk.Reply)
    read = PROTOBUF_READER.reply(found)
    assert read == told(reply) or (isinstance(reply, Published) and read == Published("", 0))


@given(PUSHES)
def test_a_push_tells_the_same_in_every_encoding(push: Push) -> None:
    (in_json,) = json_objects(JSON.encode_push(push))
    (bare,) = json_objects(UNI.encode_push(push))
    assert in_json == {"push": bare}
    assert JSON_READER.push(bare) == told(push)
    for schema in (pb.Reply, sdk.Reply):
        (in_protobuf,) = protobuf_objects(PROTOBUF.encode_push(push), schema)
        assert PROTOBUF_READER.push(in_protobuf["push"]) == told(push)


@given(CHANNELS, st.integers(0, OFFSET_MAX), EVENTS, st.none() | EVENTS)
def test_a_publication_arrives_as_it_was_published(
    channel: str, offset: int, event: Event, before: Event | None
) -> None:
    base = None if before is None else before.data
    for codec, reader in ((JSON, JSON_READER), (UNI, JSON_READER), (PROTOBUF, PROTOBUF_READER)):
        head = codec.head_of(channel)
        for message, is_delta in (
            (codec.encode_publication(head, offset, event), False),
            (codec.encode_patch(head, offset, event, base), True),
        ):
            push = pushed(codec, message)
            assert (push["channel"], push["pub"].get("offset", 0)) == (channel, offset)
            assert reader.publication(push["pub"], base, is_delta=is_delta) == event


def pushed(codec: Codec, message: bytes) -> dict[str, Any]:
    if codec is PROTOBUF:
        return protobuf_objects(message, sdk.Reply)[0]["push"]
    (found,) = json_objects(message)
    return found if codec is UNI else found["push"]


@given(st.binary(min_size=1, max_size=60), st.integers(1, OFFSET_MAX))
def test_in_protobuf_a_payload_is_any_bytes(payload: bytes, offset: int) -> None:
    message = PROTOBUF.encode_reply(1, HistoryPage("e", offset, [(offset, published(payload))]), "")
    (found,) = protobuf_objects(message, sdk.Reply)
    assert found["history"]["publications"] == [{"data": payload, "offset": offset}]
    sent = as_sdk_protobuf(Publish(1, "a", payload))
    assert PROTOBUF.decode(sent, 1) == [Publish(1, "a", payload)]


@given(CONNECTED)
def test_a_unidirectional_client_is_told_of_its_connection_as_others_are(connected: Connected) -> None:
    (bare,) = json_objects(UNI.encode_reply(1, connected, "v"))
    (reply,) = json_objects(JSON.encode_reply(1, connected, "v"))
    assert reply == {"id": 1, **bare}


@CODECS
@given(st.binary(max_size=60) | st.text('{}[]":,\n1aid', max_size=40).map(str.encode))
def test_no_bytes_do_harm(codec: Codec, frame: bytes) -> None:
    try:
        assert codec.decode(frame, 10)
    except ProtocolError:
        return


@CODECS
@given(FRAMES, st.integers(0, 400), st.binary(max_size=4), st.integers(0, 4))
def test_no_spoilt_frame_does_harm(
    codec: Codec, commands: list[Command], at: int, spoilt: bytes, cut: int
) -> None:
    written = as_protobuf if codec is PROTOBUF else as_json
    frame = codec.join([written(command) for command in commands])
    frame = frame[:at] + spoilt + frame[at + cut :]
    try:
        assert codec.decode(frame, 10)
    except ProtocolError:
        return

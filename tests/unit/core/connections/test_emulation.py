"""Calls of `POST /emulation` in both encodings."""

import orjson
import pytest

from core.connections.client_pb2 import EmulationRequest
from core.connections.codec import ProtocolError
from core.connections.emulation import EmulationCall, read_call


def test_a_call_in_json_holds_its_commands_as_a_string() -> None:
    body = orjson.dumps({"session": "s", "node": "n", "data": '{"id":2,"rpc":{}}\n{"id":3}', "x": [1]})
    assert read_call(body, is_protobuf=False) == EmulationCall("n", "s", b'{"id":2,"rpc":{}}\n{"id":3}')


def test_a_call_in_protobuf_holds_them_as_bytes() -> None:
    body = EmulationRequest(node="n", session="s", data=b"\x02\x08\x02\xff").SerializeToString()
    assert read_call(body, is_protobuf=True) == EmulationCall("n", "s", b"\x02\x08\x02\xff")


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b"{", b'"text"', b'{"session":"s","node":"n"}', b'{"session":"s","data":"{}"}',
        b'{"node":"n","data":"{}"}', b'{"session":"","node":"n","data":"{}"}',
        b'{"session":"s","node":"","data":"{}"}', b'{"session":"s","node":"n","data":""}',
        b'{"session":"s","node":"n","data":{}}', b'{"session":1,"node":"n","data":"{}"}',
        b'{"session":"\xff","node":"n","data":"{}"}', b'{"session":"s","node":"n","data":"\\ud800"}',
    ],
)  # fmt: skip
def test_what_is_no_call_in_json_is_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        read_call(body, is_protobuf=False)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x0a\x7fshort",
        b"\x0a\x01\xff\x12\x01s\x1a\x01x",  # a node that is not UTF-8
        EmulationRequest(session="s", data=b"x").SerializeToString(),
        EmulationRequest(node="n", data=b"x").SerializeToString(),
        EmulationRequest(node="n", session="s").SerializeToString(),
    ],
)
def test_what_is_no_call_in_protobuf_is_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        read_call(body, is_protobuf=True)

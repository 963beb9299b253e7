"""A frame made here is read by another implementation of RFC 6455 as one whole message."""

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from gateway.realtime.framing import framed, pong_of


@pytest.mark.parametrize("opcode", [Opcode.TEXT, Opcode.BINARY])
@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 300_000])
def test_a_client_reads_one_message_of_the_same_kind_and_bytes(size: int, opcode: Opcode) -> None:
    reader = ClientProtocol(parse_uri("ws://localhost/"), state=State.OPEN, max_size=None)
    payload = b"x" * size
    reader.receive_data(framed(payload, binary=opcode is Opcode.BINARY) + framed(b"after"))
    first, second = reader.events_received()
    assert isinstance(first, Frame)
    assert (first.opcode, first.fin, bytes(first.data)) == (opcode, True, payload)
    assert isinstance(second, Frame)
    assert bytes(second.data) == b"after"


@pytest.mark.parametrize(
    ("size", "header"),
    [
        (125, b"\x81\x7d"),
        (126, b"\x81\x7e\x00\x7e"),
        (65_535, b"\x81\x7e\xff\xff"),
        (65_536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_the_length_takes_the_fewest_bytes_that_hold_it(size: int, header: bytes) -> None:
    assert framed(b"x" * size)[: len(header)] == header
    assert len(framed(b"x" * size)) == len(header) + size


@pytest.mark.parametrize("payload", [b"", b"x", b"x" * 125])
def test_a_client_reads_the_answer_to_its_ping(payload: bytes) -> None:
    reader = ClientProtocol(parse_uri("ws://localhost/"), state=State.OPEN)
    reader.receive_data(pong_of(payload))
    (answer,) = reader.events_received()
    assert isinstance(answer, Frame)
    assert (answer.opcode, bytes(answer.data)) == (Opcode.PONG, payload)

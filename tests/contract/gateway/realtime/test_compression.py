"""permessage-deflate: what is agreed on, and that another implementation reads and writes the same."""

import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, PerMessageDeflate
from websockets.frames import Frame, Opcode

from core.connections.codec_json import JSON
from gateway.realtime.compression import (
    COMPRESSED_FROM_BYTES,
    Deflater,
    InflationError,
    accepted,
    deflated_form,
    inflate,
)

PLAIN = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
BITS = f"{PLAIN}; server_max_window_bits=12"
TAIL = b"\x00\x00\xff\xff"
LIMIT = 655_360


@pytest.mark.parametrize(
    ("offers", "answer"),
    [
        ("permessage-deflate", PLAIN),
        ("permessage-deflate; client_max_window_bits", PLAIN),
        ("permessage-deflate; client_max_window_bits=10", PLAIN),
        ('permessage-deflate; client_max_window_bits="10"', PLAIN),
        ("permessage-deflate;server_no_context_takeover ;client_no_context_takeover", PLAIN),
        ("permessage-deflate; server_max_window_bits=12", BITS),
        ("permessage-deflate; server_max_window_bits = 15", BITS),
        ("permessage-deflate; server_max_window_bits=9, permessage-deflate", PLAIN),
        ("x-webkit-deflate-frame, permessage-deflate", PLAIN),
        ("", ""),
        ("x-webkit-deflate-frame", ""),
        ("permessage-deflate; server_max_window_bits=9", ""),
        ("permessage-deflate; server_max_window_bits", ""),
        ("permessage-deflate; server_max_window_bits=16", ""),
        ("permessage-deflate; client_max_window_bits=7", ""),
        ("permessage-deflate; client_max_window_bits=08", ""),
        ("permessage-deflate; client_max_window_bits=x", ""),
        ("permessage-deflate; server_no_context_takeover=1", ""),
        ("permessage-deflate; client_no_context_takeover; client_no_context_takeover", ""),
        ("permessage-deflate; level=9", ""),
        ("permessage-deflate; ", ""),
    ],
)
def test_an_offer_is_accepted_if_it_can_be_kept(offers: str, answer: str) -> None:
    assert accepted(offers) == answer


def test_what_another_implementation_offers_is_accepted_and_what_we_answer_is_understood() -> None:
    factory = ClientPerMessageDeflateFactory(server_max_window_bits=12, client_max_window_bits=12)
    offer = "; ".join(
        ["permessage-deflate", *(f"{k}={v}" if v else k for k, v in factory.get_request_params())]
    )
    _, *answer = accepted(offer).split("; ")
    pairs: list[Any] = [(name, value or None) for name, _, value in (one.partition("=") for one in answer)]
    extension = factory.process_response_params(pairs, [])
    assert extension.remote_no_context_takeover
    assert extension.local_no_context_takeover


def reader() -> PerMessageDeflate:
    """Return the other side of what we agree on: a client with the smallest window that we keep to."""
    return PerMessageDeflate(
        remote_no_context_takeover=True,
        local_no_context_takeover=True,
        remote_max_window_bits=12,
        local_max_window_bits=15,
    )


@given(st.lists(st.binary(min_size=1, max_size=20_000), min_size=1, max_size=5))
def test_each_message_is_read_without_the_ones_before(payloads: list[bytes]) -> None:
    deflater = Deflater()
    packed = [deflater.deflate(payload) for payload in payloads]
    for payload, one in zip(payloads, packed, strict=True):
        frame = reader().decode(Frame(Opcode.BINARY, one, rsv1=True), max_size=LIMIT)
        assert bytes(frame.data) == payload
        assert inflate(one, LIMIT) == payload


def test_a_message_like_the_one_before_does_not_refer_to_it() -> None:
    deflater, payload = Deflater(), bytes(range(256)) * 8
    assert deflater.deflate(payload) == deflater.deflate(payload)


@given(st.binary(max_size=5_000))
def test_what_another_implementation_writes_is_read(payload: bytes) -> None:
    frame = reader().encode(Frame(Opcode.TEXT, payload))
    assert inflate(bytes(frame.data), LIMIT) == payload


def test_the_examples_of_the_rfc_are_read() -> None:
    # RFC 7692 §7.2.3: compressed, with a stored block, with a last block, in two blocks.
    for packed in (
        "f248cdc9c90700",
        "000500faff48656c6c6f00",
        "f348cdc9c9070000",
        "f248050000 00ffffcac9c90700",
    ):
        assert inflate(bytes.fromhex(packed.replace(" ", "")), LIMIT) == b"Hello"


@pytest.mark.parametrize(
    "payload", [b"\xff\xff\xff", b"\x07", b"Hello", b"\x03\x00" * 30, b"\x01\x05\x00\xfa\xffHello!"]
)
def test_what_was_never_compressed_is_refused(payload: bytes) -> None:
    with pytest.raises(InflationError):
        inflate(payload, LIMIT)


@pytest.mark.parametrize(("size", "is_read"), [(1_000, True), (1_001, False), (100_000_000, False)])
def test_no_more_is_unpacked_than_the_limit(size: int, *, is_read: bool) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = (packer.compress(bytes(size)) + packer.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)
    assert inflate(packed, 1_000) == (bytes(size) if is_read else None)


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_a_form_compresses_what_is_long_enough(*, binary: bool) -> None:
    form = deflated_form("deflate", JSON, Deflater(), binary=binary)
    (short,) = form.frames([b"x" * (COMPRESSED_FROM_BYTES - 1)], LIMIT)
    assert short[0] == (0x82 if binary else 0x81)
    assert short.endswith(b"x" * (COMPRESSED_FROM_BYTES - 1))
    (long,) = form.frames([b"x" * COMPRESSED_FROM_BYTES, b"y"], LIMIT)
    assert long[0] == (0xC2 if binary else 0xC1)
    assert long[1] == len(long) - 2
    assert inflate(long[2:], LIMIT) == b"x" * COMPRESSED_FROM_BYTES + b"\ny"

"""What leaves in which frame."""

import asyncio
from typing import cast

import msgspec
import pytest
from picows import WSMsgType, WSTransport

from adapters.links.frames import CALLER_FRAMES, ENCODER, FromCaller, Unwatch, Watch
from adapters.links.outbox import MessageTooLongError, Outbox
from tests.helpers.loop import run


class Wire:
    """Keeps the payloads that a transport was given."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def send_reuse_external_bytearray(self, kind: WSMsgType, buffer: bytearray, start: int) -> None:
        assert kind is WSMsgType.BINARY
        self.frames.append(bytes(buffer[start:]))

    @property
    def said(self) -> list[list[FromCaller]]:
        return [CALLER_FRAMES.decode(frame) for frame in self.frames]


def outbox_of(wire: Wire, frame_bytes_max: int = 1_000) -> Outbox:
    return Outbox(cast("WSTransport", wire), frame_bytes_max)


def test_what_is_said_in_one_tick_leaves_in_one_frame() -> None:
    async def scenario() -> None:
        wire = Wire()
        outbox = outbox_of(wire)
        outbox.add(Watch(b"one"))
        outbox.add_encoded(ENCODER.encode(Watch(b"two")))
        assert wire.frames == []
        await asyncio.sleep(0)
        assert wire.said == [[Watch(b"one"), Watch(b"two")]]
        outbox.add(Unwatch(b"one"))
        await asyncio.sleep(0)
        assert wire.said[1:] == [[Unwatch(b"one")]]
        await asyncio.sleep(0)
        assert len(wire.frames) == 2

    run(scenario())


def test_a_frame_that_would_grow_too_long_leaves_at_once() -> None:
    async def scenario() -> None:
        wire = Wire()
        outbox = outbox_of(wire)
        for number in range(100):
            outbox.add(Watch(bytes([number]) * 100))
        await asyncio.sleep(0)
        assert max(len(frame) for frame in wire.frames) <= 1_000
        assert [said for frame in wire.said for said in frame] == [
            Watch(bytes([n]) * 100) for n in range(100)
        ]

    run(scenario())


@pytest.mark.parametrize("earlier", [0, 3])
def test_a_message_that_no_frame_can_hold_is_refused_and_harms_no_other(earlier: int) -> None:
    async def scenario() -> None:
        wire = Wire()
        outbox = outbox_of(wire)
        for _ in range(earlier):
            outbox.add(Watch(b"before"))
        with pytest.raises(MessageTooLongError):
            outbox.add(Watch(bytes(1_000)))
        with pytest.raises(MessageTooLongError):
            outbox.add_encoded(bytes(1_000))
        outbox.add(Watch(b"after"))
        await asyncio.sleep(0)
        said = [message for frame in wire.said for message in frame]
        assert said == [Watch(b"before")] * earlier + [Watch(b"after")]

    run(scenario())


def test_after_its_end_nothing_is_kept_and_nothing_leaves() -> None:
    async def scenario() -> None:
        wire = Wire()
        outbox = outbox_of(wire)
        outbox.add(Watch(b"one"))
        outbox.close()
        assert outbox.add(Watch(b"two")) == 0
        outbox.add_encoded(msgspec.msgpack.encode(["three"]))
        await asyncio.sleep(0)
        assert wire.frames == []

    run(scenario())

"""A socket that keeps what it is given, decoded."""

from typing import Any

import orjson

from core.connections import client_pb2 as pb
from gateway.realtime.forms import Form
from gateway.realtime.lane import Wire
from tests.helpers.replies import protobuf_objects


class Recorder:
    """A socket that keeps every message that it is given, in order, replies and shared frames alike.

    Those in protobuf look like those in JSON, but for their payloads, which are bytes.
    """

    def __init__(self, form: Form) -> None:
        self.form = form
        self.wire: Wire = self
        self.lines: list[dict[str, Any]] = []
        self.unsent_bytes = 0
        self.codes: list[int] = []
        self.reasons: list[str] = []
        self.is_paused = False

    def send(self, messages: list[bytes]) -> None:
        for message in messages:
            self._keep(message)

    def _keep(self, message: bytes) -> None:
        if self.form.codec.is_json:
            self.lines += [orjson.loads(line) for line in message.split(b"\n")]
        else:
            self.lines += protobuf_objects(message, pb.Reply)

    def write(self, data: bytes) -> None:
        """Take frames that are made already (RFC 6455 §5.2)."""
        while data:
            assert data[0] == (0x81 if self.form.codec.is_json else 0x82)
            start = {126: 4, 127: 10}.get(data[1], 2)
            size = data[1] if start == 2 else int.from_bytes(data[2:start], "big")
            assert len(data) >= start + size
            self._keep(data[start : start + size])
            data = data[start + size :]

    def get_write_buffer_size(self) -> int:
        return self.unsent_bytes

    def close(self, code: int, reason: str) -> None:
        self.codes.append(code)
        self.reasons.append(reason)

    def ping(self) -> None:
        self.lines.append({})

    def pause(self) -> None:
        self.is_paused = True

    def resume(self) -> None:
        self.is_paused = False

    def reply(self, id_: int) -> dict[str, Any]:
        """Return the reply to a command."""
        return next(line for line in self.lines if line.get("id") == id_)

    def pushes(self, kind: str = "", channel: str = "") -> list[dict[str, Any]]:
        """Return what was pushed, in order: of one kind, on one channel."""
        pushed = [line["push"] for line in self.lines if "push" in line]
        return [
            push for push in pushed if (not kind or kind in push) and channel in ("", push.get("channel", ""))
        ]

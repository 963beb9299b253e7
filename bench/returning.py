"""A subscriber that never gives up, as the SDKs do it: it comes back with jitter, recovers, and goes on.

It decodes what it receives, unlike those that only count, and so notices each publication that is missing,
out of order, or there twice.
"""

import asyncio
import random
import socket
import time
from collections import Counter
from typing import Any, cast

import orjson

from adapters.telemetry.tasks import Tasks
from bench.encoding import JSON
from bench.inbox import CLOSE, Inbox, close_code
from bench.wire import Door, frame

RECONNECT_MIN_S = 0.5
RECONNECT_MAX_S = 20.0
LOST = 1
"""In place of a close code: the transport was closed without a close frame."""
PIECE_BYTES = 262_144
CLOSE_OPCODE = 0x88


class Returning(asyncio.Protocol):
    """One subscriber of one channel, from the present on.

    Args:
        tasks: owner of its attempts to connect.
        door: where to connect, in JSON.
        channel: what it subscribes to.
        receive_bytes: of its receive buffer, 0: the kernel's choice.
    """

    def __init__(
        self,
        tasks: Tasks,
        door: Door,
        channel: str,
        receive_bytes: int = 0,
    ) -> None:
        self._tasks, self._door, self.channel = tasks, door, channel
        self._receive_bytes = receive_bytes
        self.epoch, self.offset = "", 0
        self.is_live = False
        self.subscribed = asyncio.Event()
        self.delivered = self.missing = self.repeated = self.unrecovered = 0
        self.codes: Counter[int] = Counter()
        self.returned_ns = 0
        self.longest_silence_ns = self.longest_away_ns = 0
        self._heard_ns = self._lost_ns = 0
        self._attempt = 0
        self._reads = True
        self._is_over = False
        self._transport: asyncio.Transport | None = None
        self._code = LOST
        self._head: bytes | None = b""
        self._inbox = Inbox()

    def dial(self) -> None:
        """Connect; called again by itself after each loss."""
        self._tasks.spawn("dial", self._dial())

    def read(self, *, reads: bool) -> None:
        """Stop reading, or go on."""
        self._reads = reads
        if self._transport is not None and not self._transport.is_closing():
            (self._transport.resume_reading if reads else self._transport.pause_reading)()

    def mark(self) -> None:
        """Forget what was measured, and begin anew."""
        self.returned_ns = self.longest_silence_ns = self.longest_away_ns = self._heard_ns = 0
        self.codes.clear()

    def end(self) -> None:
        """Never come back."""
        self._is_over = True
        if self._transport is not None:
            self._transport.abort()

    # Connecting.

    async def _dial(self) -> None:
        loop = asyncio.get_running_loop()
        one = socket.socket()
        if self._receive_bytes:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_bytes)
        one.setblocking(False)  # noqa: FBT003 (the library's own)
        try:
            await loop.sock_connect(one, self._door.address)
            await loop.create_connection(lambda: self, sock=one)
        except OSError:
            one.close()
            self._come_back()

    def _come_back(self) -> None:
        """Try again after a random time that grows with each attempt in vain."""
        if self._is_over:
            return
        most_s = min(RECONNECT_MAX_S, RECONNECT_MIN_S + RECONNECT_MIN_S * 2.0**self._attempt)
        self._attempt += 1
        delay_s = random.uniform(RECONNECT_MIN_S, most_s)  # noqa: S311 (no secret)
        asyncio.get_running_loop().call_later(delay_s, self._dial_again)

    def _dial_again(self) -> None:
        if not self._is_over:
            self.dial()

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are of no class of asyncio's
        self._head, self._inbox, self._code = b"", Inbox(), LOST
        self._write(self._door.request)

    def connection_lost(self, _: Exception | None) -> None:
        if self.is_live:
            self._lost_ns = time.monotonic_ns()
        self._transport, self.is_live = None, False
        self.codes[self._code] += 1
        self._come_back()

    def data_received(self, piece: bytes) -> None:
        if self._head is not None:
            piece = self._upgrade(self._head + piece)
        for opcode, payload in self._inbox.frames(piece):
            if opcode == CLOSE:
                self._code = close_code(payload)
                self._close(payload[:2])
                return
            for line in payload.split(b"\n"):
                self._message(line)

    def _upgrade(self, head: bytes) -> bytes:
        self._head, end, rest = head.partition(b"\r\n\r\n")
        if not end:
            return b""
        if self._head[9:12] != b"101":
            self._close(b"")
            return b""
        self._head = None
        wish = {"recover": True, "offset": self.offset, "epoch": self.epoch} if self.epoch else {}
        commands = [
            {"id": 1, "connect": {"token": self._door.token} if self._door.token else {}},
            {"id": 2, "subscribe": {"channel": self.channel, **wish}},
        ]
        self._write(frame(JSON.payload(commands)))
        return rest

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _close(self, code: bytes) -> None:
        if self._transport is not None:
            if code:
                self._transport.write(frame(code, CLOSE_OPCODE))
            self._transport.close()

    # What the server says.

    def _message(self, line: bytes) -> None:
        if line == b"{}":
            self._write(JSON.pong)
            return
        message = orjson.loads(line)
        publication = message.get("push", {}).get("pub")
        if publication is not None:
            self._saw(publication["offset"])
        elif "error" in message or "unsubscribe" in message.get("push", {}):
            self._close(b"\x03\xe8")
        elif message.get("id") == 2:
            self._began(message["subscribe"])

    def _began(self, result: dict[str, Any]) -> None:
        was_there = bool(self.epoch)
        if was_there and not result.get("recovered"):
            self.unrecovered += 1
        if not was_there or not result.get("recovered"):
            self.offset = result.get("offset", 0)
        self.epoch = result["epoch"]
        for publication in result.get("publications", ()):
            self._saw(publication["offset"])
        self._attempt, self.is_live, self.returned_ns = 0, True, time.monotonic_ns()
        if self._lost_ns:
            self.longest_away_ns = max(self.longest_away_ns, self.returned_ns - self._lost_ns)
        self.subscribed.set()
        if not self._reads:
            self.read(reads=False)

    def _saw(self, offset: int) -> None:
        now = time.monotonic_ns()
        if self._heard_ns:
            self.longest_silence_ns = max(self.longest_silence_ns, now - self._heard_ns)
        self._heard_ns = now
        if offset <= self.offset:
            self.repeated += 1
            return
        self.missing += offset - self.offset - 1
        self.offset = offset
        self.delivered += 1

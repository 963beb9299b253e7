"""The downward half of a connection over HTTP: one answer that stays open, whatever its bytes look like.

What is written gathers while the reader is busy, and leaves in parts of whole messages: clients decode each
part that they read by itself. The upward half are requests of their own (`gateway/realtime/emulation.py`).
"""

import asyncio
from collections import Counter, deque
from typing import Final

from core.connections.codec import ProtocolError
from core.connections.codes import SLOW
from core.errors import Code, TidingsError
from gateway.realtime.admission import refusal
from gateway.realtime.client import Client
from gateway.realtime.exchange import Exchange
from gateway.realtime.forms import Form
from gateway.realtime.lane import Wire
from gateway.realtime.opening import Opening, Transport
from gateway.realtime.parts import Replica

NO_STORE: Final = {
    "Cache-Control": "private, no-cache, no-store, must-revalidate, max-age=0",
    "Pragma": "no-cache",
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
}
"""Headers of an answer that nobody on the way may keep or hold back."""
WAITING_MAX: Final = 256
"""Calls of one organization that wait at its sessions here: they must not take up the way of all others."""


class Downstream:
    """One open answer and its client; satisfies `client.Socket`, and `channel.Wire` by itself.

    `write`, `send` and `close` return at once. Past `outbox_bytes_max` what waits is dropped, for it is in
    the log, and the client is told that it is slow.
    """

    client: Client

    def __init__(self, downstreams: "Downstreams", exchange: Exchange, form: Form) -> None:
        self.form = form
        self.wire: Wire = self
        self._downstreams = downstreams
        self._replica = downstreams.replica
        self._exchange = exchange
        self._frames: deque[bytes] = deque()
        self._bytes = 0
        self._is_closing = self._is_slow = self._is_gone = self._is_lost = False
        self._woken = asyncio.Event()
        self._cutting: asyncio.TimerHandle | None = None
        self._reads = asyncio.Event()
        self._reads.set()
        self._calls = 0

    # --- what a client uses

    def write(self, frame: bytes) -> None:
        """Send a frame of whole messages."""
        if self._is_closing or self._is_gone:
            return
        self._frames.append(frame)
        self._bytes += len(frame)
        self._woken.set()
        if not self._is_slow and self.unsent_bytes > self._replica.settings.outbox_bytes_max:
            self._is_slow = True
            # In the middle of a write to all subscribers of a channel, perhaps: it leaves after it.
            asyncio.get_running_loop().call_soon(self._slow)

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait for the client to read."""
        return self._bytes + self._exchange.transport.get_write_buffer_size()

    @property
    def unsent_bytes(self) -> int:
        """How many bytes wait for the client to read."""
        return self.get_write_buffer_size()

    def send(self, messages: list[bytes]) -> None:
        """Send messages of this client alone."""
        for frame in self.form.frames(messages, self._replica.settings.frame_bytes_max):
            self.write(frame)

    def close(self, code: int, reason: str) -> None:
        """End the answer behind what was said, within `flush_s`: code and reason have been told in it."""
        del code, reason
        if self._is_closing:
            return
        self._is_closing = True
        self._woken.set()
        loop = asyncio.get_running_loop()
        loop.call_soon(self._lost)
        self._cutting = loop.call_later(self._replica.settings.flush_s, self._exchange.transport.abort)

    def ping(self) -> None:
        """HTTP has none of its own."""

    def pause(self) -> None:
        """Let commands wait at the door."""
        self._reads.clear()

    def resume(self) -> None:
        """Let them in."""
        self._reads.set()

    # --- what a call of the client's brings

    async def receive(self, message: bytes) -> bool:
        """Take commands of the client, when it has not too many unanswered; False: it is gone.

        Raises:
            TidingsError: `capacity_reduced`, too many calls wait already, or this one has for too long.
        """
        if not self._reads.is_set():
            await self._wait_to_be_read()
        if self._is_lost:
            return False
        self.client.receive(message)
        return True

    async def _wait_to_be_read(self) -> None:
        settings, waiting = self._replica.settings, self._downstreams.waiting
        owner = b"" if self.client.feed is None else self.client.feed.organization_id
        if self._calls >= settings.upstream_calls_max or waiting[owner] >= WAITING_MAX:
            raise TidingsError(Code.CAPACITY_REDUCED)
        self._calls += 1
        waiting[owner] += 1
        try:
            async with asyncio.timeout(settings.upstream_wait_s):
                while not self._reads.is_set():  # the first of those who waited may have filled it again
                    await self._reads.wait()
        except TimeoutError:
            raise TidingsError(Code.CAPACITY_REDUCED) from None
        finally:
            self._calls -= 1
            waiting -= Counter((owner,))  # which forgets those of whom none waits

    # --- the answer

    async def serve(self, message: bytes) -> None:
        """Take the first commands, and send what is written until the connection ends, whoever ends it."""
        watching = self._replica.tasks.spawn("stream.reader", self._watch())
        try:
            self.client.receive(message)
            while not self._is_gone and (self._frames or not self._is_closing):
                if not self._frames:
                    await self._woken.wait()
                    self._woken.clear()
                    continue
                await self._exchange.send(self._part())
            if not self._is_gone:
                await self._exchange.end()
        finally:
            watching.cancel()
            if self._cutting is not None:
                self._cutting.cancel()
            self._lost()

    def _part(self) -> bytes:
        """Return whole frames, as many as one part of the answer may hold."""
        frames = [self._frames.popleft()]
        size, size_max = len(frames[0]), self._replica.settings.frame_bytes_max
        while self._frames and size + len(self._frames[0]) <= size_max:
            frames.append(self._frames.popleft())
            size += len(frames[-1])
        self._bytes -= size
        return b"".join(frames)

    async def _watch(self) -> None:
        """End the session when the client gives its request up: it says nothing more."""
        while (await self._exchange.receive())["type"] != "http.disconnect":
            pass
        self._is_gone = True
        self._woken.set()
        self._lost()

    def _slow(self) -> None:
        self._frames.clear()
        self._bytes = 0
        if not self._is_lost:
            self.client.end(SLOW)

    def _lost(self) -> None:
        if self._is_lost:
            return
        self._is_lost = True
        self._reads.set()
        self._downstreams.forget(self.client)
        self.client.lost()


class Downstreams:
    """All connections of a replica whose downward half is an answer."""

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self.waiting: Counter[bytes] = Counter()
        """Calls that wait to be read, by organization."""
        self._sessions: dict[str, Downstream] = {}

    async def serve(
        self,
        exchange: Exchange,
        form: Form,
        transport: Transport,
        headers: dict[str, str],
        message: bytes,
        *,
        first: bytes = b"",
    ) -> None:
        """Answer an opening request until its connection ends.

        Args:
            exchange: the request.
            form: of what is sent.
            transport: its name; `uni_…` are those without commands.
            headers: of the answer.
            message: the commands that the request brought.
            first: what is sent before any message.

        Raises:
            TidingsError: `malformed_request`, a client without commands has not asked for a connection;
                `capacity_reduced`, `rate_limited`, `concurrency_limited`.
        """
        is_unidirectional = transport.startswith("uni_")
        if is_unidirectional:
            _check(form, message)
        self._admit(exchange.address)
        opening = Opening(
            transport,
            exchange.headers.get("authorization"),
            exchange.headers,
            exchange.address,
            has_session=not is_unidirectional,
            has_close_frame=False,
            is_unidirectional=is_unidirectional,
        )
        await exchange.begin(200, headers)
        if first:
            await exchange.send(first)
        downstream = Downstream(self, exchange, form)
        client = downstream.client = Client(self.replica, downstream, opening)
        self.replica.wheel.add(client)
        if client.session:
            self._sessions[client.session] = downstream
        self.replica.admission.hold_address(exchange.address)
        try:
            await downstream.serve(message)
        finally:
            self.replica.admission.release_address(exchange.address)

    def _admit(self, address: str) -> None:
        replica = self.replica
        if len(replica.clients) >= replica.settings.connections_max:
            raise TidingsError(Code.CAPACITY_REDUCED, "This replica holds as many connections as it may.")
        refused = replica.admission.admit_address(address)
        if refused is not None:
            raise refusal(refused)

    async def body(self, exchange: Exchange) -> bytes:
        """Return the body of a request that brings commands.

        Raises:
            TidingsError: `body_too_large`, `request_timeout`.
            LeftError: there is nobody to answer any more.
        """
        settings = self.replica.settings
        return await exchange.body(settings.message_bytes_max, settings.body_s)

    def forget(self, client: Client) -> None:
        """Take out a client whose connection has ended."""
        self._sessions.pop(client.session, None)

    async def deliver(self, session: str, message: bytes) -> bool:
        """Hand commands to a session of this replica; False: there is none.

        Raises:
            TidingsError: `capacity_reduced`.
        """
        downstream = self._sessions.get(session)
        return downstream is not None and await downstream.receive(message)


def _check(form: Form, message: bytes) -> None:
    try:
        form.codec.decode(message, 1)
    except ProtocolError:
        raise TidingsError(Code.MALFORMED_REQUEST, "Send one connect request.") from None

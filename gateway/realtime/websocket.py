"""The WebSocket transport: whole messages in, frames out, close codes with their texts.

picows parses frames and refuses those that are wrong in themselves. What it leaves to us: reserved bits,
fragments, the limit on a whole message, UTF-8, pings and the close handshake.
"""

import asyncio
import functools

from picows import WSFrame, WSListener, WSMsgType, WSTransport

from core.connections.codes import CONNECTION_CLOSED, NO_PONG, SLOW
from gateway.realtime.client import Client
from gateway.realtime.forms import Form
from gateway.realtime.framing import pong_of
from gateway.realtime.lane import Wire
from gateway.realtime.messages import (
    BINARY,
    NO_EXTENSION,
    PROTOCOL_ERROR,
    TEXT,
    Incoming,
    ViolationError,
    answer_to,
)
from gateway.realtime.opening import Opening
from gateway.realtime.parts import Replica

LINGER_S = 5.0
"""How long a peer may take to answer our close frame, or to read what is left."""
SLOW_LINGER_S = 60.0
"""The same for one that was too slow: it has much to read before it comes to its code."""


class WebSocket(WSListener):
    """One socket and its client.

    Args:
        replica: what its client shares with others.
        form: of what is sent.
        incoming: puts together what is received.
        opening: the request that asked for it.
        first: what its client said in that request, if it says nothing more.
    """

    __slots__ = (
        "_address", "_awaits_pong", "_client", "_first", "_incoming", "_is_closing", "_listens", "_opening",
        "_pongs", "_replica", "_transport", "_writer", "form", "wire",
    )  # fmt: skip

    wire: Wire
    _writer: asyncio.WriteTransport

    def __init__(
        self,
        replica: Replica,
        form: Form,
        incoming: Incoming,
        opening: Opening,
        first: bytes | None = None,
    ) -> None:
        self.form = form
        self._replica = replica
        self._incoming = incoming
        self._opening = opening
        self._address = opening.address
        self._first = first
        self._transport: WSTransport | None = None
        self._client: Client | None = None
        self._pongs: list[bytes] | None = None
        self._is_closing = self._awaits_pong = False
        self._listens = True

    # --- what a client uses

    def send(self, messages: list[bytes]) -> None:
        """Send messages to this client alone."""
        if self._transport is None or self._transport.is_close_frame_sent:
            return
        for frame in self.form.frames(messages, self._replica.settings.frame_bytes_max):
            self._writer.write(frame)
        client = self._client
        if client is not None and client.opening.is_unidirectional and self.form.codec.ping in messages:
            self.ping()  # nobody answers the protocol's own there

    def ping(self) -> None:
        """Ask the peer natively whether it is there; one that never answered the last time is not."""
        if self._transport is None or self._is_closing:
            return
        if self._awaits_pong:
            asyncio.get_running_loop().call_soon(self._end, NO_PONG)
        else:
            self._awaits_pong = True
            self._transport.send_ping()

    def close(self, code: int, reason: str) -> None:
        """Send the close frame, for whose answer the peer has some seconds; none for the code 3000."""
        transport = self._transport
        if transport is None or self._is_closing:
            return
        self._is_closing = True
        asyncio.get_running_loop().call_soon(self._lost)
        if code == CONNECTION_CLOSED:
            self._hang_up(transport)
            return
        transport.send_close(code, reason)  # type: ignore[arg-type]  # any integer is a code on the wire
        self._writer.resume_reading()  # type: ignore[attr-defined]  # a transport of both directions
        self._linger(transport, SLOW_LINGER_S if code == SLOW else LINGER_S)

    def pause(self) -> None:
        """Read nothing more: what the peer sends stays in the kernel, and then with the peer."""
        if self._transport is not None and not self._is_closing:
            self._writer.pause_reading()  # type: ignore[attr-defined]  # as above

    def resume(self) -> None:
        """Read on."""
        if self._transport is not None and not self._is_closing:
            self._writer.resume_reading()  # type: ignore[attr-defined]  # as above

    @property
    def unsent_bytes(self) -> int:
        """How much waits in this process for the peer to read."""
        return 0 if self._transport is None else self._writer.get_write_buffer_size()

    # --- what picows calls

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Begin."""
        _forget_handshake(transport)
        self._transport = transport
        self.wire = self._writer = transport.underlying_transport
        # Past this the client is too slow: picows calls pause_writing, and no write has to look.
        limit = self._replica.settings.outbox_bytes_max
        self._writer.set_write_buffer_limits(high=limit, low=limit // 2)
        self._replica.admission.hold_address(self._address)
        client = self._client = Client(self._replica, self, self._opening)
        del self._opening  # with all its headers: the client keeps of it what it needs
        self._replica.wheel.add(client)
        first, self._first = self._first, None
        if first is not None:
            self._listens = False
            client.receive(first)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take one frame; whole messages go to the client."""
        if self._client is None or transport.is_close_frame_sent:
            # The session is over, whoever ended it: only the answer to our close frame counts.
            if frame.msg_type == WSMsgType.CLOSE:
                self._hang_up(transport)
            return
        try:
            self._take(transport, frame, self._client)
        except ViolationError as violation:
            self._fail(transport, violation)

    def _take(self, transport: WSTransport, frame: WSFrame, client: Client) -> None:
        payload, fin, rsv1, message = frame.get_payload_as_bytes(), bool(frame.fin), bool(frame.rsv1), None
        if frame.rsv2 or frame.rsv3:
            raise ViolationError(PROTOCOL_ERROR, NO_EXTENSION)
        match frame.msg_type:
            case WSMsgType.TEXT:
                message = self._incoming.begin(TEXT, payload, fin=fin, is_packed=rsv1)
            case WSMsgType.BINARY:
                message = self._incoming.begin(BINARY, payload, fin=fin, is_packed=rsv1)
            case _ if rsv1:
                raise ViolationError(PROTOCOL_ERROR, NO_EXTENSION)
            case WSMsgType.CONTINUATION:
                message = self._incoming.go_on(payload, fin=fin)
            case _:
                self._control(transport, frame, client, payload)
        if message is not None and self._listens:
            self._listens = not client.opening.is_unidirectional  # who is, has said all with this
            client.receive(message)

    def _control(self, transport: WSTransport, frame: WSFrame, client: Client, payload: bytes) -> None:
        match frame.msg_type:
            case WSMsgType.PING:
                self._pong(payload)
            case WSMsgType.PONG if self._awaits_pong:  # others need no reason (RFC 6455 §5.5.3)
                self._awaits_pong = False
                if client.opening.has_native_pings:
                    client.pong()
            case WSMsgType.CLOSE:
                self._answer_close(transport, answer_to(payload))
            case _:
                return

    def _pong(self, payload: bytes) -> None:
        """Answer a ping; thousands may be read together, and have one write for their answers."""
        if self._pongs is None:
            self._pongs = []
            asyncio.get_running_loop().call_soon(self._send_pongs)
        self._pongs.append(pong_of(payload))

    def _send_pongs(self) -> None:
        pongs, self._pongs = self._pongs, None
        if pongs and self._transport is not None and not self._transport.is_close_frame_sent:
            self._writer.write(b"".join(pongs))

    def _answer_close(self, transport: WSTransport, code: int) -> None:
        """Answer at once; the session ends with this frame."""
        self._send_pongs()
        self._lost()
        self._is_closing = True
        transport.send_close(code)  # type: ignore[arg-type]  # as above
        self._hang_up(transport)

    def _fail(self, transport: WSTransport, violation: ViolationError) -> None:
        """Fail the connection (RFC 6455 §7.1.7): we say why, and read on only to let that arrive."""
        self._send_pongs()
        self._lost()
        self._is_closing = True
        transport.send_close(violation.code, violation.reason)  # type: ignore[arg-type]  # as above
        self._writer.write_eof()
        self._linger(transport)

    def _hang_up(self, transport: WSTransport) -> None:
        transport.disconnect()
        if self.unsent_bytes:
            self._linger(transport)  # the peer may never read what waits for it

    def _linger(self, transport: WSTransport, most_s: float = LINGER_S) -> None:
        drop = functools.partial(transport.disconnect, graceful=False)
        asyncio.get_running_loop().call_later(most_s, drop)

    def pause_writing(self) -> None:
        """The outbox is full: the client is told, and comes back to recover from the log."""
        # Called in the middle of a write to all subscribers of a channel: it leaves after it.
        asyncio.get_running_loop().call_soon(self._end, SLOW)

    def _end(self, code: int) -> None:
        if self._client is not None:
            self._client.end(code)

    def on_ws_disconnected(self, _transport: WSTransport) -> None:
        """The peer is gone."""
        self._is_closing = True
        self._lost()
        self._transport = None
        self._replica.admission.release_address(self._address)

    def _lost(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.lost()


def _forget_handshake(transport: WSTransport) -> None:
    """Let go of what picows would keep as long as the socket lives: more than the client itself takes."""
    request, response = transport.request, transport.response
    del request.method, request.path, request.version, request.headers, response.headers

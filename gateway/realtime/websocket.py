"""The WebSocket transport: whole messages in, frames out, close codes with their texts.

picows frames, masks and answers native pings. What it leaves to us: fragments, the limit on a whole
message, the close handshake, and which request may become a socket at all.
"""

import asyncio
import functools
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

import orjson
from picows import (
    WSCloseCode,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
)

from core.connections.codec_json import close_reason
from core.connections.codes import MESSAGE_TOO_BIG, SLOW
from core.errors import Code, TidingsError
from gateway.problems import problem_of
from gateway.realtime.channel import Wire
from gateway.realtime.client import Client
from gateway.realtime.parts import Replica

PATH = "/connection/websocket"
HEALTH = "/healthz"
PROTOBUF = "centrifuge-protobuf"
LINGER_S = 5.0
"""How long a peer may take to answer our close frame."""


class WebSocket(WSListener):
    """One socket and its client."""

    wire: Wire
    _writer: asyncio.WriteTransport

    def __init__(self, sockets: "Sockets", authorization: str | None) -> None:
        self._sockets = sockets
        self._authorization = authorization
        self._transport: WSTransport | None = None
        self._client: Client | None = None
        self._fragments: bytearray | None = None
        self._closing = False

    # --- what a client uses

    def send(self, payload: bytes) -> None:
        """Send one message."""
        if self._transport is not None and not self._closing:
            self._transport.send(WSMsgType.TEXT, payload)

    def close(self, code: int) -> None:
        """Send the close frame; the peer has some seconds to answer it."""
        transport = self._transport
        if transport is None or self._closing:
            return
        self._closing = True
        transport.send_close(code, close_reason(code))  # type: ignore[arg-type]  # any integer is a code on the wire
        loop = asyncio.get_running_loop()
        loop.call_soon(self._lost)
        loop.call_later(LINGER_S, functools.partial(transport.disconnect, graceful=False))

    def pause(self) -> None:
        """Read nothing more: what the peer sends stays in the kernel, and then with the peer."""
        if self._transport is not None and not self._closing:
            self._writer.pause_reading()  # type: ignore[attr-defined]  # a transport of both directions

    def resume(self) -> None:
        """Read on."""
        if self._transport is not None and not self._closing:
            self._writer.resume_reading()  # type: ignore[attr-defined]  # as above

    @property
    def unsent_bytes(self) -> int:
        """How much waits in this process for the peer to read."""
        return 0 if self._transport is None else self._writer.get_write_buffer_size()

    # --- what picows calls

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Begin."""
        self._transport = transport
        self._writer = transport.underlying_transport
        self.wire = self._writer
        replica = self._sockets.replica
        # Past this the client is too slow: picows calls pause_writing, and no write has to look.
        limit = replica.settings.outbox_bytes_max
        self._writer.set_write_buffer_limits(high=limit, low=limit // 2)
        self._client = Client(replica, self, self._authorization)
        self._authorization = None
        replica.wheel.add(self._client)
        self._sockets.open.add(self._client)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take one frame; whole messages go to the client."""
        match frame.msg_type:
            case WSMsgType.TEXT | WSMsgType.BINARY | WSMsgType.CONTINUATION:
                if self._client is not None and not self._closing:
                    self._take(frame, self._client)
            case WSMsgType.CLOSE:
                self._answer_close(transport, frame)
            case _:
                return

    def _take(self, frame: WSFrame, client: Client) -> None:
        if frame.fin and self._fragments is None:
            client.receive(frame.get_payload_as_bytes())
            return
        fragments = self._fragments
        if fragments is None:
            fragments = self._fragments = bytearray()
        fragments += frame.get_payload_as_memoryview()
        if len(fragments) > self._sockets.replica.settings.message_bytes_max:
            client.end(MESSAGE_TOO_BIG)
        elif frame.fin:
            self._fragments = None
            client.receive(bytes(fragments))

    def _answer_close(self, transport: WSTransport, frame: WSFrame) -> None:
        """Answer at once with the same code, 1000 if there was none; the session ends with this frame."""
        self._lost()
        if not self._closing:
            self._closing = True
            code = frame.get_close_code()
            transport.send_close(WSCloseCode.OK if code == WSCloseCode.NO_INFO else code)
        transport.disconnect()

    def pause_writing(self) -> None:
        """The outbox is full: the client is told, and comes back to recover from the log."""
        # Called in the middle of a write to all subscribers of a channel: it leaves after it.
        asyncio.get_running_loop().call_soon(self._slow)

    def _slow(self) -> None:
        if self._client is not None:
            self._client.end(SLOW)

    def on_ws_disconnected(self, _transport: WSTransport) -> None:
        """The peer is gone."""
        self._closing = True
        self._lost()
        self._transport = None

    def _lost(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            self._sockets.replica.wheel.remove(client)
            self._sockets.open.discard(client)
            client.lost()


class Sockets:
    """All sockets of a replica: decides which request becomes one."""

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self.open: set[Client] = set()

    def upgrade(self, request: WSUpgradeRequest) -> WSListener | WSUpgradeResponseWithListener:
        """Return the listener of a new socket, or an HTTP answer."""
        target = urlsplit(request.path.decode("latin-1"))
        if target.path == HEALTH:
            return WSUpgradeResponseWithListener(WSUpgradeResponse.create_ok_response(b"ok"), None)
        if target.path.rstrip("/") != PATH:
            return _refusal(TidingsError(Code.ROUTE_NOT_FOUND))
        if len(self.open) >= self.replica.settings.connections_max:
            return _refusal(
                TidingsError(Code.CAPACITY_REDUCED, "This replica holds as many sockets as it may.")
            )
        query = parse_qs(target.query)
        asked = {*query.get("format", []), *query.get("cf_protocol", [])}
        if PROTOBUF in request.headers.get("Sec-WebSocket-Protocol", "") or "protobuf" in asked:
            detail = "This server speaks JSON on sockets: leave the sub-protocol centrifuge-protobuf out."
            return _refusal(TidingsError(Code.NOT_ACCEPTABLE, detail))
        return WebSocket(self, request.headers.get("Authorization"))


def _refusal(error: TidingsError) -> WSUpgradeResponseWithListener:
    status = HTTPStatus.BAD_REQUEST if error.code is Code.NOT_ACCEPTABLE else HTTPStatus(error.row.status)
    body = orjson.dumps(problem_of(error, request_id=""))
    headers = {"Content-Type": "application/problem+json"}
    return WSUpgradeResponseWithListener(WSUpgradeResponse.create_error_response(status, body, headers), None)

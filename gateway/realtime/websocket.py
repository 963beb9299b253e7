"""The WebSocket transport: whole messages in, frames out, close codes with their texts.

picows parses frames and refuses those that are wrong in themselves. What it leaves to us: reserved bits,
fragments, the limit on a whole message, UTF-8, the close handshake, and which request may become a socket
at all.
"""

import asyncio
import functools
import logging
import socket
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)

from core.connections.codec_json import close_reason
from core.connections.codes import SLOW
from core.errors import Code, TidingsError
from gateway.problems import problem_of
from gateway.realtime.channel import Wire
from gateway.realtime.client import Client
from gateway.realtime.messages import BINARY, PROTOCOL_ERROR, TEXT, Incoming, ViolationError, answer_to
from gateway.realtime.parts import Replica

PATH = "/connection/websocket"
HEALTH = "/healthz"
PROTOBUF = "centrifuge-protobuf"
BACKLOG = 4_096
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
        self._incoming = Incoming(sockets.replica.settings.message_bytes_max)
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
        asyncio.get_running_loop().call_soon(self._lost)
        self._writer.resume_reading()  # type: ignore[attr-defined]  # as below: the answer has to be read
        self._linger(transport)

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
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            raise ViolationError(PROTOCOL_ERROR, "no extension was negotiated")
        payload, fin, message = frame.get_payload_as_bytes(), bool(frame.fin), None
        match frame.msg_type:
            case WSMsgType.TEXT:
                message = self._incoming.begin(TEXT, payload, fin=fin)
            case WSMsgType.BINARY:
                message = self._incoming.begin(BINARY, payload, fin=fin)
            case WSMsgType.CONTINUATION:
                message = self._incoming.go_on(payload, fin=fin)
            case WSMsgType.PING:
                transport.send_pong(payload)
            case WSMsgType.CLOSE:
                self._answer_close(transport, answer_to(payload))
            case _:  # a pong that nobody asked for says that somebody is there (RFC 6455 §5.5.3)
                return
        if message is not None:
            client.receive(message)

    def _answer_close(self, transport: WSTransport, code: int) -> None:
        """Answer at once; the session ends with this frame."""
        self._lost()
        self._closing = True
        transport.send_close(code)  # type: ignore[arg-type]  # any integer is a code on the wire
        self._hang_up(transport)

    def _fail(self, transport: WSTransport, violation: ViolationError) -> None:
        """Fail the connection (RFC 6455 §7.1.7): we say why, and read on only to let that arrive."""
        self._lost()
        self._closing = True
        transport.send_close(violation.code, violation.reason)  # type: ignore[arg-type]  # as above
        self._writer.write_eof()
        self._linger(transport)

    def _hang_up(self, transport: WSTransport) -> None:
        transport.disconnect()
        if self.unsent_bytes:
            self._linger(transport)  # the peer may never read what waits for it

    def _linger(self, transport: WSTransport) -> None:
        drop = functools.partial(transport.disconnect, graceful=False)
        asyncio.get_running_loop().call_later(LINGER_S, drop)

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


class _Peers(logging.LoggerAdapter[logging.Logger]):
    """picows logs as an error what a peer does wrong: anybody could fill our logs with it."""

    def error(self, msg: object, *args: object, **kwargs: Any) -> None:
        self.debug(msg, *args, **kwargs)


class Sockets:
    """All sockets of a replica: decides which request becomes one."""

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self.open: set[Client] = set()

    async def listen(self, bound: socket.socket) -> asyncio.Server:
        """Accept sockets from now on."""
        settings = self.replica.settings
        return await ws_create_server(
            self.upgrade,
            sock=bound,
            backlog=BACKLOG,
            logger_name=_Peers(logging.getLogger("picows.sockets"), {}),
            websocket_handshake_timeout=settings.handshake_s,
            enable_auto_pong=False,  # a ping with reserved bits has no pong
            max_frame_size=settings.message_bytes_max,
            read_buffer_init_size=settings.read_buffer_bytes,
        )

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

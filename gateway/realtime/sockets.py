"""All WebSockets of a replica: its listener, and which request becomes a socket."""

import asyncio
import logging
import socket
from http import HTTPStatus
from typing import Any, Final

import orjson
import structlog
from picows import (
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)

from core.errors import Code, TidingsError
from core.ids import encode
from gateway.problems import MEDIA_TYPE, headers_of, problem_of
from gateway.realtime.admission import refusal
from gateway.realtime.compression import Deflater, accepted, deflated_form
from gateway.realtime.forms import Form
from gateway.realtime.messages import Incoming
from gateway.realtime.opening import Opening
from gateway.realtime.origins import Origins
from gateway.realtime.parts import Replica
from gateway.realtime.upgrades import VERSION, Upgrade, read_upgrade
from gateway.realtime.websocket import WebSocket

HEALTH: Final = b"/healthz"
BACKLOG: Final = 4_096
INFLATION_MAX: Final = 10
"""So many times the limit on a message may be in one that was compressed (as upstream has it)."""


class Sockets:
    """Decides on upgrades, and makes the sockets.

    Args:
        replica: what their clients share.
        origins: whose pages may connect.
        origin: of this installation.
    """

    def __init__(self, replica: Replica, origins: Origins, origin: str) -> None:
        self._replica = replica
        self._origins = origins
        self._origin = origin
        self._journal = structlog.get_logger()
        forms, deflater = replica.forms, Deflater()
        self._deflated: dict[Form, Form] = {
            forms.websocket_json: deflated_form(
                "websocket_json_deflate", forms.websocket_json.codec, deflater
            ),
            forms.websocket_protobuf: deflated_form(
                "websocket_protobuf_deflate", forms.websocket_protobuf.codec, deflater, binary=True
            ),
        }

    async def listen(self, bound: socket.socket) -> asyncio.Server:
        """Accept sockets from now on."""
        settings = self._replica.settings
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

    def upgrade(self, request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        """Return a new socket with its answer, or an answer without."""
        if request.path == HEALTH:
            return WSUpgradeResponseWithListener(WSUpgradeResponse.create_ok_response(b"ok"), None)
        try:
            return self._upgrade(request)
        except TidingsError as error:
            return self._refusal(error)
        except Exception as error:  # noqa: BLE001 (logged whole; picows would tell the peer of it)
            self._journal.error("upgrade.failed", exc_info=error)
            return self._refusal(TidingsError(Code.INTERNAL))

    def _upgrade(self, request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        upgrade = read_upgrade(request.path, request.headers)
        headers = {name.lower(): _text(request.headers.getall(name)) for name in request.headers}
        opening = Opening(
            upgrade.transport,
            headers.get("authorization"),
            headers,
            headers.get("x-forwarded-for", ""),
            has_native_pings=upgrade.has_native_pings,
            is_unidirectional=upgrade.transport == "uni_websocket",
        )
        self._admit(opening)
        # Now it is asked in the one form that picows knows; Firefox has another.
        request.headers["Connection"], request.headers["Upgrade"] = "upgrade", "websocket"
        listener, answered = self._socket(upgrade, opening)
        return WSUpgradeResponseWithListener(WSUpgradeResponse.create_101_response(answered), listener)

    def _admit(self, opening: Opening) -> None:
        if not self._origins.allows(opening.headers.get("origin")):
            raise TidingsError(Code.ORIGIN_NOT_ALLOWED)
        if len(self._replica.clients) >= self._replica.settings.connections_max:
            raise TidingsError(Code.CAPACITY_REDUCED, "This replica holds as many connections as it may.")
        refused = self._replica.admission.admit_address(opening.address)
        if refused is not None:
            raise refusal(refused)

    def _socket(self, upgrade: Upgrade, opening: Opening) -> tuple[WebSocket, dict[str, str]]:
        """Return a new socket, and what its peer is told."""
        settings, forms = self._replica.settings, self._replica.forms
        answered, unpacked_bytes_max = {}, 0
        form = forms.websocket_protobuf if upgrade.is_protobuf else forms.websocket_json
        if opening.is_unidirectional:
            form = forms.uni_websocket
        elif settings.compression and (extension := accepted(upgrade.extensions)):
            answered["Sec-WebSocket-Extensions"] = extension
            unpacked_bytes_max = INFLATION_MAX * settings.message_bytes_max
            form = self._deflated[form]
        if upgrade.subprotocol:
            answered["Sec-WebSocket-Protocol"] = upgrade.subprotocol
        incoming = Incoming(settings.message_bytes_max, unpacked_bytes_max)
        return WebSocket(self._replica, form, incoming, opening, upgrade.first), answered

    def _refusal(self, error: TidingsError) -> WSUpgradeResponseWithListener:
        request_id = encode("req", self._replica.entropy.id())
        headers = {
            "Content-Type": MEDIA_TYPE,
            "Cache-Control": "no-store",
            "Request-Id": request_id,
            **headers_of(error),
        }
        if error.code is Code.UPGRADE_REQUIRED:  # RFC 9110 §15.5.22, RFC 6455 §4.2.2
            headers |= {"Upgrade": "websocket", "Sec-WebSocket-Version": VERSION}
        body = orjson.dumps(problem_of(error, request_id=request_id, origin=self._origin))
        status = HTTPStatus(error.row.status)
        return WSUpgradeResponseWithListener(
            WSUpgradeResponse.create_error_response(status, body, headers), None
        )


def _text(values: list[str]) -> str:
    """Return a header, of several lines a list (RFC 9110 §5.3); picows has no ASCII in surrogates."""
    return ", ".join(values).encode("ascii", "surrogateescape").decode("latin-1")


class _Peers(logging.LoggerAdapter[logging.Logger]):
    """The log of picows, without what anybody could fill it with, and without what nobody may read."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 (logging's name)
        # Below this it writes whole requests, with their tokens.
        return level >= logging.INFO and super().isEnabledFor(level)

    def error(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Take a frame that is wrong for no error of ours."""
        level = logging.INFO if str(msg).startswith("WS parser error") else logging.ERROR
        self.log(level, msg, *args, **kwargs)

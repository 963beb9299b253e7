"""The request that wants a socket: what it asks for, or why it gets none.

A pure reading of what picows has parsed: a GET of HTTP/1.1 without a body. (What it refuses before it asks us
has no problem document; the edge gives it one.)
"""

import binascii
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from core.errors import Code, TidingsError
from gateway.query import read_query

PATHS: Final[dict[bytes, Literal["websocket", "uni_websocket"]]] = {
    b"/connection/websocket": "websocket",
    b"/connection/uni_websocket": "uni_websocket",
}
JSON: Final = "centrifuge-json"
PROTOBUF: Final = "centrifuge-protobuf"
VERSION: Final = "13"
KEY_BYTES: Final = 16
URL_BYTES_MAX: Final = 8_192
HEADERS_MAX: Final = 100


class Headers(Protocol):
    """Of a request, in any case; a name may stand there several times."""

    def getall(self, name: str, default: list[str]) -> list[str]:
        """Return all values of a name."""
        ...

    def __len__(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What a request for a socket asks for.

    `subprotocol`: to be answered; "": none was offered. `first`: what a client that says nothing more has
    said in the URL. `extensions`: what it offers.
    """

    transport: Literal["websocket", "uni_websocket"]
    is_protobuf: bool = False
    subprotocol: str = ""
    has_native_pings: bool = False
    first: bytes | None = None
    extensions: str = ""


def read_upgrade(target: bytes, headers: Headers) -> Upgrade:
    """Return what a request asks for.

    Args:
        target: path and query.
        headers: of the request.

    Raises:
        TidingsError: it can't become a socket, and the error says why.
    """
    if len(target) > URL_BYTES_MAX:
        raise TidingsError(Code.URI_TOO_LONG)
    if len(headers) > HEADERS_MAX:
        raise TidingsError(Code.HEADERS_TOO_LARGE)
    path, _, raw = target.partition(b"?")
    transport = PATHS.get(path.rstrip(b"/"))
    if transport is None:
        raise TidingsError(Code.ROUTE_NOT_FOUND)
    _check_handshake(headers)
    query = read_query(raw, None)
    offered = set(_tokens(headers, "Sec-WebSocket-Protocol"))
    asked = {query.get("format"), query.get("cf_protocol")}
    connect = query.get("cf_connect") if transport == "uni_websocket" else None
    return Upgrade(
        transport,
        is_protobuf=transport == "websocket" and (PROTOBUF in offered or "protobuf" in asked),
        # A browser gives up when what it offered is not answered.
        subprotocol=next((known for known in (PROTOBUF, JSON) if known in offered), ""),
        has_native_pings=query.get("cf_ws_frame_ping_pong") == "true",
        first=connect.encode() if connect else None,  # an empty one says nothing, as in SSE
        extensions=",".join(headers.getall("Sec-WebSocket-Extensions", [])),
    )


def _check_handshake(headers: Headers) -> None:
    """Accept the opening handshake of RFC 6455 §4.2.1."""
    upgrade = {token.lower() for token in _tokens(headers, "Upgrade")}
    connection = {token.lower() for token in _tokens(headers, "Connection")}
    versions = headers.getall("Sec-WebSocket-Version", [])
    if "websocket" not in upgrade or "upgrade" not in connection or versions != [VERSION]:
        raise TidingsError(Code.UPGRADE_REQUIRED)
    keys = headers.getall("Sec-WebSocket-Key", [])
    if len(keys) != 1 or not _is_key(keys[0]):
        detail = f"Sec-WebSocket-Key is one value, {KEY_BYTES} bytes in base64."
        raise TidingsError(Code.HEADER_INVALID, detail, header="Sec-WebSocket-Key")


def _is_key(key: str) -> bool:
    try:
        return len(b64decode(key.encode("ascii"), validate=True)) == KEY_BYTES
    except (UnicodeEncodeError, binascii.Error):
        return False


def _tokens(headers: Headers, name: str) -> Iterator[str]:
    """Yield the members of a list header; an empty one has none (centrifuge-python sends it)."""
    for line in headers.getall(name, []):
        yield from filter(None, (token.strip() for token in line.split(",")))

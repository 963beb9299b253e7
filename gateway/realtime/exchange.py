"""One request on the streams port and its answer: an ASGI call, with the limits that every endpoint keeps."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from core.errors import Code, TidingsError
from gateway.versions import VERSION

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

TRANSPORT: Final = "tidings.transport"
"""The ASGI extension by which the server shows the transport of a request (`streams_server.Http`)."""


class LeftError(Exception):
    """The client left before its request was complete: nobody waits for an answer."""


class Exchange:
    """One request and its answer.

    Args:
        scope: of the request, over HTTP.
        receive: its body, and its end.
        send: to the client.
        request_id: the public one.
        stalled_s: a reader that takes nothing for this long is cut off.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, request_id: str, stalled_s: float) -> None:
        self.method: str = scope["method"]
        self.path = scope["raw_path"].decode("latin-1")
        """As it was sent, still percent-encoded."""
        self.query: bytes = scope["query_string"]
        self.headers = _headers(scope["headers"])
        self.transport: asyncio.Transport = scope["extensions"][TRANSPORT]["transport"]
        self.receive = receive
        self.request_id = request_id
        self.has_begun = False
        self.shared: dict[str, str] = {}
        """Headers of the answer, whatever it will be."""
        self._peer = scope["client"]
        self._send = send
        self._stalled_s = stalled_s

    @property
    def address(self) -> str:
        """Where the client is; our edge says it of those who come through it."""
        return self.headers.get("x-forwarded-for") or (self._peer[0] if self._peer else "")

    async def body(self, bytes_max: int, within_s: float) -> bytes:
        """Return the whole body.

        Raises:
            TidingsError: `body_too_large` as soon as that is known, `request_timeout`.
            LeftError: there is nobody to answer any more.
        """
        length = self.headers.get("content-length", "0")
        if not length.isdigit() or int(length) > bytes_max:
            raise _too_large(bytes_max)
        body = bytearray()
        try:
            async with asyncio.timeout(within_s):
                while True:
                    message = await self.receive()
                    if message["type"] == "http.disconnect":
                        raise LeftError
                    body += message["body"]
                    if len(body) > bytes_max:
                        raise _too_large(bytes_max)
                    if not message["more_body"]:
                        return bytes(body)
        except TimeoutError:
            raise TidingsError(Code.REQUEST_TIMEOUT) from None

    async def begin(self, status: int, headers: dict[str, str]) -> None:
        """Send the head of the answer."""
        self.has_begun = True
        shown = {**headers, **self.shared}
        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in shown.items()]
        raw += ((b"request-id", self.request_id.encode()), (b"tidings-version", VERSION))
        await self._send({"type": "http.response.start", "status": status, "headers": raw})

    async def send(self, body: bytes) -> None:
        """Send a part of the answer, once the reader has taken most of those before."""
        await self._write(body, more_body=True)

    async def end(self, body: bytes = b"") -> None:
        """Send the last of the answer; one to HEAD has no body."""
        shown = b"" if self.method == "HEAD" else body
        await self._write(shown, more_body=False)

    async def _write(self, body: bytes, *, more_body: bool) -> None:
        try:
            async with asyncio.timeout(self._stalled_s):
                await self._send({"type": "http.response.body", "body": body, "more_body": more_body})
        except TimeoutError:
            self.transport.abort()

    async def cut(self) -> None:
        """End an answer that can't be finished, so that its reader does not take it for a whole one."""
        self.transport.abort()
        while (await self.receive())["type"] != "http.disconnect":
            pass


def _headers(raw: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return headers by lower-case name; a repeated one is a list (RFC 9110 §5.3)."""
    headers: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def _too_large(limit: int) -> TidingsError:
    return TidingsError(Code.BODY_TOO_LARGE, f"A body has at most {limit} bytes.")

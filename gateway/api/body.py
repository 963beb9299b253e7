"""Request bodies: read under every limit, decoded once."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from core.errors import Code, TidingsError
from settings import Api

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_GZIP: Final = 31  # zlib's name for "a gzip member, and nothing else"


class DisconnectedError(Exception):
    """The client left before its request was complete: nobody waits for an answer."""


def check_media_type(headers: dict[bytes, bytes], accepted: frozenset[bytes]) -> None:
    """Accept a request whose body is of an accepted type, in UTF-8.

    Raises:
        TidingsError: `malformed_request`, there is no body; `media_type_unsupported`.
    """
    length = headers.get(b"content-length")
    if length == b"0" or (length is None and b"transfer-encoding" not in headers):
        raise TidingsError(Code.MALFORMED_REQUEST, "The request has no body.")
    content_type = headers.get(b"content-type", b"")
    if content_type in accepted:
        return
    media_type, _, parameters = content_type.lower().partition(b";")
    charset = parameters.strip().removeprefix(b"charset=").strip(b'"')
    if media_type.strip() not in accepted or charset not in (b"", b"utf-8"):
        names = b" or ".join(sorted(accepted)).decode()
        raise TidingsError(Code.MEDIA_TYPE_UNSUPPORTED, f"Send Content-Type: {names}.")


async def read_body(headers: dict[bytes, bytes], receive: Receive, settings: Api) -> bytes:
    """Return the whole body, decoded.

    Raises:
        TidingsError: `body_too_large` as soon as that is known, `media_type_unsupported`,
            `malformed_request`, `request_timeout`.
        DisconnectedError: there is nobody to answer any more.
    """
    limit = settings.body_bytes_max
    encoding = headers.get(b"content-encoding", b"identity").strip().lower()
    if encoding not in (b"identity", b"gzip"):
        raise TidingsError(Code.MEDIA_TYPE_UNSUPPORTED, "Send Content-Encoding: gzip, once, or none.")
    length = headers.get(b"content-length", b"0")
    if not length.isdigit() or int(length) > limit:
        raise _too_large(limit)
    sink = _Gzip(limit) if encoding == b"gzip" else _Plain(limit)
    try:
        async with asyncio.timeout(settings.body_s):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise DisconnectedError
                sink.feed(message.get("body", b""))
                if not message.get("more_body", False):
                    return sink.end()
    except TimeoutError:
        raise TidingsError(Code.REQUEST_TIMEOUT) from None


def _too_large(limit: int) -> TidingsError:
    return TidingsError(Code.BODY_TOO_LARGE, f"A body has at most {limit} bytes.")


class _Plain:
    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > self._limit:
            raise _too_large(self._limit)
        self._parts.append(chunk)

    def end(self) -> bytes:
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)


class _Gzip:
    """Stops at the first byte past the limit, however small the compressed body was."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._output = bytearray()
        self._inflater = zlib.decompressobj(_GZIP)

    def feed(self, chunk: bytes) -> None:
        try:
            self._output += self._inflater.decompress(chunk, self._limit + 1 - len(self._output))
        except zlib.error:
            raise TidingsError(Code.MALFORMED_REQUEST, "The body is no gzip.") from None
        if len(self._output) > self._limit:
            raise _too_large(self._limit)
        if self._inflater.unused_data:
            raise TidingsError(Code.MALFORMED_REQUEST, "Bytes follow the gzip member.")

    def end(self) -> bytes:
        if not self._inflater.eof:
            raise TidingsError(Code.MALFORMED_REQUEST, "The gzip body is cut short.")
        return bytes(self._output)

"""Request bodies: read under every limit, decoded once."""

import asyncio
import sys
import zlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final, Protocol

from core.errors import Code, TidingsError
from settings import Api

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_GZIP: Final = 31  # zlib's name for "a gzip member, and nothing else"
# RFC 9659: a decoder need not support a window over 8 MiB, and so holds no more for anybody.
_ZSTD: Final[Mapping[int, int]] = {zstd.DecompressionParameter.window_log_max: 23}


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
    if encoding not in (b"identity", b"gzip", b"zstd"):
        raise TidingsError(Code.MEDIA_TYPE_UNSUPPORTED, "Send Content-Encoding: gzip or zstd, once, or none.")
    length = headers.get(b"content-length", b"0")
    if not length.isdigit() or int(length) > limit:
        raise _too_large(limit)
    sink = _Plain(limit) if encoding == b"identity" else _Compressed(encoding.decode(), limit)
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


class _Decoder(Protocol):
    """What both libraries agree on."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Compressed:
    """Stops at the first byte past the limit, however small the compressed body was."""

    def __init__(self, encoding: str, limit: int) -> None:
        self._encoding = encoding
        self._limit = limit
        self._output = bytearray()
        self._decoder: _Decoder = (
            zlib.decompressobj(_GZIP) if encoding == "gzip" else zstd.ZstdDecompressor(options=_ZSTD)
        )

    def feed(self, chunk: bytes) -> None:
        if not chunk:
            return
        try:
            if not self._decoder.eof:
                self._output += self._decoder.decompress(chunk, self._limit + 1 - len(self._output))
                chunk = b""
        except (zlib.error, zstd.ZstdError):
            raise TidingsError(Code.MALFORMED_REQUEST, f"The body is no {self._encoding}.") from None
        if len(self._output) > self._limit:
            raise _too_large(self._limit)
        if chunk or self._decoder.unused_data:
            raise TidingsError(Code.MALFORMED_REQUEST, f"Bytes follow the {self._encoding} body.")

    def end(self) -> bytes:
        if not self._decoder.eof:
            raise TidingsError(Code.MALFORMED_REQUEST, f"The {self._encoding} body is cut short.")
        return bytes(self._output)

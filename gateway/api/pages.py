"""Lists: their limits, their cursors, their envelope and links."""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final
from urllib.parse import quote, urlencode

import orjson

from core.errors import Code, TidingsError, bad_parameter
from core.resources.expansion import EXPAND
from gateway.api.call import NO_STORE, Answer, Call, Header

CURSOR: Final = "cursor"
LIMIT: Final = "limit"
AFTER: Final = "after"

_FORMAT: Final = b"\x01"
_PATH: Final = "/%:@!$&'()*+,;="
_MAC_BYTES: Final = 16
_LIST_BYTES: Final = 8


def limit_of(query: Mapping[str, str], default: int, most: int) -> int:
    """Return how many entries a page shall have.

    Raises:
        TidingsError: `validation_failed`; a limit out of range is never clamped in silence.
    """
    text = query.get(LIMIT)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10):  # noqa: PLR2004 (keeps int() short)
        raise bad_parameter(LIMIT, "wrong_type", "Must be a whole number.")
    limit = int(text)
    if not 1 <= limit <= most:
        raise bad_parameter(LIMIT, "too_large" if limit else "too_small", f"Must be 1 to {most}.")
    return limit


class Cursors:
    """Writes and reads opaque cursors: a place in one list, signed so that nobody can make one up.

    Args:
        key: secret of the installation, the same in every process.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def write(self, call: Call, place: bytes) -> str:
        """Return the cursor of a place (any bytes) in the list that the call asked for."""
        payload = _FORMAT + _list_of(call) + place
        return urlsafe_b64encode(payload + self._mac(payload)).rstrip(b"=").decode()

    def read(self, call: Call) -> bytes | None:
        """Return the place that the call's cursor names, or None when it has none.

        Raises:
            TidingsError: `cursor_invalid`, not one of ours; `cursor_mismatch`, one of another list.
        """
        text = call.query.get(CURSOR)
        if text is None:
            return None
        try:
            raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except (Base64Error, ValueError):
            raise TidingsError(Code.CURSOR_INVALID) from None
        payload, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(payload)) or payload[:1] != _FORMAT:
            raise TidingsError(Code.CURSOR_INVALID)
        if payload[1 : 1 + _LIST_BYTES] != _list_of(call):
            raise TidingsError(Code.CURSOR_MISMATCH)
        return payload[1 + _LIST_BYTES :]

    def _mac(self, payload: bytes) -> bytes:
        return hmac.digest(self._key, payload, "sha256")[:_MAC_BYTES]


def _list_of(call: Call) -> bytes:
    """Return what tells a list from others: whose it is, its path and filters.

    Neither how its pages look, nor where it was begun: a cursor stands in for `after`, and links leave that
    out.
    """
    apart = (CURSOR, LIMIT, EXPAND, AFTER)
    filters = sorted((name, value) for name, value in call.query.items() if name not in apart)
    parts = orjson.dumps([call.organization_id.hex(), call.path, filters])
    return sha256(parts).digest()[:_LIST_BYTES]


def list_answer(
    call: Call,
    entries: Sequence[bytes],
    *,
    next_cursor: str | None,
    previous_cursor: str | None = None,
    position: Mapping[str, Any] | None = None,
    cache: bytes = NO_STORE,
) -> Answer:
    """Return one page.

    Args:
        call: the request, whose path and parameters the links repeat.
        entries: JSON of each entry.
        next_cursor: where the next page begins; None: this is the last.
        previous_cursor: where the page before begins, if it can be told.
        position: up to where the log was read, for those who go on from there.
        cache: `Cache-Control`.
    """
    foot = {
        "has_more": next_cursor is not None,
        "next_cursor": next_cursor,
        "previous_cursor": previous_cursor,
        **(position or {}),
    }
    head = b'{"object":"list","url":%b,"data":[' % orjson.dumps(call.path)
    body = b"%b%b],%b" % (head, b",".join(entries), orjson.dumps(foot)[1:])
    links = [
        _link(call, cursor, relation)
        for cursor, relation in ((next_cursor, "next"), (previous_cursor, "prev"))
        if cursor is not None
    ]
    headers: tuple[Header, ...] = ((b"link", b", ".join(links)),) if links else ()
    return Answer(200, body, headers, cache=cache)


def _link(call: Call, cursor: str, relation: str) -> bytes:
    query = {name: value for name, value in call.query.items() if name not in (CURSOR, AFTER)}
    path = quote(call.path, safe=_PATH)  # a name may hold the characters that end a link
    return f'<{path}?{urlencode({**query, CURSOR: cursor})}>; rel="{relation}"'.encode()

"""Idempotency keys: how they are written, and what a request's fingerprint is.

The keys themselves are used up by the log's writer, in the transaction of the write.
"""

from hashlib import sha256
from typing import Final

from core.errors import Code, TidingsError
from core.streams.command import Claim
from core.streams.event_object import API_VERSION
from core.streams.idempotency import KEY_CHARACTERS_MAX, is_key
from gateway.api.call import Call

_FORM: Final = f'A key has 1 to {KEY_CHARACTERS_MAX} visible ASCII characters without " and \\.'


QUESTION: Final = Claim(is_question=True)
"""Asks for the answer under a key, for what is not valid now; `validation_failed`: there is none."""


def key_of(headers: dict[bytes, bytes]) -> str:
    """Return the key of a request, "" when it has none. Bare and in double quotes name the same key.

    Raises:
        TidingsError: `idempotency_key_invalid`.
    """
    raw = headers.get(b"idempotency-key")
    if raw is None:
        return ""
    text = raw.decode("latin-1").strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1]
    return check_key(text)


def check_key(text: str) -> str:
    """Return the key itself.

    Raises:
        TidingsError: `idempotency_key_invalid`, it can't be one.
    """
    if not is_key(text):
        raise TidingsError(Code.IDEMPOTENCY_KEY_INVALID, _FORM)
    return text


def derived_key(key: str, index: int) -> str:
    """Return the key of a batch's item that brings none.

    A batch that was cut in half is completed by its repetition, not done twice. The space keeps it apart
    from every key that a client can send.
    """
    return f"{key} {index}" if key else ""


def own_key(request_id: bytes) -> str:
    """Return a key for a request that brings none; as `derived_key`, it is none that a client can send."""
    return f" {request_id.hex()}"


def fingerprint(call: Call, body: bytes | None = None) -> bytes:
    """Return what makes a request the same as another: all that decides its effect, and not who sent it.

    Args:
        call: the request.
        body: of one item with a key of its own, in place of the whole body: the item may come again in
            another batch.
    """
    headers = call.headers
    query = b"".join(_framed(part.encode()) for pair in sorted(call.query.items()) for part in pair)
    parts = (
        call.method.encode(),
        call.path.encode(),
        query,
        call.body if body is None else body,
        headers.get(b"content-type", b""),
        headers.get(b"if-match", b""),
        headers.get(b"if-none-match", b""),
        API_VERSION.encode(),
    )
    return sha256(b"".join(map(_framed, parts))).digest()


def _framed(part: bytes) -> bytes:
    return len(part).to_bytes(4, "big") + part

"""JSON Web Tokens as text: taken apart and put together. What they say is believed nowhere here.

Source: RFC 7515 §3 and §7.1 (compact serialization).
"""

import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import msgspec

from core.errors import Code, TidingsError

TOKEN_BYTES_MAX: Final = 8_192
_PARTS: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)", re.ASCII)


class _Header(msgspec.Struct):
    alg: str
    kid: str | None = None
    crit: Any = None
    b64: bool = True


_HEADER: Final = msgspec.json.Decoder(_Header)


@dataclass(frozen=True, slots=True)
class Jwt:
    """A token in parts. `key_id` is "" when the header names none; `claims` are bytes of valid UTF-8."""

    algorithm: str
    key_id: str
    claims: bytes
    signed: bytes
    signature: bytes


def read_jwt(text: str) -> Jwt:
    """Return the parts of a token; its signature is still to be verified, its claims are still to be read.

    Raises:
        TidingsError: `credential_invalid`, the text is no token, or one with extensions (`crit`, `b64`).
    """
    match = _PARTS.fullmatch(text) if len(text) <= TOKEN_BYTES_MAX else None
    if match is None:
        raise TidingsError(Code.CREDENTIAL_INVALID)
    try:
        # As text, since the parser copies raw members without a look at their UTF-8.
        header, claims = _HEADER.decode(base64url(match[1]).decode()), base64url(match[2])
        claims.decode()
        signature = base64url(match[3])
    except (msgspec.DecodeError, ValueError, RecursionError):  # Base64Error is a ValueError
        raise TidingsError(Code.CREDENTIAL_INVALID) from None
    if header.crit is not None or not header.b64:
        raise TidingsError(Code.CREDENTIAL_INVALID)
    return Jwt(header.alg, header.kid or "", claims, f"{match[1]}.{match[2]}".encode(), signature)


def write_jwt(claims: bytes, secret: bytes) -> str:
    """Return the token of these claims, signed with HS256."""
    signed = f"{_HS256}.{_text(claims)}"
    return f"{signed}.{_text(hmac.new(secret, signed.encode(), sha256).digest())}"


def base64url(text: str) -> bytes:
    """Return the bytes of base64url without padding (RFC 7515 §2).

    Raises:
        ValueError: it is none, or not the one spelling that these bytes have.
    """
    raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    # One token, one spelling: stray bits in the last character would make another text of the same bytes.
    if _text(raw) != text:
        raise Base64Error(text)
    return raw


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


_HS256: Final = _text(b'{"alg":"HS256","typ":"JWT"}')

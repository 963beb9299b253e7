"""Connection tokens: JWTs that an organization's own backend signs with its token secret (HS256).

Judged by the rules of the Centrifuge protocol: no leeway, every claim optional, secrets of any length.
The algorithm belongs to the key, never to the token, so what the header says can only be right or
refused.
"""

import hmac
import re
from base64 import b64decode, urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Any, Final

import msgspec
import orjson

from core.errors import Code, TidingsError
from core.ids import decode
from core.instants import DAY, MICROSECONDS, Instant

TOKEN_BYTES_MAX: Final = 8_192
LIFETIME_MAX: Final = 365 * DAY
"""A connection that its token would let live longer ends after this, and comes back with a new one."""
SECONDS_MAX: Final = 2**53 - 1
"""The last second that JSON can count to; a time after it is a fault of the token."""
_PARTS: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)", re.ASCII)

_Seconds = Annotated[int, msgspec.Meta(le=SECONDS_MAX)]


class _Header(msgspec.Struct):
    alg: str
    crit: Any = None
    b64: bool = True


class _Claims(msgspec.Struct):
    sub: str = ""
    exp: _Seconds | Annotated[float, msgspec.Meta(le=SECONDS_MAX)] | None = None
    nbf: int | float | None = None
    expire_at: _Seconds | None = None
    info: msgspec.Raw = msgspec.Raw(b"")
    b64info: str = ""
    channels: list[str] = []
    channel: str | None = None
    org: str = ""


_HEADER: Final = msgspec.json.Decoder(_Header)
_CLAIMS: Final = msgspec.json.Decoder(_Claims)


@dataclass(frozen=True, slots=True)
class ConnectionClaims:
    """What a verified connection token says. `expires_at` is the connection's own expiry; None: never."""

    user: str
    expires_at: Instant | None
    info: bytes
    channels: tuple[str, ...]


def _part(text: str) -> bytes:
    raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    # One token, one spelling: stray bits in the last character would make another text of the same bytes.
    if urlsafe_b64encode(raw).rstrip(b"=") != text.encode():
        raise Base64Error(text)
    return raw


def peek_organization(text: str) -> bytes | None:
    """Return the organization that a token claims, unverified: whose key to try. None: no such claim.

    Raises:
        TidingsError: `credential_invalid`, the text is no token.
    """
    claims = _decoded(text)[1]
    try:
        return decode("org", claims.org) if claims.org else None
    except TidingsError:
        raise TidingsError(Code.CREDENTIAL_INVALID) from None


def _decoded(text: str) -> tuple[_Header, _Claims, bytes, bytes]:
    match = _PARTS.fullmatch(text) if len(text) <= TOKEN_BYTES_MAX else None
    if match is None:
        raise TidingsError(Code.CREDENTIAL_INVALID)
    try:
        # As text, since the parser copies raw members without a look at their UTF-8.
        header, claims = _HEADER.decode(_part(match[1]).decode()), _CLAIMS.decode(_part(match[2]).decode())
        signature = _part(match[3])
    except (msgspec.DecodeError, ValueError, RecursionError):  # Base64Error is a ValueError
        raise TidingsError(Code.CREDENTIAL_INVALID) from None
    return header, claims, f"{match[1]}.{match[2]}".encode(), signature


def verify_connection_token(text: str, secret: bytes, now: Instant) -> ConnectionClaims:
    """Verify a connection token against one organization's secret.

    Raises:
        TidingsError: `credential_invalid` for every fault but time; `credential_expired` once the
            signature is good; `expired`, the connection itself would have ended already.
    """
    header, claims, signed, signature = _decoded(text)
    expected = hmac.new(secret, signed, sha256).digest()
    if not hmac.compare_digest(signature, expected):
        raise TidingsError(Code.CREDENTIAL_INVALID)
    if header.alg != "HS256" or header.crit is not None or not header.b64 or claims.channel is not None:
        raise TidingsError(Code.CREDENTIAL_INVALID)
    if claims.exp is not None and claims.exp * MICROSECONDS <= now:
        raise TidingsError(Code.CREDENTIAL_EXPIRED)
    if claims.nbf is not None and claims.nbf * MICROSECONDS > now:
        raise TidingsError(Code.CREDENTIAL_EXPIRED, "The token is not valid yet.")
    return ConnectionClaims(claims.sub, _expiry(claims, now), _info(claims), tuple(claims.channels))


def _expiry(claims: _Claims, now: Instant) -> Instant | None:
    ends = claims.exp if claims.expire_at is None else claims.expire_at
    if ends is None or claims.expire_at == 0:
        return None
    at = Instant(round(ends * MICROSECONDS))
    if at <= now:
        raise TidingsError(Code.EXPIRED, "expire_at is in the past.")
    return min(at, Instant(now + LIFETIME_MAX))


def _info(claims: _Claims) -> bytes:
    if claims.b64info:
        try:
            info = b64decode(claims.b64info, validate=True)
            orjson.loads(info)  # must be JSON, and stays the bytes it is
        except ValueError:
            raise TidingsError(Code.CREDENTIAL_INVALID) from None
        return info
    return bytes(claims.info)

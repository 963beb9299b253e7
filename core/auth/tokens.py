"""What connection and subscription tokens say, read once their signature was found good.

Judged by the rules of the Centrifuge protocol: no leeway, every claim optional but a subscription token's
channel. `exp` ends the token; `expire_at`, where it stands, ends what the token was for in its place.
"""

from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, TypeVar

import msgspec
import orjson

from core.auth.jwt import Jwt
from core.auth.override import NOTHING, Override, OverrideClaim, override_of
from core.auth.token_keys import TokenKeys
from core.auth.verification import Verified
from core.errors import Code, TidingsError
from core.ids import decode
from core.instants import DAY, MICROSECONDS, Instant, from_seconds

LIFETIME_MAX: Final = 365 * DAY
"""What a token would let live longer ends after this, and comes back with a new one."""
SECONDS_MAX: Final = 2**53 - 1
"""The last second that JSON can count to; a time after it is a fault of the token."""

_Seconds = Annotated[int, msgspec.Meta(le=SECONDS_MAX)]
_NONE: Final = msgspec.Raw()
T = TypeVar("T", bound="_Claims")


class _Options(msgspec.Struct):
    """Of one subscription."""

    info: msgspec.Raw = _NONE
    b64info: str | None = None
    data: msgspec.Raw = _NONE
    b64data: str | None = None
    override: OverrideClaim | None = None
    expire_at: _Seconds | None = None


class _Claims(_Options):
    """What both kinds of token may say. `iat` may be anything: it is looked at by revocations alone."""

    sub: str | None = None
    exp: _Seconds | Annotated[float, msgspec.Meta(le=SECONDS_MAX)] | None = None
    nbf: int | float | None = None
    iat: Any = None
    jti: str | None = None
    iss: str | None = None
    aud: str | list[str] | None = None
    channel: str | None = None


class _ConnectionClaims(_Claims):
    channels: list[str] | None = None
    subs: dict[str, _Options] | None = None
    meta: msgspec.Raw = _NONE


class _SubscriptionClaims(_Claims):
    client: str | None = None


class _OrganizationClaim(msgspec.Struct):
    org: str | None = None


_CONNECTION: Final = msgspec.json.Decoder(_ConnectionClaims)
_SUBSCRIPTION: Final = msgspec.json.Decoder(_SubscriptionClaims)
_ORGANIZATION: Final = msgspec.json.Decoder(_OrganizationClaim)
_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True, slots=True)
class SubClaims:
    """A server-side subscription that a connection token asks for.

    `info` is what others see of the client in this channel, `data` goes to the client with the
    subscription: raw JSON each, or nothing. `expires_at` None: never.
    """

    info: bytes = b""
    data: bytes = b""
    override: Override = NOTHING
    expires_at: Instant | None = None


_NO_SUBS: Final[Mapping[str, SubClaims]] = {}
"""Of most tokens: one object, since it lives as long as their connections; never changed."""


@dataclass(frozen=True, slots=True)
class ConnectionClaims:
    """What a verified connection token says.

    `expires_at` is the connection's own expiry; None: never. Of server-side subscriptions either `subs` tells
    the terms, or `channels` the names alone. `meta` is raw JSON that stays on the server. `issued_at` is
    None where the token says nothing of use.
    """

    user: str
    expires_at: Instant | None = None
    info: bytes = b""
    channels: tuple[str, ...] = ()
    subs: Mapping[str, SubClaims] = field(default_factory=dict)
    meta: bytes = b""
    token_id: str = ""
    issued_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class SubscriptionClaims:
    """What a verified subscription token says: `user` may be in `channel`.

    `expires_at` is the subscription's own expiry, which the client moves with new tokens; None: never.
    `client` "": any connection of the user; else this one alone.
    """

    user: str
    channel: str
    expires_at: Instant | None = None
    info: bytes = b""
    data: bytes = b""
    override: Override = NOTHING
    client: str = ""
    token_id: str = ""
    issued_at: Instant | None = None


def peek_organization(token: Jwt) -> bytes | None:
    """Return the organization that a token claims, unverified: whose key to try. None: no such claim.

    Raises:
        TidingsError: `credential_invalid`, it claims what is no organization.
    """
    try:
        claimed = _ORGANIZATION.decode(token.claims).org
        return decode("org", claimed) if claimed else None
    except (TidingsError, msgspec.DecodeError, RecursionError):
        raise TidingsError(Code.CREDENTIAL_INVALID) from None


def connection_claims(verified: Verified, keys: TokenKeys, now: Instant) -> ConnectionClaims:
    """Return what a connection token says.

    Args:
        verified: the claims.
        keys: of connection tokens; they say which claim names the user, and who must have issued it for
            whom.
        now: the time.

    Raises:
        TidingsError: `credential_invalid` for every fault but time; `credential_expired`, not valid any
            more or not yet; `expired`, the connection itself would have ended already.
    """
    claims = _judged(_CONNECTION, verified, keys, now)
    if claims.channel is not None:
        raise TidingsError(Code.CREDENTIAL_INVALID)
    return ConnectionClaims(
        _user(verified, claims, keys),
        _expiry(claims, now),
        _json(claims.info, claims.b64info),
        () if claims.subs else tuple(claims.channels or ()),
        _subs(claims.subs, now) if claims.subs else _NO_SUBS,
        _json(claims.meta, None),
        claims.jti or "",
        _issued(claims.iat),
    )


def subscription_claims(verified: Verified, keys: TokenKeys, now: Instant) -> SubscriptionClaims:
    """Return what a subscription token says; whether it is for this channel and user, the caller compares.

    Args and errors are those of `connection_claims`, with the keys of subscription tokens.
    """
    claims = _judged(_SUBSCRIPTION, verified, keys, now)
    if not claims.channel:
        raise TidingsError(Code.CREDENTIAL_INVALID)
    return SubscriptionClaims(
        _user(verified, claims, keys),
        claims.channel,
        _expiry(claims, now),
        _json(claims.info, claims.b64info),
        _json(claims.data, claims.b64data),
        override_of(claims.override),
        claims.client or "",
        claims.jti or "",
        _issued(claims.iat),
    )


def _judged(decoder: msgspec.json.Decoder[T], verified: Verified, keys: TokenKeys, now: Instant) -> T:
    """Return the claims of a token that is for us and of this time."""
    try:
        claims = decoder.decode(verified)
    except (msgspec.DecodeError, RecursionError):
        raise TidingsError(Code.CREDENTIAL_INVALID) from None
    if claims.exp is not None and claims.exp * MICROSECONDS <= now:
        raise TidingsError(Code.CREDENTIAL_EXPIRED)
    if claims.nbf is not None and claims.nbf * MICROSECONDS > now:
        raise TidingsError(Code.CREDENTIAL_EXPIRED, "The token is not valid yet.")
    audiences = claims.aud if isinstance(claims.aud, list) else [claims.aud or ""]
    if not (keys.issuer.admits(claims.iss or "") and keys.audience.admits(*audiences)):
        raise TidingsError(Code.CREDENTIAL_INVALID)
    return claims


def _user(verified: Verified, claims: _Claims, keys: TokenKeys) -> str:
    if keys.user_claim == "sub":
        return claims.sub or ""
    try:
        raw = _MEMBERS.decode(verified).get(keys.user_claim)
        return "" if raw is None else msgspec.json.decode(raw, type=str | None) or ""
    except msgspec.DecodeError:
        raise TidingsError(Code.CREDENTIAL_INVALID) from None


def _expiry(claims: _Claims, now: Instant) -> Instant | None:
    return _end(claims.exp if claims.expire_at is None else claims.expire_at or None, now)


def _end(seconds: float | None, now: Instant) -> Instant | None:
    if seconds is None:
        return None
    at = from_seconds(seconds)
    if at <= now:
        raise TidingsError(Code.EXPIRED, "expire_at is in the past.")
    return min(at, Instant(now + LIFETIME_MAX))


def _subs(subs: Mapping[str, _Options], now: Instant) -> Mapping[str, SubClaims]:
    return {channel: _sub(options, now) for channel, options in subs.items()}


def _sub(options: _Options, now: Instant) -> SubClaims:
    return SubClaims(
        _json(options.info, options.b64info),
        _json(options.data, options.b64data),
        override_of(options.override),
        _end(options.expire_at or None, now),
    )


def _json(raw: msgspec.Raw, encoded: str | None) -> bytes:
    """Return a claim that stands as itself or in base64, as the bytes it is; null is nothing."""
    if not encoded:
        value = bytes(raw)
        return b"" if value == b"null" else value
    try:
        value = b64decode(encoded, validate=True)
        orjson.loads(value)  # must be JSON: it is embedded in what others read
    except ValueError:
        raise TidingsError(Code.CREDENTIAL_INVALID) from None
    return value


def _issued(iat: Any) -> Instant | None:
    known = isinstance(iat, int | float) and not isinstance(iat, bool) and 0 <= iat <= SECONDS_MAX
    return from_seconds(iat) if known else None

"""Who signed a token: the organization itself, or a key that it brought along."""

from typing import Final, NewType

from core.auth.jwt import Jwt
from core.auth.key_set import KeySet
from core.auth.signatures import is_sealed_with, is_signed_by
from core.auth.token_keys import TokenKeys
from core.instants import Instant

Verified = NewType("Verified", bytes)
"""The claims of a token whose signature was found good: JSON, still to be read and judged."""

OWN_ALGORITHM: Final = "HS256"
_PUBLIC: Final = frozenset({"RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "EdDSA"})


def verify(token: Jwt, own_secret: bytes, keys: TokenKeys, now: Instant) -> Verified | None:
    """Return the claims of a token that the own secret or a known key signed, else None."""
    if (
        is_sealed_with(token, own_secret, OWN_ALGORITHM)
        or any(is_sealed_with(token, secret) for secret in _secrets(keys, now))
        or any(key and is_signed_by(token, key) for key in (keys.rsa_public_key, keys.ecdsa_public_key))
    ):
        return Verified(token.claims)
    return None


def verify_by_key_set(token: Jwt, key_set: KeySet) -> Verified | None:
    """Return the claims of a token that the key which it names in the set signed, else None."""
    key = key_set.find(token)
    return Verified(token.claims) if key is not None and is_signed_by(token, key) else None


def wants_key_set(token: Jwt, keys: TokenKeys) -> bool:
    """Say whether a token that `verify` knows no signer of may be signed by a published key."""
    return bool(keys.jwks_url) and token.algorithm in _PUBLIC


def _secrets(keys: TokenKeys, now: Instant) -> tuple[bytes, ...]:
    if keys.previous_hmac_until is not None and keys.previous_hmac_until <= now:
        return (keys.hmac_secret,)
    return keys.hmac_secret, keys.previous_hmac_secret

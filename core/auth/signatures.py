"""Signatures of tokens: the algorithm belongs to the key, so a header can only be right or refused.

HMAC secrets may be of any length; a public key has the algorithms of its kind, an elliptic curve just one.

Source: RFC 7518 §3 (HS, RS, ES), RFC 8037 §3.1 (EdDSA).
"""

import hmac
from collections.abc import Callable
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from core.auth.jwt import Jwt

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | Ed448PublicKey

RSA_BITS_MIN: Final = 2_048
"""RFC 7518 §3.3."""
RSA_BITS_MAX: Final = 8_192
RSA_EXPONENT_MAX: Final = 2**32
"""Larger keys would make each look at a token expensive."""

_HMAC: Final = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}
_HASHES: Final[dict[str, Callable[[], hashes.HashAlgorithm]]] = {
    "256": hashes.SHA256,
    "384": hashes.SHA384,
    "512": hashes.SHA512,
}
_RSA: Final = frozenset({"RS256", "RS384", "RS512"})
_CURVES: Final = {SECP256R1.name: "ES256", SECP384R1.name: "ES384", SECP521R1.name: "ES512"}
_EDDSA: Final = frozenset({"EdDSA"})


def is_sealed_with(token: Jwt, secret: bytes, *algorithms: str) -> bool:
    """Say whether a secret made the token's HMAC; with `algorithms`, only by one of these.

    An empty secret is none, and has signed nothing.
    """
    name = _HMAC.get(token.algorithm)
    if not secret or name is None or (algorithms and token.algorithm not in algorithms):
        return False
    return hmac.compare_digest(token.signature, hmac.new(secret, token.signed, name).digest())


def is_signed_by(token: Jwt, key: PublicKey) -> bool:
    """Say whether the owner of a public key has signed the token, by an algorithm of that key."""
    if token.algorithm not in algorithms_of(key):
        return False
    try:
        if isinstance(key, RSAPublicKey):
            key.verify(token.signature, token.signed, PKCS1v15(), _HASHES[token.algorithm[2:]]())
        elif isinstance(key, EllipticCurvePublicKey):
            key.verify(_der(token.signature, key), token.signed, ECDSA(_HASHES[token.algorithm[2:]]()))
        else:
            key.verify(token.signature, token.signed)
    except InvalidSignature:
        return False
    return True


def algorithms_of(key: PublicKey) -> frozenset[str]:
    """Return the algorithms that a key may verify by; empty: it is none that tokens are signed with."""
    if isinstance(key, RSAPublicKey):
        fits = RSA_BITS_MIN <= key.key_size <= RSA_BITS_MAX and key.public_numbers().e < RSA_EXPONENT_MAX
        return _RSA if fits else frozenset()
    if isinstance(key, EllipticCurvePublicKey):
        algorithm = _CURVES.get(key.curve.name)
        return frozenset({algorithm} if algorithm else ())
    return _EDDSA


def _der(signature: bytes, key: EllipticCurvePublicKey) -> bytes:
    """Return the two numbers of a signature (RFC 7518 §3.4) as `cryptography` takes them."""
    size = (key.key_size + 7) // 8
    if len(signature) != 2 * size:
        raise InvalidSignature
    return encode_dss_signature(
        int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
    )

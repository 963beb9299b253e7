"""JSON Web Key Sets: the public keys that an identity provider publishes, found by their ids.

Keys for anything but signatures, of kinds that are not known here, or broken ones, are passed over, as RFC
7517 §5 wants it: a set must not lose all of its keys because of one.
"""

from dataclasses import dataclass
from typing import Any, Final

import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurvePublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

from core.auth.jwt import Jwt, base64url
from core.auth.signatures import PublicKey, algorithms_of

KEYS_MAX: Final = 100
"""Keys of one set; the rest is passed over."""

_CURVES: Final = {"P-256": SECP256R1(), "P-384": SECP384R1(), "P-521": SECP521R1()}


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """One key of a set. `key_id` "": it has none; `algorithms`: those that it may verify by."""

    key_id: str
    key: PublicKey
    algorithms: frozenset[str]


@dataclass(frozen=True, slots=True)
class KeySet:
    """The usable keys of one set."""

    keys: tuple[PublishedKey, ...]

    def find(self, token: Jwt) -> PublicKey | None:
        """Return the key that a token names, for its algorithm.

        A token without `kid` can only mean the one key of its algorithm; where there are several, it means
        none.
        """
        fitting = [
            published.key
            for published in self.keys
            if token.algorithm in published.algorithms and token.key_id in ("", published.key_id)
        ]
        return fitting[0] if len(fitting) == 1 else None


def read_key_set(document: bytes) -> KeySet:
    """Return the usable keys of a JWK Set (RFC 7517 §5).

    Raises:
        ValueError: it is none.
    """
    parsed = orjson.loads(document)
    entries = parsed.get("keys") if isinstance(parsed, dict) else None
    if not isinstance(entries, list):
        raise ValueError("no JWK Set")  # noqa: TRY004 (of what was fetched, the value is wrong)
    found = (_published(entry) for entry in entries[:KEYS_MAX] if isinstance(entry, dict))
    return KeySet(tuple(published for published in found if published is not None))


def _published(entry: dict[str, Any]) -> PublishedKey | None:
    operations = entry.get("key_ops")
    if entry.get("use", "sig") != "sig" or (isinstance(operations, list) and "verify" not in operations):
        return None
    try:
        key = _key_of(entry)
    except (KeyError, TypeError, ValueError, UnsupportedAlgorithm):
        return None
    algorithms = algorithms_of(key)
    if "alg" in entry:
        algorithms &= {str(entry["alg"])}
    key_id = entry.get("kid")
    return PublishedKey(key_id if isinstance(key_id, str) else "", key, algorithms) if algorithms else None


def _key_of(entry: dict[str, Any]) -> PublicKey:
    match entry["kty"], entry.get("crv"):
        case "RSA", _:
            return RSAPublicNumbers(_number(entry["e"]), _number(entry["n"])).public_key()
        case "EC", str(curve):
            return EllipticCurvePublicNumbers(
                _number(entry["x"]), _number(entry["y"]), _CURVES[curve]
            ).public_key()
        case "OKP", "Ed25519":
            return Ed25519PublicKey.from_public_bytes(base64url(entry["x"]))
        case "OKP", "Ed448":
            return Ed448PublicKey.from_public_bytes(base64url(entry["x"]))
        case _:  # symmetric ones above all: a published secret is none
            raise ValueError(entry["kty"])


def _number(text: str) -> int:
    return int.from_bytes(base64url(text), "big")

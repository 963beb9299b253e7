"""Tokens as backends and identity providers make them; by hand, since a library would refuse the odd ones."""

import hmac
import json
from base64 import urlsafe_b64encode
from functools import cache
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PrivateKey = (
    rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
)
HASHES: Final = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
CURVES: Final = {"256": ec.SECP256R1(), "384": ec.SECP384R1(), "512": ec.SECP521R1()}
CURVE_NAMES: Final = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}


def base64url(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


@cache
def private_key(algorithm: str, number: int = 0) -> PrivateKey:
    """Return a key for an algorithm; those of another `number` are others."""
    del number
    if algorithm.startswith("RS"):
        return rsa.generate_private_key(65_537, 2_048)
    if algorithm.startswith("ES"):
        return ec.generate_private_key(CURVES[algorithm[2:]])
    return ed25519.Ed25519PrivateKey.generate()


def signature_of(signed: bytes, algorithm: str, key: PrivateKey | bytes) -> bytes:
    """Return the signature of a token's first two parts."""
    if isinstance(key, bytes):
        return hmac.new(key, signed, f"sha{algorithm[2:]}").digest()
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(signed, padding.PKCS1v15(), HASHES[algorithm[2:]])
    if isinstance(key, ec.EllipticCurvePrivateKey):
        r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(HASHES[algorithm[2:]])))
        size = (key.key_size + 7) // 8
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")
    return key.sign(signed)


def token(
    claims: dict[str, Any] | bytes, key: PrivateKey | bytes, algorithm: str = "HS256", **header: Any
) -> str:
    """Return a signed token; `header` adds to or replaces members of its header."""
    head = json.dumps({"alg": algorithm, **header}).encode()
    body = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    signed = f"{base64url(head)}.{base64url(body)}"
    return f"{signed}.{base64url(signature_of(signed.encode(), algorithm, key))}"


def pem_of(key: PrivateKey) -> str:
    """Return the public half of a key as PEM."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def jwk_of(key: PrivateKey, **members: Any) -> dict[str, Any]:
    """Return the public half of a key as it stands in a JWK Set."""

    def number(value: int, size: int = 0) -> str:
        return base64url(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))

    if isinstance(key, rsa.RSAPrivateKey):
        of_rsa = key.public_key().public_numbers()
        return {"kty": "RSA", "n": number(of_rsa.n), "e": number(of_rsa.e), **members}
    if isinstance(key, ec.EllipticCurvePrivateKey):
        point, size = key.public_key().public_numbers(), (key.key_size + 7) // 8
        named = {"kty": "EC", "crv": CURVE_NAMES[key.curve.name]}
        return {**named, "x": number(point.x, size), "y": number(point.y, size), **members}
    curve = "Ed448" if isinstance(key, ed448.Ed448PrivateKey) else "Ed25519"
    return {"kty": "OKP", "crv": curve, "x": base64url(key.public_key().public_bytes_raw()), **members}


def key_set(*keys: dict[str, Any]) -> bytes:
    """Return a JWK Set."""
    return json.dumps({"keys": list(keys)}).encode()

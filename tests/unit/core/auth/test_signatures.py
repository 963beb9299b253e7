"""Signatures: those of the standards are good, and each key has its own algorithms and no other."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from hypothesis import given
from hypothesis import strategies as st

from core.auth.jwt import Jwt, base64url, read_jwt
from core.auth.key_set import read_key_set
from core.auth.signatures import algorithms_of, is_sealed_with, is_signed_by
from tests.helpers.tokens import key_set, private_key, token

PAYLOAD = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
MODULUS = (
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SF"
    "d2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo"
    "7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkM"
    "Ls91kzk2PAcDTW9gb54h4FRWyuXpoQ"
)
BY_RS256 = (
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdb"
    "F9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383"
    "LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWy"
    "wlVmtVrBp0igcN_IoypGlUPQGe77Rw"
)
BY_ES256 = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
BY_ES512 = (
    "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgo"
    "XD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn"
)
BY_EDDSA = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
P256 = {
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}
P521 = {
    "x": "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",
    "y": "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2",
}
ED25519 = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
PUBLISHED: dict[str, tuple[dict[str, Any], str]] = {
    "RFC 7515 A.2, RS256": (
        {"kty": "RSA", "n": MODULUS, "e": "AQAB"},
        f"eyJhbGciOiJSUzI1NiJ9.{PAYLOAD}.{BY_RS256}",
    ),
    "RFC 7515 A.3, ES256": (
        {"kty": "EC", "crv": "P-256", **P256},
        f"eyJhbGciOiJFUzI1NiJ9.{PAYLOAD}.{BY_ES256}",
    ),
    "RFC 7515 A.4, ES512": (
        {"kty": "EC", "crv": "P-521", **P521},
        f"eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.{BY_ES512}",
    ),
    "RFC 8037 A.4, EdDSA": (
        ED25519,
        f"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.{BY_EDDSA}",
    ),
}
ASYMMETRIC = ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "EdDSA"]
HMAC = ["HS256", "HS384", "HS512"]


def test_the_example_of_rfc_7515_a_1_is_good() -> None:
    secret = base64url(
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
    )
    read = read_jwt(
        f"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{PAYLOAD}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    )
    assert is_sealed_with(read, secret)
    assert not is_sealed_with(read, secret[:-1])


@pytest.mark.parametrize(("jwk", "text"), PUBLISHED.values(), ids=PUBLISHED.keys())
def test_the_examples_of_the_standards_are_good_until_a_bit_of_them_changes(
    jwk: dict[str, Any], text: str
) -> None:
    (published,) = read_key_set(key_set(jwk)).keys
    good = read_jwt(text)
    assert is_signed_by(good, published.key)
    turned = bytes([good.signature[0] ^ 1]) + good.signature[1:]
    for signed, signature in (
        (good.signed + b"A", good.signature),
        (good.signed, turned),
        (good.signed, good.signature[:-1]),
        (good.signed, good.signature + b"\0"),
        (good.signed, bytes(len(good.signature))),
        (good.signed, b"\xff" * len(good.signature)),
        (good.signed, b""),
    ):
        assert not is_signed_by(Jwt(good.algorithm, "", good.claims, signed, signature), published.key)


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_a_key_verifies_what_was_signed_by_one_of_its_own_algorithms(algorithm: str) -> None:
    key = private_key(algorithm)
    made = read_jwt(token({}, key, algorithm))
    assert is_signed_by(made, key.public_key())
    assert not is_signed_by(made, private_key(algorithm, 1).public_key())
    for other in {*ASYMMETRIC, *HMAC, "none", "", "PS256", "ES256K", algorithm.lower()} - {algorithm}:
        disguised = Jwt(other, "", made.claims, made.signed, made.signature)
        assert not is_signed_by(disguised, key.public_key())


def test_edwards_curves_share_an_algorithm() -> None:
    key = ed448.Ed448PrivateKey.generate()
    assert is_signed_by(read_jwt(token({}, key, "EdDSA")), key.public_key())


@given(st.sampled_from(HMAC), st.binary(min_size=1, max_size=200))
def test_a_secret_of_any_length_is_one(algorithm: str, secret: bytes) -> None:
    made = read_jwt(token({}, secret, algorithm))
    assert is_sealed_with(made, secret)
    assert is_sealed_with(made, secret, algorithm)
    assert not is_sealed_with(made, secret + b"x")
    others = [name for name in HMAC if name != algorithm]
    assert not is_sealed_with(made, secret, *others)
    assert not any(is_sealed_with(Jwt(name, "", b"", made.signed, made.signature), secret) for name in others)


def test_no_secret_has_signed_nothing() -> None:
    assert not is_sealed_with(read_jwt(token({}, b"", "HS256")), b"")


@pytest.mark.parametrize("algorithm", [*ASYMMETRIC, "none", "None", ""])
def test_a_secret_makes_no_signature_of_another_kind(algorithm: str) -> None:
    made = read_jwt(token({}, b"hush", "HS256"))
    assert not is_sealed_with(Jwt(algorithm, "", b"", made.signed, made.signature), b"hush")


def test_keys_that_are_too_weak_or_too_costly_have_no_algorithm() -> None:
    weak = rsa.generate_private_key(65_537, 1_024).public_key()  # noqa: S505 (that is the point)
    other = ec.generate_private_key(ec.SECP256K1()).public_key()
    numbers = private_key("RS256").public_key().public_numbers()
    assert isinstance(numbers, rsa.RSAPublicNumbers)
    slow = rsa.RSAPublicNumbers(2**64 + 13, numbers.n).public_key()
    assert not algorithms_of(weak) | algorithms_of(other) | algorithms_of(slow)

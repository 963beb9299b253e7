"""Key sets: one key for a token or none, whatever else an identity provider publishes."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from hypothesis import given
from hypothesis import strategies as st

from core.auth.jwt import Jwt
from core.auth.key_set import KEYS_MAX, read_key_set
from tests.helpers.tokens import jwk_of, key_set, private_key

RSA = jwk_of(private_key("RS256"))
EC = jwk_of(private_key("ES384"))
ED = jwk_of(private_key("EdDSA"))


def named(algorithm: str, key_id: str = "") -> Jwt:
    return Jwt(algorithm, key_id, b"", b"", b"")


def test_a_key_is_found_by_its_id_and_algorithm() -> None:
    found = read_key_set(key_set({**RSA, "kid": "a"}, {**EC, "kid": "a"}, {**ED, "kid": "b"}))
    assert found.find(named("RS512", "a")) == private_key("RS256").public_key()
    assert found.find(named("ES384", "a")) == private_key("ES384").public_key()
    assert found.find(named("EdDSA", "b")) == private_key("EdDSA").public_key()
    for missing in (named("EdDSA", "a"), named("ES256", "a"), named("RS256", "c"), named("HS256", "a")):
        assert found.find(missing) is None


def test_a_token_that_names_no_key_means_the_only_one_of_its_algorithm() -> None:
    other = jwk_of(private_key("RS256", 1), kid="b")
    one, two = read_key_set(key_set({**RSA, "kid": "a"}, ED)), read_key_set(key_set(RSA, other))
    assert one.find(named("RS256")) == private_key("RS256").public_key()
    assert one.find(named("EdDSA")) == private_key("EdDSA").public_key()
    assert two.find(named("RS256")) is None
    assert read_key_set(key_set(RSA)).find(named("RS256", "a")) is None


def test_a_key_that_names_its_algorithm_has_no_other() -> None:
    found = read_key_set(key_set({**RSA, "alg": "RS384"}))
    assert found.find(named("RS384")) is not None
    assert found.find(named("RS256")) is None


@pytest.mark.parametrize("members", [{"use": "sig"}, {"key_ops": ["verify"]}, {"x5c": ["?"], "kid": 7}])
def test_other_members_do_not_matter(members: dict[str, Any]) -> None:
    assert len(read_key_set(key_set({**RSA, **members})).keys) == 1


PASSED_OVER: dict[str, Any] = {
    "for encryption": {**RSA, "use": "enc"},
    "for signing alone": {**RSA, "key_ops": ["sign"]},
    "a published secret": {"kty": "oct", "k": "aHVzaA", "alg": "HS256"},
    "no kind": {},
    "an unknown kind": {"kty": "X"},
    "a kind of no text": {"kty": []},
    "an algorithm of another kind": {**RSA, "alg": "ES256"},
    "encryption by algorithm": {**RSA, "alg": "RSA-OAEP"},
    "no modulus": {"kty": "RSA", "e": "AQAB"},
    "a modulus of no text": {"kty": "RSA", "e": "AQAB", "n": 7},
    "an even exponent": {**RSA, "e": "Ag"},
    "a tiny modulus": {**RSA, "n": "AQAB"},
    "an unknown curve": {**EC, "crv": "P-224"},
    "a curve of no text": {**EC, "crv": 384},
    "a point off the curve": {**EC, "y": EC["x"]},
    "a point of another curve": {**EC, "crv": "P-256"},
    "a curve for key agreement": {**ED, "crv": "X25519"},
    "half a point": {**ED, "x": ED["x"][:20]},
    "padding": {**ED, "x": ED["x"] + "="},
    "other letters": {**ED, "x": "\u0410" * 43},
    "no object": 7,
}


@pytest.mark.parametrize("entry", PASSED_OVER.values(), ids=PASSED_OVER.keys())
def test_what_can_not_be_used_is_passed_over(entry: Any) -> None:
    assert [one.key_id for one in read_key_set(key_set(entry, {**RSA, "kid": "good"})).keys] == ["good"]


def test_a_curve_without_an_algorithm_is_passed_over() -> None:
    assert len(read_key_set(key_set(jwk_of(ed448.Ed448PrivateKey.generate()))).keys) == 1
    assert len(read_key_set(key_set(jwk_of(ec.generate_private_key(ec.SECP521R1())))).keys) == 1


def test_a_set_has_so_many_keys_at_most() -> None:
    assert len(read_key_set(key_set(*[ED] * (KEYS_MAX + 1))).keys) == KEYS_MAX


@pytest.mark.parametrize(
    "document", [b"", b"[]", b"{}", b'{"keys":{}}', b'{"keys":null}', b"<html>", b"\xff", b"7"]
)
def test_what_is_no_set_is_refused(document: bytes) -> None:
    with pytest.raises(ValueError, match=r"no JWK Set|line"):
        read_key_set(document)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=2)
)


@given(
    st.dictionaries(st.sampled_from(["kty", "crv", "n", "e", "x", "y", "use", "alg", "kid", "key_ops"]), JSON)
)
def test_no_entry_does_harm(entry: dict[str, Any]) -> None:
    for known in (RSA, EC, ED):
        assert len(read_key_set(key_set({**known, **entry})).keys) <= 1

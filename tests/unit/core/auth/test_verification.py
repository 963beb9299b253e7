"""Who signed: the organization, or whoever it trusts; nobody else, whatever a header says."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.auth.jwt import Jwt, read_jwt
from core.auth.key_set import KeySet, read_key_set
from core.auth.token_keys import TokenKeys, read_token_keys
from core.auth.verification import verify, verify_by_key_set, wants_key_set
from core.errors import TidingsError
from core.instants import Instant, parse_instant
from tests.helpers.tokens import PrivateKey, jwk_of, key_set, pem_of, private_key, token

OWN = b"own"
UNTIL = "2027-01-01T00:00:00Z"
NOW = Instant(parse_instant(UNTIL) - 1)
KEYS = read_token_keys(
    {
        "hmac_secret": "hush",
        "previous_hmac_secret": "older",
        "previous_hmac_until": UNTIL,
        "rsa_public_key": pem_of(private_key("RS256")),
        "ecdsa_public_key": pem_of(private_key("ES384")),
    }
)
NONE = TokenKeys()
CLAIMS = {"sub": "ann"}
GOOD = token(CLAIMS, OWN)


def is_verified(
    key: PrivateKey | bytes, algorithm: str = "HS256", keys: TokenKeys = KEYS, now: Instant = NOW
) -> bool:
    made = read_jwt(token(CLAIMS, key, algorithm))
    verified = verify(made, OWN, keys, now)
    assert verified in (None, made.claims)
    return verified is not None


def test_the_own_secret_signs_by_its_own_algorithm_alone() -> None:
    assert is_verified(OWN, keys=NONE)
    assert not is_verified(OWN, "HS384", NONE)
    assert not is_verified(OWN, "HS512", NONE)
    assert not is_verified(b"Own", keys=NONE)


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_a_secret_that_was_brought_along_signs_by_all(algorithm: str) -> None:
    assert is_verified(b"hush", algorithm)
    assert is_verified(b"older", algorithm)
    assert not is_verified(b"", algorithm, NONE)


def test_the_previous_secret_counts_until_its_time() -> None:
    assert not is_verified(b"older", now=Instant(NOW + 1))
    assert is_verified(b"hush", now=Instant(NOW + 1))
    assert is_verified(b"older", keys=TokenKeys(previous_hmac_secret=b"older"), now=Instant(2**60))


def test_public_keys_sign_by_their_algorithms() -> None:
    assert is_verified(private_key("RS256"), "RS512")
    assert is_verified(private_key("ES384"), "ES384")
    assert not is_verified(private_key("ES256"), "ES256")
    assert not is_verified(private_key("RS256", 1), "RS256")
    assert not is_verified(private_key("RS256"), "RS256", NONE)
    assert not is_verified(private_key("EdDSA"), "EdDSA")


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_a_public_key_is_no_secret(algorithm: str) -> None:
    for pem in (pem_of(private_key("RS256")), pem_of(private_key("ES384"))):
        assert not is_verified(pem.encode(), algorithm)
        assert not is_verified(pem.strip().encode(), algorithm)


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "nOnE", "RS256", "HS384", "HS512", "ES256", "EdDSA", "hs256", ""]
)
def test_a_header_that_says_something_else_is_refused(algorithm: str) -> None:
    good = read_jwt(GOOD)
    assert verify(Jwt(algorithm, "", good.claims, good.signed, good.signature), OWN, KEYS, NOW) is None


@given(st.integers(0, len(GOOD) - 1), st.characters(codec="ascii"))
def test_no_character_of_a_token_may_change(place: int, character: str) -> None:
    text = GOOD[:place] + character + GOOD[place + 1 :]
    if text == GOOD:
        return
    with suppress(TidingsError):  # it may be no token any more
        assert verify(read_jwt(text), OWN, KEYS, NOW) is None


@pytest.mark.parametrize("algorithm", ["RS256", "RS512", "ES256", "ES512", "EdDSA"])
def test_a_published_key_signs_by_the_name_that_the_token_gives(algorithm: str) -> None:
    key = private_key(algorithm)
    published = read_key_set(key_set(jwk_of(key, kid="a"), jwk_of(private_key(algorithm, 1), kid="b")))
    made = read_jwt(token(CLAIMS, key, algorithm, kid="a"))
    assert verify_by_key_set(made, published) == made.claims
    for wrong in (
        token(CLAIMS, key, algorithm, kid="b"),
        token(CLAIMS, key, algorithm, kid="c"),
        token(CLAIMS, key, algorithm),
        token(CLAIMS, b"hush", "HS256", kid="a"),
    ):
        assert verify_by_key_set(read_jwt(wrong), published) is None
    assert verify_by_key_set(made, KeySet(())) is None


def test_a_key_set_is_wanted_for_public_keys_where_there_is_one() -> None:
    keys = TokenKeys(jwks_url="https://id.example")
    assert wants_key_set(Jwt("EdDSA", "", b"", b"", b""), keys)
    assert not wants_key_set(Jwt("EdDSA", "", b"", b"", b""), NONE)
    assert not wants_key_set(Jwt("HS256", "", b"", b"", b""), keys)
    assert not wants_key_set(Jwt("none", "", b"", b"", b""), keys)

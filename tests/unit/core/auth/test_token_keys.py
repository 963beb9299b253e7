"""The keys that an organization brings along: read with every fault named, and never shown again."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from core.auth.token_keys import (
    CHARACTERS_MAX,
    Expected,
    TokenKeys,
    read_token_keys,
    shown_token_keys,
)
from core.errors import Code, TidingsError
from core.instants import parse_instant
from tests.helpers.tokens import pem_of, private_key

RSA, EC = pem_of(private_key("RS256")), pem_of(private_key("ES384"))
OWN = b"own"
WHOLE = {
    "hmac_secret": "hush",
    "previous_hmac_secret": "\u00e9",
    "previous_hmac_until": "2027-01-01T00:00:00Z",
    "rsa_public_key": RSA,
    "ecdsa_public_key": EC,
    "jwks_url": "https://id.example/jwks.json",
    "user_claim": "user_id",
    "issuer": "https://id.example",
    "audience_pattern": "^tidings(-test)?$",
}


def faults(document: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(TidingsError) as caught:
        read_token_keys(document)
    assert caught.value.code is Code.VALIDATION_FAILED
    errors = caught.value.members["errors"]
    assert all(error["detail"].endswith(".") for error in errors)
    return [(error["pointer"], error["code"]) for error in errors]


def test_a_document_is_read_whole() -> None:
    keys = read_token_keys(WHOLE)
    assert (keys.hmac_secret, keys.previous_hmac_secret) == (b"hush", "\u00e9".encode())
    assert keys.previous_hmac_until == parse_instant("2027-01-01T00:00:00Z")
    assert keys.rsa_public_key == private_key("RS256").public_key()
    assert keys.ecdsa_public_key == private_key("ES384").public_key()
    assert (keys.jwks_url, keys.user_claim) == ("https://id.example/jwks.json", "user_id")
    assert keys.issuer == Expected("https://id.example")
    assert keys.audience.admits("tidings-test")
    assert keys.of_subscriptions is keys


def test_an_empty_document_adds_nothing_and_null_is_absent() -> None:
    assert read_token_keys({}) == read_token_keys(dict.fromkeys(WHOLE)) == TokenKeys()
    assert read_token_keys({"subscriptions": None}) == TokenKeys()


def test_subscription_tokens_may_have_keys_of_their_own() -> None:
    keys = read_token_keys({"hmac_secret": "a", "subscriptions": {"hmac_secret": "b", "issuer": None}})
    assert keys.of_subscriptions == TokenKeys(hmac_secret=b"b")
    assert read_token_keys({"hmac_secret": "a", "subscriptions": {}}).of_subscriptions == TokenKeys()


BAD: dict[str, tuple[str, Any, str]] = {
    "unknown": ("secret", "x", "unknown_field"),
    "no text": ("hmac_secret", 7, "wrong_type"),
    "empty": ("hmac_secret", "", "wrong_type"),
    "too long": ("hmac_secret", "x" * (CHARACTERS_MAX + 1), "wrong_type"),
    "half a character": ("hmac_secret", "\ud800", "format"),
    "no time": ("previous_hmac_until", "tomorrow", "format"),
    "no PEM": ("rsa_public_key", "MIIB", "format"),
    "broken PEM": ("rsa_public_key", RSA.replace("A", "B"), "format"),
    "weak": (
        "rsa_public_key",
        pem_of(rsa.generate_private_key(65_537, 1_024)),  # noqa: S505 (that is the point)
        "format",
    ),
    "of another kind": ("rsa_public_key", EC, "format"),
    "of the other kind": ("ecdsa_public_key", RSA, "format"),
    "of no kind known": ("ecdsa_public_key", pem_of(ed25519.Ed25519PrivateKey.generate()), "format"),
    "of no curve known": ("ecdsa_public_key", pem_of(ec.generate_private_key(ec.SECP256K1())), "format"),
    "a file": ("jwks_url", "file:///etc/passwd", "format"),
    "a broken URL": ("jwks_url", "https://a b", "format"),
    "a claim of no name": ("user_claim", "a.b", "format"),
    "no expression": ("issuer_pattern", "(", "format"),
    "a reference": ("issuer_pattern", r"(a)\1", "format"),
    "an expression that would grow": ("audience_pattern", "((a{100}){100}){100}", "format"),
}


@pytest.mark.parametrize(("name", "value", "code"), BAD.values(), ids=BAD.keys())
def test_what_is_wrong_is_named(name: str, value: Any, code: str) -> None:
    assert faults({name: value}) == [(f"#/{name}", code)]
    assert faults({"subscriptions": {name: value}}) == [(f"#/subscriptions/{name}", code)]


def test_all_that_is_wrong_is_named() -> None:
    assert faults({"subscriptions": [], "a/b~": 1, "issuer": 1}) == [
        ("#/subscriptions", "wrong_type"),
        ("#/a~1b~0", "unknown_field"),
        ("#/issuer", "wrong_type"),
    ]
    assert faults({"subscriptions": {"subscriptions": {}}}) == [
        ("#/subscriptions/subscriptions", "unknown_field")
    ]


def test_what_is_secret_is_shown_by_a_fingerprint_that_says_nothing() -> None:
    shown = shown_token_keys({**WHOLE, "issuer_pattern": None, "subscriptions": {"hmac_secret": "hush"}}, OWN)
    assert shown["hmac_secret"] == shown["subscriptions"]["hmac_secret"]
    assert shown["hmac_secret"].keys() == {"fingerprint"}
    assert shown["hmac_secret"] != shown["previous_hmac_secret"]
    assert shown["hmac_secret"] != shown_token_keys(WHOLE, b"other")["hmac_secret"]
    assert "hush" not in str(shown)
    assert shown["rsa_public_key"]["pem"] == RSA
    assert len(shown["ecdsa_public_key"]["fingerprint"]) == 64
    assert (shown["issuer"], shown["user_claim"]) == ("https://id.example", "user_id")
    assert "issuer_pattern" not in shown
    assert shown_token_keys({}, OWN) == {}


def test_keys_are_not_shown_by_accident() -> None:
    assert "hush" not in repr(read_token_keys(WHOLE))


def test_a_pattern_is_searched_and_takes_no_long() -> None:
    expected = read_token_keys({"audience_pattern": "^(a+)+$|b"}).audience
    assert expected.admits("xbx")
    assert not expected.admits("a" * 5_000 + "!")
    assert not expected.admits("")


def test_one_of_several_values_is_enough() -> None:
    both = read_token_keys({"issuer": "a1", "issuer_pattern": "[0-9]"}).issuer
    assert both.admits("b", "a1")
    assert not both.admits("a", "b1")
    assert Expected().admits("anything")

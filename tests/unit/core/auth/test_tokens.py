"""What tokens say: every claim optional, none of them with leeway, and none that does harm."""

import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.auth.jwt import read_jwt
from core.auth.override import Override
from core.auth.token_keys import TokenKeys, read_token_keys
from core.auth.tokens import (
    SECONDS_MAX,
    ConnectionClaims,
    SubClaims,
    SubscriptionClaims,
    connection_claims,
    peek_organization,
    subscription_claims,
)
from core.auth.verification import Verified
from core.errors import Code, TidingsError
from core.ids import encode
from core.instants import MICROSECONDS, Instant, from_seconds
from tests.helpers.tokens import token

YEAR_S = 365 * 86_400
NOW_S = 1_800_000_000
NOW = Instant(NOW_S * MICROSECONDS)
ANYBODY = TokenKeys()
DEEP = b"[" * 2_500 + b"]" * 2_500


def connection(
    claims: bytes | dict[str, Any], keys: TokenKeys = ANYBODY, now: Instant = NOW
) -> ConnectionClaims:
    raw = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    return connection_claims(Verified(raw), keys, now)


def subscription(claims: dict[str, Any], keys: TokenKeys = ANYBODY) -> SubscriptionClaims:
    return subscription_claims(Verified(json.dumps({"channel": "$a", **claims}).encode()), keys, NOW)


def refusal(claims: bytes | dict[str, Any], keys: TokenKeys = ANYBODY, now: Instant = NOW) -> Code:
    with pytest.raises(TidingsError) as caught:
        connection(claims, keys, now)
    return caught.value.code


@given(st.text(st.characters(exclude_categories=["Cs"])), st.lists(st.text("abc:$#", min_size=1), max_size=3))
def test_what_is_said_is_read(user: str, channels: list[str]) -> None:
    said = {"sub": user, "channels": channels, "iat": "ignored", "meta": {"a": [1]}, "other": 1}
    assert connection(said) == ConnectionClaims(user, channels=tuple(channels), meta=b'{"a": [1]}')


@pytest.mark.parametrize(
    "claims",
    [
        b"{}",
        json.dumps(dict.fromkeys(("sub", "exp", "info", "channels", "subs", "meta", "jti", "aud"))).encode(),
    ],
)
def test_a_token_without_claims_is_of_the_empty_user_and_never_ends(claims: bytes) -> None:
    assert connection(claims) == ConnectionClaims("")


@pytest.mark.parametrize(
    ("claims", "expires_s"),
    [
        ({"exp": NOW_S + 1}, NOW_S + 1),
        ({"exp": NOW_S + 0.25}, NOW_S + 0.25),
        ({"exp": SECONDS_MAX}, NOW_S + YEAR_S),
        ({"exp": NOW_S + 1, "expire_at": NOW_S + YEAR_S + 1}, NOW_S + YEAR_S),
        ({"expire_at": NOW_S + YEAR_S}, NOW_S + YEAR_S),
        ({"exp": NOW_S + 1, "expire_at": NOW_S + 60}, NOW_S + 60),
        ({"exp": NOW_S + 1, "expire_at": 0}, None),
        ({"exp": NOW_S + 1, "expire_at": None}, NOW_S + 1),
        ({"expire_at": NOW_S + 1}, NOW_S + 1),
        ({"nbf": NOW_S}, None),
    ],
)
def test_what_a_token_is_for_ends_with_it_unless_expire_at_says_otherwise(
    claims: dict[str, Any], expires_s: float | None
) -> None:
    expected = None if expires_s is None else from_seconds(expires_s)
    assert connection(claims).expires_at == expected
    assert subscription(claims).expires_at == expected


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": NOW_S},
        {"exp": NOW_S - 0.5},
        {"exp": 0},
        {"exp": -1e308},
        {"exp": NOW_S - 1, "expire_at": NOW_S + 60},
        {"nbf": NOW_S + 1},
        {"nbf": 1e308},
        {"nbf": 10**400},
        {"nbf": NOW_S + 1, "exp": NOW_S + 2},
    ],
)
def test_a_token_at_the_wrong_time_is_expired(claims: dict[str, Any]) -> None:
    assert refusal(claims) is Code.CREDENTIAL_EXPIRED
    with pytest.raises(TidingsError) as caught:
        subscription(claims)
    assert caught.value.code is Code.CREDENTIAL_EXPIRED


@pytest.mark.parametrize(
    "claims", [{"expire_at": NOW_S}, {"expire_at": -1, "exp": NOW_S + 60}, {"subs": {"a": {"expire_at": 1}}}]
)
def test_a_connection_that_would_have_ended_already_does_not_begin(claims: dict[str, Any]) -> None:
    assert refusal(claims) is Code.EXPIRED


def test_a_token_ends_at_its_microsecond() -> None:
    assert connection({"exp": NOW_S}, now=Instant(NOW - 1)).user == ""
    assert refusal({"exp": NOW_S}) is Code.CREDENTIAL_EXPIRED


@pytest.mark.parametrize(
    ("claims", "info"),
    [
        (b'{"info":{"b" :1,"a":1.50}}', b'{"b" :1,"a":1.50}'),
        (b'{"info":"\\u00e9"}', b'"\\u00e9"'),
        (b'{"b64info":"%b"}' % b64encode(b'{"n": 1.50}'), b'{"n": 1.50}'),
        (b'{"b64info":"%b"}' % b64encode(b"[" * 400 + b"]" * 400), b"[" * 400 + b"]" * 400),
        (b'{"info":1,"b64info":"%b"}' % b64encode(b"2"), b"2"),
        (b'{"info":1,"b64info":""}', b"1"),
    ],
    ids=["bytes", "escape", "b64info", "nested", "both", "empty b64info"],
)
def test_the_info_of_a_client_stays_the_bytes_it_was(claims: bytes, info: bytes) -> None:
    assert connection(claims).info == info


def test_subscriptions_with_terms_stand_in_place_of_mere_names() -> None:
    read = connection(
        {
            "channels": ["ignored"],
            "subs": {
                "a": {
                    "info": {"n": 1},
                    "b64data": b64encode(b"[2]").decode(),
                    "override": {"presence": {"value": True}, "force_recovery": {"value": False}},
                    "expire_at": NOW_S + 5,
                },
                "b": {"expire_at": 0},
            },
        }
    )
    override = Override(presence=True, force_recovery=False)
    a = SubClaims(b'{"n": 1}', b"[2]", override, from_seconds(NOW_S + 5))
    assert (read.channels, read.subs) == ((), {"a": a, "b": SubClaims()})
    assert connection({"channels": ["a"], "subs": {}}).channels == ("a",)


def test_tokens_without_subscriptions_hold_one_object_in_common() -> None:
    assert connection({"sub": "ann"}).subs is connection({"sub": "bob", "subs": {}}).subs


@pytest.mark.parametrize(
    ("iat", "issued_s"),
    [
        (NOW_S, NOW_S),
        (NOW_S + 0.5, NOW_S + 0.5),
        (0, 0),
        (-1, None),
        (SECONDS_MAX + 1, None),
        (10**400, None),
        (1e308, None),
        (True, None),
        ("now", None),
        ([], None),
        (None, None),
    ],
)
def test_when_a_token_was_issued_is_known_or_is_not(iat: Any, issued_s: float | None) -> None:
    read = connection({"iat": iat, "jti": "t1"})
    assert read.issued_at == (None if issued_s is None else from_seconds(issued_s))
    assert (read.user, read.token_id) == ("", "t1")


def test_a_subscription_token_tells_who_may_be_where() -> None:
    assert subscription({}) == SubscriptionClaims("", "$a")
    said = {
        "sub": "ann",
        "info": 1,
        "data": 2,
        "override": {"join_leave": {"value": True}},
        "client": "c1",
        "jti": "t1",
        "iat": 7,
        "exp": NOW_S + 5,
    }
    assert subscription(said) == SubscriptionClaims(
        "ann",
        "$a",
        from_seconds(NOW_S + 5),
        b"1",
        b"2",
        Override(join_leave=True),
        "c1",
        "t1",
        from_seconds(7),
    )


@pytest.mark.parametrize("channel", ["", None, 7])
def test_a_subscription_token_needs_a_channel_and_a_connection_token_has_none(channel: Any) -> None:
    with pytest.raises(TidingsError) as caught:
        subscription({"channel": channel})
    assert caught.value.code is Code.CREDENTIAL_INVALID
    for named in ("a", ""):
        assert refusal({"channel": named}) is Code.CREDENTIAL_INVALID


def test_another_claim_may_name_the_user() -> None:
    keys = TokenKeys(user_claim="user_id")
    assert connection({"sub": "ann", "user_id": "bob"}, keys).user == "bob"
    assert subscription({"sub": "ann", "user_id": "bob"}, keys).user == "bob"
    assert connection({"sub": "ann"}, keys).user == ""
    assert connection({"user_id": None}, keys).user == ""
    assert refusal({"user_id": 7}, keys) is Code.CREDENTIAL_INVALID


@pytest.mark.parametrize(
    ("document", "good", "bad"),
    [
        ({"issuer": "i"}, [{"iss": "i"}], [{}, {"iss": "j"}, {"iss": ""}]),
        ({"issuer_pattern": "^i[0-9]$"}, [{"iss": "i1"}], [{}, {"iss": "xi1"}]),
        (
            {"audience": "a"},
            [{"aud": "a"}, {"aud": ["b", "a"]}],
            [{}, {"aud": "b"}, {"aud": []}, {"aud": ["b"]}, {"aud": ""}],
        ),
        ({"audience_pattern": "^a"}, [{"aud": ["b", "ab"]}], [{}, {"aud": []}, {"aud": "ba"}]),
        ({}, [{"iss": "any", "aud": ["any"]}], []),
    ],
)
def test_a_token_must_be_from_whom_and_for_whom_it_is_expected(
    document: dict[str, str], good: list[dict[str, Any]], bad: list[dict[str, Any]]
) -> None:
    keys = read_token_keys(document)
    for claims in good:
        assert connection({"sub": "ann", **claims}, keys).user == "ann"
        assert subscription({"sub": "ann", **claims}, keys).user == "ann"
    for claims in bad:
        assert refusal(claims, keys) is Code.CREDENTIAL_INVALID


BROKEN: dict[str, bytes | dict[str, Any]] = {
    "no JSON": b"sub=ann",
    "no object": b'"ann"',
    "cut off": b'{"sub":"ann"',
    "twice": b'{"sub":"ann"}{"sub":"ann"}',
    "nested too deep": b'{"info":%b}' % DEEP,
    "anything nested too deep": b'{"iat":%b}' % DEEP,
    "user of no text": {"sub": 1},
    "exp of no number": {"exp": "tomorrow"},
    "exp of truth": {"exp": True},
    "exp beyond numbers": b'{"exp":1e308}',
    "exp beyond counting": {"exp": SECONDS_MAX + 1},
    "expire_at beyond counting": {"expire_at": SECONDS_MAX + 1},
    "expire_at a fraction": {"expire_at": NOW_S + 0.5},
    "channels of no texts": {"channels": [1]},
    "subs of no objects": {"subs": {"a": 1}},
    "subs in a list": {"subs": ["a"]},
    "override of no options": {"subs": {"a": {"override": {"presence": True}}}},
    "issuer of no text": {"iss": 1},
    "audience of no texts": {"aud": [1]},
    "id of no text": {"jti": 1},
    "info twice encoded, no base64": {"b64info": "{}"},
    "info twice encoded, no JSON": {"b64info": b64encode(b"ann").decode()},
    "info twice encoded, not UTF-8": {"b64info": b64encode(b'"\xff"').decode()},
    "data twice encoded, no JSON": {"subs": {"a": {"b64data": b64encode(b"ann").decode()}}},
}


@pytest.mark.parametrize("claims", BROKEN.values(), ids=BROKEN.keys())
def test_broken_claims_are_refused(claims: bytes | dict[str, Any]) -> None:
    assert refusal(claims) is Code.CREDENTIAL_INVALID


@given(st.binary(min_size=16, max_size=16))
def test_the_organization_that_a_token_claims_is_seen_before_its_key_is_known(raw: bytes) -> None:
    assert peek_organization(read_jwt(token({"org": encode("org", raw)}, b"?"))) == raw


@pytest.mark.parametrize("claims", [{"sub": "ann"}, {"org": None}, {"org": ""}])
def test_a_token_may_name_no_organization(claims: dict[str, Any]) -> None:
    assert peek_organization(read_jwt(token(claims, b"?"))) is None


@pytest.mark.parametrize(
    "claims", [b'{"org":"org_1"}', b'{"org":"key_%b"}' % (b"0" * 26), b'{"org":1}', b"x", b'{"a":%b}' % DEEP]
)
def test_a_token_of_an_impossible_organization_is_refused(claims: bytes) -> None:
    with pytest.raises(TidingsError) as caught:
        peek_organization(read_jwt(token(claims, b"?")))
    assert caught.value.code is Code.CREDENTIAL_INVALID

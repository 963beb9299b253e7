"""Connection tokens: what an organization signed is believed, and nothing else is."""

import hmac
import json
from base64 import b64encode, urlsafe_b64encode
from hashlib import sha256, sha512
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.auth.tokens import (
    SECONDS_MAX,
    TOKEN_BYTES_MAX,
    ConnectionClaims,
    peek_organization,
    verify_connection_token,
)
from core.errors import Code, TidingsError
from core.ids import encode
from core.instants import MICROSECONDS, Instant

SECRET = b"hush"
YEAR_S = 365 * 86_400
NOW_S = 1_800_000_000
NOW = Instant(NOW_S * MICROSECONDS)
HS256 = b'{"alg":"HS256","typ":"JWT"}'
ANN = b'{"sub":"ann"}'
DEEP = b"[" * 2_500 + b"]" * 2_500


def base64url(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def signature_of(signed: str, secret: bytes = SECRET, algorithm: Any = sha256) -> str:
    return base64url(hmac.new(secret, signed.encode(), algorithm).digest())


def token(header: bytes = HS256, claims: bytes = ANN, secret: bytes = SECRET, algorithm: Any = sha256) -> str:
    signed = f"{base64url(header)}.{base64url(claims)}"
    return f"{signed}.{signature_of(signed, secret, algorithm)}"


def claiming(**claims: Any) -> str:
    return token(claims=json.dumps(claims).encode())


def verified(text: str, now: Instant = NOW) -> ConnectionClaims:
    return verify_connection_token(text, SECRET, now)


def refusal(text: str, now: Instant = NOW) -> Code:
    with pytest.raises(TidingsError) as caught:
        verified(text, now)
    return caught.value.code


GOOD = token()
HEADER, CLAIMS, SIGNATURE = GOOD.split(".")


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.lists(st.text("abc:$#", min_size=1), max_size=3),
    st.binary(max_size=80),
)
def test_what_was_signed_is_read(user: str, channels: list[str], secret: bytes) -> None:
    claims = json.dumps({"sub": user, "channels": channels, "iat": "ignored", "meta": {"a": [1]}}).encode()
    read = verify_connection_token(token(claims=claims, secret=secret), secret, NOW)
    assert read == ConnectionClaims(user, None, b"", tuple(channels))


def test_a_token_without_claims_is_of_the_empty_user_and_never_ends() -> None:
    assert verified(token(claims=b"{}")) == ConnectionClaims("", None, b"", ())


def test_the_header_may_name_a_key_and_the_default_encoding() -> None:
    assert verified(token(b'{"kid":"1","alg":"HS256","b64":true}')).user == "ann"


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
def test_a_connection_ends_with_its_token_unless_expire_at_says_otherwise(
    claims: dict[str, Any], expires_s: float | None
) -> None:
    expected = None if expires_s is None else Instant(round(expires_s * MICROSECONDS))
    assert verified(claiming(**claims)).expires_at == expected


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
        {"nbf": NOW_S + 1, "exp": NOW_S + 2},
    ],
)
def test_a_good_token_at_the_wrong_time_is_expired(claims: dict[str, Any]) -> None:
    assert refusal(claiming(**claims)) is Code.CREDENTIAL_EXPIRED


@pytest.mark.parametrize("claims", [{"expire_at": NOW_S}, {"expire_at": -1, "exp": NOW_S + 60}])
def test_a_connection_that_would_have_ended_already_does_not_begin(claims: dict[str, Any]) -> None:
    assert refusal(claiming(**claims)) is Code.EXPIRED


def test_a_token_ends_at_its_microsecond() -> None:
    text = claiming(exp=NOW_S)
    assert verified(text, Instant(NOW - 1)).user == ""
    assert refusal(text, NOW) is Code.CREDENTIAL_EXPIRED


def test_whether_a_forged_token_is_expired_is_not_told() -> None:
    assert refusal(token(claims=b'{"exp":1}', secret=b"other")) is Code.CREDENTIAL_INVALID


@pytest.mark.parametrize(
    ("claims", "info"),
    [
        (b'{"info":{"b" :1,"a":1.50}}', b'{"b" :1,"a":1.50}'),
        (b'{"info":"\\u00e9"}', b'"\\u00e9"'),
        (b'{"b64info":"%b"}' % b64encode(b'{"n": 1.50}'), b'{"n": 1.50}'),
        (b'{"b64info":"%b"}' % b64encode(b"[" * 400 + b"]" * 400), b"[" * 400 + b"]" * 400),
        (b'{"info":1,"b64info":"%b"}' % b64encode(b"2"), b"2"),
    ],
    ids=["bytes", "escape", "b64info", "nested", "both"],
)
def test_the_info_of_a_client_stays_the_bytes_it_was(claims: bytes, info: bytes) -> None:
    assert verified(token(claims=claims)).info == info


def next_character(text: str) -> str:
    """Return the text with a stray bit in its last character: the same bytes to a lax decoder."""
    return text[:-1] + chr(ord(text[-1]) + 1)


def resigned(header: str, claims: str = CLAIMS) -> str:
    return f"{header}.{claims}.{signature_of(f'{header}.{claims}')}"


UNSIGNED = base64url(b'{"alg":"none"}')
BOB = base64url(b'{"sub":"bob"}')
FORGED = {
    "empty": "",
    "dots": "..",
    "one part": HEADER,
    "two parts": f"{HEADER}.{CLAIMS}",
    "four parts": GOOD + "." + SIGNATURE,
    "five parts": f"{HEADER}.{CLAIMS}.{SIGNATURE}.{CLAIMS}.{SIGNATURE}",
    "empty signature": f"{HEADER}.{CLAIMS}.",
    "empty header": f".{CLAIMS}.{SIGNATURE}",
    "empty claims": f"{HEADER}..{SIGNATURE}",
    "none, signed": token(b'{"alg":"none"}'),
    "None, signed": token(b'{"alg":"None"}'),
    "nOnE, signed": token(b'{"alg":"nOnE"}'),
    "none, unsigned": f"{UNSIGNED}.{CLAIMS}.",
    "none, with another's signature": f"{UNSIGNED}.{CLAIMS}.{SIGNATURE}",
    "RS256 keyed with the secret": token(b'{"alg":"RS256"}'),
    "HS512 as said": token(b'{"alg":"HS512"}', algorithm=sha512),
    "HS512 in disguise": token(algorithm=sha512),
    "HS384": token(b'{"alg":"HS384"}'),
    "lower-case algorithm": token(b'{"alg":"hs256"}'),
    "no algorithm": token(b'{"typ":"JWT"}'),
    "algorithm of no text": token(b'{"alg":1}'),
    "algorithm null": token(b'{"alg":null}'),
    "crit": token(b'{"alg":"HS256","crit":["exp"]}'),
    "crit, empty": token(b'{"alg":"HS256","crit":[]}'),
    "b64 false": token(b'{"alg":"HS256","b64":false}'),
    "b64 of no truth": token(b'{"alg":"HS256","b64":1}'),
    "crit, nested too deep": token(b'{"alg":"HS256","crit":%b}' % DEEP),
    "channel claim": claiming(sub="ann", channel="room:1"),
    "empty channel claim": claiming(sub="ann", channel=""),
    "wrong secret": token(secret=b"Hush"),
    "no secret": token(secret=b""),
    "truncated signature": GOOD[:-4],
    "lengthened signature": GOOD + "AAAA",
    "changed claims": f"{HEADER}.{BOB}.{SIGNATURE}",
    "changed header": f"{base64url(HS256 + b' ')}.{CLAIMS}.{SIGNATURE}",
    "parts swapped": f"{CLAIMS}.{HEADER}.{SIGNATURE}",
    "padded signature": GOOD + "=",
    "padded header": resigned(urlsafe_b64encode(HS256 + b" ").decode()),
    "stray bits in the signature": next_character(GOOD),
    "stray bits in the header": resigned(next_character(base64url(HS256 + b" "))),
    "impossible length": resigned("A"),
    "plain base64": GOOD.replace(SIGNATURE, "+/" + SIGNATURE[2:]),
    "space in front": " " + GOOD,
    "newline behind": GOOD + "\n",
    "newline within": GOOD.replace(".", ".\n", 1),
    "another script's letters": GOOD[:-1] + "\u0410",
    "huge": claiming(sub="a" * TOKEN_BYTES_MAX),
    "header no JSON": token(b"alg=HS256"),
    "header no object": token(b'["HS256"]'),
    "header not UTF-8": token(b'{"alg":"HS256","kid":"\xff"}'),
    "claims no JSON": token(claims=b"sub=ann"),
    "claims no object": token(claims=b'"ann"'),
    "claims cut off": token(claims=b'{"sub":"ann"'),
    "claims twice": token(claims=ANN + ANN),
    "claims not UTF-8": token(claims=b'{"info":"\xff"}'),
    "claims nested too deep": token(claims=b'{"info":%b}' % DEEP),
    "user of no text": claiming(sub=1),
    "exp of no number": claiming(exp="tomorrow"),
    "exp of truth": claiming(exp=True),
    "exp beyond numbers": token(claims=b'{"exp":1e308}'),
    "exp beyond counting": claiming(exp=SECONDS_MAX + 1),
    "expire_at beyond counting": claiming(expire_at=SECONDS_MAX + 1),
    "expire_at a fraction": claiming(expire_at=NOW_S + 0.5),
    "channels of no texts": claiming(channels=[1]),
    "info twice encoded, no base64": claiming(b64info="{}"),
    "info twice encoded, no JSON": claiming(b64info=b64encode(b"ann").decode()),
    "info twice encoded, not UTF-8": claiming(b64info=b64encode(b'"\xff"').decode()),
}


@pytest.mark.parametrize("text", FORGED.values(), ids=FORGED.keys())
def test_a_forged_or_broken_token_is_refused(text: str) -> None:
    assert refusal(text) is Code.CREDENTIAL_INVALID


@given(st.integers(0, len(GOOD) - 1), st.characters(codec="ascii"))
def test_no_character_of_a_token_may_change(place: int, character: str) -> None:
    text = GOOD[:place] + character + GOOD[place + 1 :]
    if text != GOOD:
        assert refusal(text) is Code.CREDENTIAL_INVALID


@given(st.text(max_size=60) | st.lists(st.text("ABab01_-", max_size=9), max_size=5).map(".".join))
def test_no_text_makes_a_token_by_chance_or_does_other_harm(text: str) -> None:
    assert refusal(text) is Code.CREDENTIAL_INVALID


def test_a_token_of_just_the_largest_size_is_read() -> None:
    empty = len(token(claims=b'{"sub":""}'))
    user = "a" * ((TOKEN_BYTES_MAX - empty) * 3 // 4)
    text = claiming(sub=user)
    assert TOKEN_BYTES_MAX - 4 < len(text) <= TOKEN_BYTES_MAX
    assert verified(text).user == user


@given(st.binary(min_size=16, max_size=16))
def test_the_organization_that_a_token_claims_is_seen_before_its_key_is_known(raw: bytes) -> None:
    assert peek_organization(token(claims=b'{"org":"%b"}' % encode("org", raw).encode(), secret=b"?")) == raw


def test_a_token_may_name_no_organization() -> None:
    assert peek_organization(GOOD) is None


@pytest.mark.parametrize("text", [claiming(org="org_1"), claiming(org="key_" + "0" * 26), "", GOOD + "="])
def test_a_token_of_an_impossible_organization_is_refused(text: str) -> None:
    with pytest.raises(TidingsError) as caught:
        peek_organization(text)
    assert caught.value.code is Code.CREDENTIAL_INVALID

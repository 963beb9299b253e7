"""Tokens as text: one spelling each, and nothing else passes for one."""

from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.auth.jwt import TOKEN_BYTES_MAX, Jwt, base64url, read_jwt, write_jwt
from core.auth.signatures import is_sealed_with
from core.errors import Code, TidingsError
from tests.helpers.tokens import base64url as encoded
from tests.helpers.tokens import token

GOOD = token(b'{"sub":"ann"}', b"hush")
HEADER, CLAIMS, SIGNATURE = GOOD.split(".")
DEEP = b"[" * 2_500 + b"]" * 2_500


def refusal(text: str) -> Code:
    with pytest.raises(TidingsError) as caught:
        read_jwt(text)
    return caught.value.code


def with_header(header: bytes) -> str:
    return f"{encoded(header)}.{CLAIMS}.{SIGNATURE}"


def test_a_token_comes_apart_into_what_it_was_made_of() -> None:
    made = read_jwt(token(b'{"sub":"ann"}', b"hush", kid="1", typ="JWT"))
    assert (made.algorithm, made.key_id, made.claims) == ("HS256", "1", b'{"sub":"ann"}')
    assert made.signed.count(b".") == 1
    assert is_sealed_with(made, b"hush")


@pytest.mark.parametrize("kid", [b"", b',"kid":null', b',"kid":""'])
def test_a_token_may_name_no_key(kid: bytes) -> None:
    assert read_jwt(with_header(b'{"alg":"HS256"%b}' % kid)).key_id == ""


def test_the_header_may_say_the_default_encoding() -> None:
    assert read_jwt(with_header(b'{"alg":"HS256","b64":true}')).algorithm == "HS256"


@given(st.binary(max_size=60), st.text(max_size=60))
def test_what_is_written_is_read_and_signed(secret: bytes, text: str) -> None:
    try:
        claims = text.encode()
    except UnicodeEncodeError:
        return
    if claims:
        read = read_jwt(write_jwt(claims, secret or b"x"))
        assert (read.algorithm, read.claims) == ("HS256", claims)
        assert is_sealed_with(read, secret or b"x")


def next_character(text: str) -> str:
    """Return the text with a stray bit in its last character: the same bytes to a lax decoder."""
    return text[:-1] + chr(ord(text[-1]) + 1)


PADDED = urlsafe_b64encode(b'{"alg":"HS256" }').decode()
STRAY = encoded(b'{"alg":"HS256" }')
BROKEN = {
    "empty": "",
    "dots": "..",
    "one part": HEADER,
    "two parts": f"{HEADER}.{CLAIMS}",
    "four parts": GOOD + "." + SIGNATURE,
    "five parts": f"{HEADER}.{CLAIMS}.{SIGNATURE}.{CLAIMS}.{SIGNATURE}",
    "empty signature": f"{HEADER}.{CLAIMS}.",
    "empty header": f".{CLAIMS}.{SIGNATURE}",
    "empty claims": f"{HEADER}..{SIGNATURE}",
    "no algorithm": with_header(b'{"typ":"JWT"}'),
    "algorithm of no text": with_header(b'{"alg":1}'),
    "algorithm null": with_header(b'{"alg":null}'),
    "key id of no text": with_header(b'{"alg":"HS256","kid":1}'),
    "crit": with_header(b'{"alg":"HS256","crit":["exp"]}'),
    "crit, empty": with_header(b'{"alg":"HS256","crit":[]}'),
    "crit, nested too deep": with_header(b'{"alg":"HS256","crit":%b}' % DEEP),
    "b64 false": with_header(b'{"alg":"HS256","b64":false}'),
    "b64 of no truth": with_header(b'{"alg":"HS256","b64":1}'),
    "padded signature": GOOD + "=",
    "padded header": f"{PADDED}.{CLAIMS}.{SIGNATURE}",
    "stray bits in the signature": next_character(GOOD),
    "stray bits in the header": f"{next_character(STRAY)}.{CLAIMS}.{SIGNATURE}",
    "impossible length": f"A.{CLAIMS}.{SIGNATURE}",
    "plain base64": GOOD.replace(SIGNATURE, "+/" + SIGNATURE[2:]),
    "space in front": " " + GOOD,
    "newline behind": GOOD + "\n",
    "newline within": GOOD.replace(".", ".\n", 1),
    "another script's letters": GOOD[:-1] + "\u0410",
    "huge": token({"sub": "a" * TOKEN_BYTES_MAX}, b"hush"),
    "header no JSON": with_header(b"alg=HS256"),
    "header no object": with_header(b'["HS256"]'),
    "header not UTF-8": with_header(b'{"alg":"HS256","kid":"\xff"}'),
    "claims not UTF-8": token(b'{"info":"\xff"}', b"hush"),
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_token_is_refused(text: str) -> None:
    assert refusal(text) is Code.CREDENTIAL_INVALID


@given(st.text(max_size=60) | st.lists(st.text("ABab01_-", max_size=9), max_size=5).map(".".join))
def test_no_text_makes_a_token_by_chance_or_does_other_harm(text: str) -> None:
    assert refusal(text) is Code.CREDENTIAL_INVALID


def test_a_token_of_just_the_largest_size_is_read() -> None:
    room = TOKEN_BYTES_MAX - len(token(b'""', b"hush"))
    text = token(b'"%b"' % (b"a" * (room * 3 // 4)), b"hush")
    assert TOKEN_BYTES_MAX - 4 < len(text) <= TOKEN_BYTES_MAX
    assert isinstance(read_jwt(text), Jwt)


@given(st.binary(max_size=40))
def test_bytes_have_one_spelling(raw: bytes) -> None:
    assert base64url(encoded(raw)) == raw

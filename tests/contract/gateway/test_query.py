"""Query strings: what they may hold, and that a credential is seen however it is written."""

import pytest

from core.errors import Code, TidingsError
from gateway.query import PARAMETERS_MAX, read_query, refuse_credentials

KEY = b"tdg_live_frltGemFCz2wyaPn8EXmNdxHNVLMlv3tiuti"


def refusal(raw: bytes, known: frozenset[str] | None = None) -> Code:
    with pytest.raises(TidingsError) as caught:
        read_query(raw, known)
    return caught.value.code


def test_parameters_are_decoded_and_may_be_empty() -> None:
    assert read_query(b"", None) == {}
    assert read_query(b"&a=b+c%20d&&e=&f&g=h=i%26", None) == {"a": "b c d", "e": "", "f": "", "g": "h=i&"}


@pytest.mark.parametrize("raw", [b"a=%", b"a=%z1", b"a=%ff", b"\xff=1", b"a=%00", b"%00"])
def test_what_is_no_text_is_refused(raw: bytes) -> None:
    assert refusal(raw) is Code.MALFORMED_REQUEST


@pytest.mark.parametrize("raw", [b"a=1&a=1", b"a=1&%61=2", b"b=1"])
def test_unknown_and_repeated_parameters_are_refused(raw: bytes) -> None:
    assert refusal(raw, frozenset({"a"})) is Code.UNKNOWN_PARAMETER


@pytest.mark.parametrize(
    ("known", "said"), [({"limit", "after"}, "here are after, limit."), (set(), "no other here.")]
)
def test_in_place_of_an_unknown_parameter_those_that_exist_are_named(known: set[str], said: str) -> None:
    with pytest.raises(TidingsError, match=said):
        read_query(b"b=1", frozenset(known))


def test_parameters_end_at_their_limit() -> None:
    names = [b"a%d" % number for number in range(PARAMETERS_MAX + 1)]
    assert len(read_query(b"&".join(names[:-1]), None)) == PARAMETERS_MAX
    assert refusal(b"&".join(names)) is Code.UNKNOWN_PARAMETER


@pytest.mark.parametrize(
    "raw",
    [
        b"x=" + KEY, KEY, KEY + b"=", b"x=" + KEY.replace(b"_", b"%5F"),
        b"x=" + KEY.replace(b"live", b"liv%65"),
        b"access_token=x", b"a=1&ACCESS_TOKEN=", b"access%5Ftoken=x", b"api_key", b"apikey=1",
        b"authorization=1", b"Token=1",
    ],
)  # fmt: skip
def test_a_credential_is_seen_however_it_is_written(raw: bytes) -> None:
    with pytest.raises(TidingsError) as caught:
        refuse_credentials(raw)
    assert caught.value.code is Code.CREDENTIAL_IN_URL


@pytest.mark.parametrize("raw", [b"", b"tokens=1", b"x=token", b"x=tdg_live_short", b"name=%zz", b"&&=1"])
def test_other_queries_are_no_credentials(raw: bytes) -> None:
    refuse_credentials(raw)

"""Ids: sixteen bytes inside, a prefix and 26 characters outside."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Code, TidingsError
from core.ids import decode, encode

RAW = st.binary(min_size=16, max_size=16)


@given(RAW)
def test_what_was_encoded_is_decoded(raw: bytes) -> None:
    assert decode("msg", encode("msg", raw)) == raw


@given(RAW, RAW)
def test_public_ids_sort_like_their_bytes(a: bytes, b: bytes) -> None:
    assert (encode("msg", a) < encode("msg", b)) == (a < b)


def test_the_form_is_a_prefix_and_26_lower_case_characters() -> None:
    assert encode("evt", bytes(range(16))) == "evt_00041061050r3gg28a1c60t3gf"


@given(RAW)
def test_upper_case_is_accepted_on_input(raw: bytes) -> None:
    assert decode("msg", encode("msg", raw).upper()) == raw


def test_letters_that_look_like_digits_read_as_those() -> None:
    assert decode("msg", "msg_" + "O" * 25 + "I") == decode("msg", "msg_" + "0" * 25 + "1")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "msg",
        "msg_",
        "room_00041061050r3gg28a1c60t3gf",
        "msg_00041061050r3gg28a1c60t3g",
        "msg_" + "u" * 26,
        "msg_" + "z" * 26,
    ],
)
def test_what_cannot_be_an_id_is_not_found(text: str) -> None:
    with pytest.raises(TidingsError) as caught:
        decode("msg", text)
    assert caught.value.code is Code.NOT_FOUND

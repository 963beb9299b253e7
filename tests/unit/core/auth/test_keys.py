"""API keys: a typing error is seen without a look-up, and only a hash is stored."""

import re
import zlib
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.auth.keys import DIGITS, RANDOM_BYTES, digest, generate, is_well_formed

KEY = "tdg_test_frltGemFCz2wyaPn8EXmNdxHNVLMlv3tiuti"
BODY, CHECKSUM = KEY[:-6], KEY[-6:]

ENTROPY = st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES)
ENVIRONMENTS = st.sampled_from(["live", "test"])


def test_the_published_example_is_well_formed() -> None:
    assert is_well_formed(KEY)


def test_the_checksum_is_the_crc_of_all_before_in_six_base62_digits() -> None:
    values = [DIGITS.index(digit) for digit in CHECKSUM]
    assert sum(value * 62**place for place, value in enumerate(reversed(values))) == zlib.crc32(BODY.encode())


@given(ENTROPY, ENVIRONMENTS)
def test_a_generated_key_is_well_formed_and_names_its_environment(entropy: bytes, environment: str) -> None:
    key = generate(entropy, environment)
    assert is_well_formed(key)
    assert re.fullmatch(f"tdg_{environment}_[0-9A-Za-z]{{36}}", key)


@given(ENTROPY, ENTROPY)
def test_keys_differ_when_the_entropy_that_fits_them_does(a: bytes, b: bytes) -> None:
    same = (int.from_bytes(a, "big") - int.from_bytes(b, "big")) % 62**30 == 0
    assert (generate(a, "live") == generate(b, "live")) == same


@given(ENTROPY, st.integers(9, 44), st.sampled_from(DIGITS))
def test_a_key_with_one_wrong_character_is_refused(entropy: bytes, place: int, digit: str) -> None:
    key = generate(entropy, "live")
    assert is_well_formed(key[:place] + digit + key[place + 1 :]) == (key[place] == digit)


@given(ENTROPY, st.integers(9, 43))
def test_two_swapped_characters_are_seen(entropy: bytes, place: int) -> None:
    key = generate(entropy, "test")
    swapped = key[:place] + key[place + 1] + key[place] + key[place + 2 :]
    assert is_well_formed(swapped) == (swapped == key)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tdg_test_",
        BODY,
        BODY + "000000",
        KEY[:-1],
        KEY + "0",
        KEY + "\n",
        " " + KEY,
        KEY.upper(),
        KEY.replace("test", "live"),
        KEY.replace("test", "prod"),
        KEY.replace("tdg_", "tdg-"),
        "tdg_test_" + "_" * 36,
        "tdg_test_" + "\u0661" * 36,
    ],
)
def test_what_cannot_be_a_key_is_refused(text: str) -> None:
    assert not is_well_formed(text)


def test_what_is_stored_is_the_sha_256_of_the_whole_key() -> None:
    assert digest(KEY) == sha256(KEY.encode()).digest()
    assert digest(KEY) != digest(KEY[:-1])

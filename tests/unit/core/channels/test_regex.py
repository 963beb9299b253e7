"""Expressions of organizations, and how much of a process they take."""

import pytest

from core.channels.regex import (
    CHARACTERS_MAX,
    HEAVY_MAX,
    HEAVY_OF_ORGANIZATION_MAX,
    LIGHT_MAX,
    is_heavy,
    is_regex,
    kept,
    occurs,
)

LIGHT = "^[-a-z0-9_.]{1,64}%d$"
HEAVY = r"^\p{L}{1,20}x%d$"


@pytest.mark.parametrize("regex", ["(", "(?=a)b", r"(a)\1", "a{1000}{1000}", "[" * CHARACTERS_MAX])
def test_what_is_no_expression_or_a_costly_one_can_not_be_had(regex: str) -> None:
    assert not is_regex(regex)


def test_what_one_organization_may_have_of_the_heavy_leaves_room_for_others() -> None:
    assert (is_heavy(LIGHT % 7), is_heavy(HEAVY % 7)) == (False, True)
    assert HEAVY_OF_ORGANIZATION_MAX * 8 <= HEAVY_MAX


@pytest.mark.parametrize("regex", [LIGHT, HEAVY])
def test_an_expression_fits_what_it_says(regex: str) -> None:
    assert is_regex(regex % 7)
    assert occurs(regex % 7, "abx7")
    assert not occurs(regex % 7, "abx8")
    assert occurs("b", "abc")


def test_however_many_there_are_a_process_keeps_so_many_and_of_the_heavy_few() -> None:
    for number in range(HEAVY_MAX + 9):
        assert occurs(HEAVY % number, f"abx{number}")
    for number in range(LIGHT_MAX + 9):
        assert occurs(LIGHT % number, f"a{number}")
    assert kept() == (LIGHT_MAX, HEAVY_MAX)
    assert occurs(HEAVY % 0, "abx0")


def test_no_text_takes_long() -> None:
    assert not occurs("^(a+)+$", "a" * 254 + "!")
    assert not occurs("^(a|a)*$", "a" * 254 + "!")

"""Patterns of channel names."""

import pytest

from core.channels.pattern import PATTERN_CHARACTERS_MAX, beginning, matcher


@pytest.mark.parametrize(
    ("pattern", "fitting", "others"),
    [
        ("", ["news", "room:1", "*"], []),
        ("*", ["news", "room:1"], []),
        ("news", ["news"], ["new", "newsy", "News"]),
        ("room:*", ["room:", "room:1", "room:1:x"], ["rooms", "xroom:1"]),
        ("room:?", ["room:1"], ["room:", "room:12"]),
        ("[rn]*", ["room", "news"], ["xnews"]),
        ("[!rn]*", ["xnews"], ["room", "news"]),
        ("*#42", ["user#42", "a:b#42"], ["user#421"]),
        ("a.b", ["a.b"], ["axb"]),
    ],
)
def test_a_pattern_fits_whole_names(pattern: str, fitting: list[str], others: list[str]) -> None:
    fits = matcher(pattern)
    assert all(map(fits, fitting))
    assert not any(map(fits, others))


@pytest.mark.parametrize(
    ("pattern", "begins"),
    [("", ""), ("*", ""), ("room:*", "room:"), ("a?b*", "a"), ("x[ab]", "x"), ("y", "y")],
)
def test_names_that_fit_begin_with_what_stands_before_the_first_special_character(
    pattern: str, begins: str
) -> None:
    assert beginning(pattern) == begins


def test_no_pattern_takes_long() -> None:
    worst = matcher("*a" * (PATTERN_CHARACTERS_MAX // 2))
    assert not worst("a" * 100 + "b" * 155)

"""Names of channels: printable ASCII, and a namespace before the first colon."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.channels.name import (
    NAME_CHARACTERS_MAX,
    is_listed,
    is_system,
    is_text,
    is_valid,
    namespace_of,
    rest_of,
    validate,
)
from core.errors import Code, TidingsError

PRINTABLE = st.characters(min_codepoint=0x20, max_codepoint=0x7E)


@given(st.text(PRINTABLE, min_size=1, max_size=NAME_CHARACTERS_MAX))
def test_printable_ascii_is_a_name_as_it_stands(channel: str) -> None:
    assert is_valid(channel)
    assert validate(channel) == channel


@given(
    st.text(PRINTABLE, max_size=9), st.characters(exclude_categories=["Cs"]), st.text(PRINTABLE, max_size=9)
)
def test_one_character_outside_of_it_spoils_a_name(head: str, character: str, tail: str) -> None:
    assert is_valid(head + character + tail) == (" " <= character <= "~")


@pytest.mark.parametrize(
    "channel", ["", "a" * (NAME_CHARACTERS_MAX + 1), "room\n", "\x1f", "\x7f", "r\u00f6m", "\u0661", "\ud800"]
)
def test_what_cannot_be_a_name_is_refused(channel: str) -> None:
    assert not is_valid(channel)
    with pytest.raises(TidingsError) as caught:
        validate(channel)
    assert caught.value.code is Code.VALIDATION_FAILED


@pytest.mark.parametrize(
    ("channel", "namespace"),
    [
        ("room:1", "room"),
        ("room:1:2", "room"),
        ("$room:1", "room"),
        ("$$room:1", "$room"),
        ("room:#ann", "room"),
        ("room#1:2", "room#1"),
        ("room", ""),
        ("$room", ""),
        (":1", ""),
        ("$:1", ""),
        ("", ""),
    ],
)
def test_the_namespace_stands_before_the_first_colon_without_a_leading_dollar(
    channel: str, namespace: str
) -> None:
    assert namespace_of(channel) == namespace


@pytest.mark.parametrize(
    ("channel", "rest"),
    [("room:1", "1"), ("$room:1:2", "1:2"), (":1", "1"), ("room:", ""), ("$room", "$room")],
)
def test_the_rest_stands_behind_the_first_colon(channel: str, rest: str) -> None:
    assert rest_of(channel) == rest


@pytest.mark.parametrize("channel", ["room:1", "r\u00f6m", "\U0001f600", "a" * NAME_CHARACTERS_MAX])
def test_text_may_leave_ascii(channel: str) -> None:
    assert is_text(channel)


@pytest.mark.parametrize("channel", ["", "a\n", "\x00", "\x7f", "\x85", "\ud800", "a" * 256])
def test_control_characters_and_halves_of_characters_are_no_text(channel: str) -> None:
    assert not is_text(channel)


@pytest.mark.parametrize(
    ("channel", "user", "expected"),
    [
        ("room#ann", "ann", True),
        ("room:1#bob,ann", "ann", True),
        ("#ann", "ann", True),
        ("room#bob#ann", "ann", True),
        ("room#ann#bob", "ann", False),
        ("room#anna", "ann", False),
        ("room#Ann", "ann", False),
        ("ann", "ann", False),
        ("room#", "", False),
        ("room#ann,", "", False),
    ],
)
def test_a_name_lists_users_behind_its_last_boundary(channel: str, user: str, *, expected: bool) -> None:
    assert is_listed(channel, user) is expected


def test_the_systems_channels_are_those_of_its_namespace() -> None:
    assert is_system("tidings:occupancy")
    assert is_system("$tidings:x")
    assert is_system("tidings:")
    assert not any(map(is_system, ("tidings", "tidings.x:1", "Tidings:1", "room:tidings:1", "$$tidings:1")))

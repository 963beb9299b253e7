"""ETags and the conditions that name them."""

import pytest

from core.errors import TidingsError
from core.streams.command import Condition
from gateway.api.conditions import ANY, check_condition, etag, is_known, match_condition, write_condition


@pytest.mark.parametrize(
    ("headers", "condition"),
    [
        ({}, Condition(0, must_not_exist=False)),
        ({b"if-match": b'"r42"'}, Condition(42, must_not_exist=False)),
        ({b"if-match": b' W/"r42" '}, Condition(42, must_not_exist=False)),
        ({b"if-match": b"*"}, Condition(ANY, must_not_exist=False)),
        ({b"if-none-match": b"*"}, Condition(0, must_not_exist=True)),
    ],
)  # fmt: skip
def test_a_write_may_name_the_version_that_it_is_about(
    headers: dict[bytes, bytes], condition: Condition
) -> None:
    assert write_condition(headers) == condition


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({b"if-match": b'"abc"'}, "precondition_failed"),
        ({b"if-match": b'"r0"'}, "precondition_failed"),
        ({b"if-match": b'"r99999999999999999"'}, "precondition_failed"),
        ({b"if-match": b"r42"}, "header_invalid"),
        ({b"if-match": b'"r1", "r2"'}, "header_invalid"),
        ({b"if-match": b""}, "header_invalid"),
        ({b"if-none-match": b'"r1"'}, "header_invalid"),
    ],
)
def test_a_condition_that_cannot_hold_is_refused(headers: dict[bytes, bytes], code: str) -> None:
    with pytest.raises(TidingsError) as refused:
        write_condition(headers)
    assert refused.value.code.value == code


@pytest.mark.parametrize(
    ("if_none_match", "known"),
    [
        (b'"r7"', True), (b'W/"r7"', True), (b'"r6", "r7"', True), (b"*", True),
        (b'"r8"', False), (b'"r77"', False), (b"r7", False), (b"", False),
    ],
)  # fmt: skip
def test_a_reader_says_which_versions_he_has(if_none_match: bytes, known: bool) -> None:  # noqa: FBT001 (pytest's)
    assert is_known({b"if-none-match": if_none_match}, 7) is known


def test_a_reader_who_says_nothing_has_nothing() -> None:
    assert not is_known({}, 7)


def test_an_etag_is_a_condition_on_its_own_version() -> None:
    assert write_condition({b"if-match": etag(7)}) == Condition(7, must_not_exist=False)
    assert is_known({b"if-none-match": etag(7)}, 7)


@pytest.mark.parametrize(
    ("condition", "versions"),
    [
        (Condition(), {0, 1, 2}),
        (Condition(ANY), {1, 2}),
        (Condition(2), {2}),
        (Condition(must_not_exist=True), {0}),
        (Condition(ANY, must_not_exist=True), set()),
    ],
)
def test_a_write_finds_the_version_that_it_is_about_or_none(condition: Condition, versions: set[int]) -> None:
    for version in versions:
        check_condition(condition, version)
    for version in {0, 1, 2} - versions:
        with pytest.raises(TidingsError, match="precondition_failed"):
            check_condition(condition, version)


def test_only_what_makes_something_new_may_ask_that_there_be_nothing() -> None:
    assert match_condition({b"if-match": b'"r2"'}) == Condition(2)
    with pytest.raises(TidingsError) as caught:
        match_condition({b"if-none-match": b"*"})
    assert caught.value.code.value == "header_invalid"

"""Scopes: write includes read, an area its narrower parts, and nothing else anything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.auth.scopes import ALL, AREAS, allows, parse
from core.errors import Code, TidingsError

VERBS = ("read", "write")
BROAD = [f"{area}:{verb}" for area in sorted(AREAS) for verb in VERBS]
NARROW = [f"resources.{name}:{verb}" for name in ("message", "room_2") for verb in VERBS]
SCOPES = st.sampled_from(BROAD + NARROW)


@pytest.mark.parametrize("text", BROAD + NARROW)
def test_a_scope_is_stored_as_it_was_written(text: str) -> None:
    assert parse(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "", ":", "resources", "resources:", ":read", "resources:delete", "resources:READ", "Resources:read",
        "resources.:read", ".message:read", "nothing:read", "events.message:read", "resources:read:write",
        "resources:read ", "*", "*:write",
    ],
)  # fmt: skip
def test_what_names_no_area_or_verb_is_refused(text: str) -> None:
    with pytest.raises(TidingsError) as caught:
        parse(text)
    assert caught.value.code is Code.VALIDATION_FAILED
    assert text in caught.value.detail
    assert "channels, events, " in caught.value.detail, "it names those that there are"


@pytest.mark.parametrize(
    ("granted", "wanted", "expected"),
    [
        ("channels:write", "channels:write", True),
        ("channels:write", "channels:read", True),
        ("channels:read", "channels:read", True),
        ("channels:read", "channels:write", False),
        ("resources:write", "resources.room:write", True),
        ("resources:write", "resources.room:read", True),
        ("resources:read", "resources.room:read", True),
        ("resources:read", "resources.room:write", False),
        ("resources.room:write", "resources.room:read", True),
        ("resources.room:write", "resources.message:read", False),
        ("resources.room:write", "resources:write", False),
        ("resources.room:write", "resources:read", False),
        ("events:write", "channels:read", False),
    ],
)
def test_a_scope_includes_what_it_says_and_no_more(granted: str, wanted: str, *, expected: bool) -> None:
    assert allows(frozenset({granted}), wanted) is expected


@given(SCOPES)
def test_all_scopes_include_each_and_none_includes_any(wanted: str) -> None:
    assert allows(ALL, wanted)
    assert not allows(frozenset(), wanted)


@given(st.frozensets(SCOPES), st.frozensets(SCOPES), SCOPES)
def test_granting_more_never_takes_away(some: frozenset[str], more: frozenset[str], wanted: str) -> None:
    assert allows(some | more, wanted) == (allows(some, wanted) or allows(more, wanted))


@given(st.frozensets(SCOPES), SCOPES)
def test_whoever_may_write_may_read(granted: frozenset[str], wanted: str) -> None:
    subject = wanted.partition(":")[0]
    assert allows(granted, f"{subject}:read") or not allows(granted, f"{subject}:write")

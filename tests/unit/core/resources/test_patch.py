"""Merge patches follow RFC 7396, and what they changed can be undone."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.resources.patch import is_same, merge, previous_attributes

NAMES = st.text("abc", min_size=1, max_size=2)
LEAVES = st.booleans() | st.integers(-1, 2) | st.sampled_from([0.0, 1.0, "", "a"])
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3)
)
DOCUMENTS = st.dictionaries(NAMES, VALUES, max_size=4)
PATCHES = st.dictionaries(
    NAMES,
    st.recursive(LEAVES | st.none(), lambda inner: st.dictionaries(NAMES, inner, max_size=3)),
    max_size=4,
)


def as_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ('{"a":"b"}', '{"a":"c"}', '{"a":"c"}'),
        ('{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'),
        ('{"a":"b"}', '{"a":null}', "{}"),
        ('{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'),
        ('{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'),
        ('{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'),
        ('{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'),
        ('{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'),
        ('["a","b"]', '["c","d"]', '["c","d"]'),
        ('{"a":"b"}', '["c"]', '["c"]'),
        ('{"a":"foo"}', '"bar"', '"bar"'),
        ('{"e":null}', '{"a":1}', '{"e":null,"a":1}'),
        ("[1,2]", '{"a":"b","c":null}', '{"a":"b"}'),
        ("{}", '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'),
    ],
)
def test_the_examples_of_the_rfc_hold_as_a_member_and_objects_by_themselves(
    target: str, patch: str, result: str
) -> None:
    before, change, after = json.loads(target), json.loads(patch), json.loads(result)
    assert merge({"kept": 1, "m": before}, {"m": change}) == {"kept": 1, "m": after}
    if isinstance(before, dict) and isinstance(change, dict):
        assert merge(before, change) == after


def test_metadata_without_a_key_are_none() -> None:
    """A patch with none made a version and an event of a resource that had none."""
    assert merge({"a": 1}, {"metadata": {}}) == {"a": 1}
    assert merge({"metadata": {"k": "v"}}, {"metadata": {"k": None}}) == {}
    assert merge({"metadata": {"k": "v"}}, {"metadata": {}}) == {"metadata": {"k": "v"}}
    assert merge({"o": {"metadata": {}}}, {}) == {"o": {"metadata": {}}}


def test_a_null_member_that_is_not_there_removes_nothing() -> None:
    assert merge({"a": "foo"}, {"b": None}) == {"a": "foo"}
    assert merge({"a": "foo"}, {"a": None}) == {}


@given(DOCUMENTS, PATCHES)
def test_what_goes_in_is_left_as_it_was(document: dict[str, Any], patch: dict[str, Any]) -> None:
    before = copy.deepcopy((document, patch))
    merge(document, patch)
    assert (document, patch) == before


@given(DOCUMENTS, PATCHES)
def test_a_patch_applied_twice_changes_nothing_more(document: dict[str, Any], patch: dict[str, Any]) -> None:
    once = merge(document, patch)
    assert as_json(merge(once, patch)) == as_json(once)
    assert previous_attributes(once, merge(once, patch)) == {}


@given(DOCUMENTS, DOCUMENTS)
def test_previous_attributes_undo_a_change(before: dict[str, Any], after: dict[str, Any]) -> None:
    previous = previous_attributes(before, after)
    undone = {name: value for name, value in {**after, **previous}.items() if value is not None}
    assert as_json(undone) == as_json(before)


@given(DOCUMENTS, DOCUMENTS)
def test_previous_attributes_name_what_changed_alone(before: dict[str, Any], after: dict[str, Any]) -> None:
    changed = {
        name
        for name in before.keys() | after.keys()
        if as_json(before.get(name)) != as_json(after.get(name)) or (name in before) != (name in after)
    }
    assert previous_attributes(before, after).keys() == changed


def test_a_member_that_was_absent_was_null() -> None:
    assert previous_attributes({"a": 1}, {"a": 1, "b": 2}) == {"b": None}
    assert previous_attributes({"a": 1}, {}) == {"a": 1}


@pytest.mark.parametrize(
    ("a", "b"), [(1, True), (0, False), (1, 1.0), ([1], [True]), ({"n": 0}, {"n": False})]
)
def test_what_python_takes_for_equal_and_json_does_not_is_a_change(a: Any, b: Any) -> None:
    assert not is_same(a, b)
    assert as_json(previous_attributes({"a": a}, {"a": b})) == as_json({"a": a})


@given(DOCUMENTS)
def test_the_order_of_members_is_no_change(document: dict[str, Any]) -> None:
    turned = dict(reversed(document.items()))
    assert is_same(document, turned)
    assert previous_attributes({"a": document}, {"a": turned}) == {}

"""Documents: each limit holds at the limit and refuses one above, and each fault is told with its place."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Code, TidingsError
from core.resources.document import (
    DEPTH_MAX,
    ERRORS_MAX,
    EXTERNAL_ID,
    INTEGER_MAX,
    MEMBERS_MAX,
    METADATA_KEY_CHARACTERS_MAX,
    METADATA_KEYS_MAX,
    METADATA_VALUE_CHARACTERS_MAX,
    as_stored,
    faults_of,
    pointer_to,
    read_document,
    read_json,
    read_object,
    validate,
    without_nulls,
)
from core.resources.schema import ResourceType, parse_type

WHOLE = st.integers(-INTEGER_MAX, INTEGER_MAX)
LEAVES = st.none() | st.booleans() | WHOLE | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(LEAVES, lambda of: st.lists(of) | st.dictionaries(st.text(), of), max_leaves=8)


def type_of(properties: dict[str, Any], **rest: Any) -> ResourceType:
    schema = {"title": "thing", "type": "object", "properties": properties, **rest}
    options = {"collection": "things", "id_prefix": "thg"}
    return parse_type("thing.json", json.dumps({**schema, "x-tidings": options}).encode())


THING = type_of({"name": {"type": "string"}, "other": {}}, required=["name"])


def refusal(body: bytes) -> str:
    with pytest.raises(TidingsError) as caught:
        read_json(body)
    assert caught.value.code is Code.MALFORMED_REQUEST
    return caught.value.detail


def told(type_: ResourceType, document: dict[str, Any]) -> list[tuple[str, str]]:
    return [(pointer, code) for pointer, code, _ in faults_of(type_, document)]


@given(st.dictionaries(st.text(), VALUES))
def test_a_document_within_the_limits_is_read_as_it_was_written(document: dict[str, Any]) -> None:
    assert read_object(json.dumps(document).encode()) == document


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"1", b"true", b"null"])
def test_a_document_is_an_object(body: bytes) -> None:
    assert read_json(body) == json.loads(body)
    with pytest.raises(TidingsError) as caught:
        read_object(body)
    assert caught.value.code is Code.MALFORMED_REQUEST


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"{'a':1}", b'{"a":1,}', b'{"a":1}{}', b"nul", b"01", b"NaN", b"Infinity", b"1e400",
        b'"\xff"', b'{"\xed\xa0\x80":1}', b'"\\ud800"', b'"\t"', b"\xef\xbb\xbf{}",
    ],
)  # fmt: skip
def test_what_is_no_json_is_refused(body: bytes) -> None:
    assert "no JSON" in refusal(body)


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}"), (b'[{"]}\\"":', b"}]")])
def test_nesting_ends_at_its_limit(opening: bytes, closing: bytes) -> None:
    levels = 2 if opening.startswith(b"[{") else 1
    most = DEPTH_MAX // levels
    read_json(opening * most + b"1" + closing * most)
    for far in (most + 1, 50_000):
        assert "deeper" in refusal(opening * far + b"1" + closing * far)


def test_brackets_side_by_side_or_in_text_are_no_nesting() -> None:
    read_json(b"[" + b",".join([b"[{}]"] * 100) + b"]")
    read_json(json.dumps(["[" * 100, '"' + "{" * 100, "\\", "[" * 100]).encode())


@pytest.mark.parametrize("unending", [b'\\"', b'"a\\', b"\\"], ids=["quotes", "texts", "escapes"])
def test_a_text_without_end_costs_no_more_than_another(unending: bytes) -> None:
    """Each quote within it began the search for the end anew: hours for one body of a megabyte."""
    assert "no JSON" in refusal(b"[" * DEPTH_MAX + b']{"' + unending * 200_000)


@pytest.mark.parametrize("sign", [1, -1])
def test_integers_end_where_json_can_count(sign: int) -> None:
    assert read_json(b'{"a":[%d]}' % (sign * INTEGER_MAX)) == {"a": [sign * INTEGER_MAX]}
    for above in (INTEGER_MAX + 1, 2**63, 2**64, 10**30):
        assert "integer" in refusal(b'{"a":[%d]}' % (sign * above))
    assert read_json(b"%de15" % (sign * 90)) == sign * 9e16


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.0", 1), ("-0.0", 0), ("0e5", 0), ("1e3", 1000), ("1.5", 1.5), ("-2.5e-3", -0.0025),
        ("1e-40", 1e-40), ("9007199254740991.0", INTEGER_MAX),
        ("-9007199254740991e0", -INTEGER_MAX), ("1e-400", 0),
    ],
)  # fmt: skip
def test_a_whole_number_is_an_integer_however_it_was_written(text: str, value: float) -> None:
    document = read_document(b'{"a":{"b":[%b]},"c":%b}' % (text.encode(), text.encode()))
    for read in (document["a"]["b"][0], document["c"]):
        assert (read, type(read), str(read)) == (value, type(value), str(value))


@pytest.mark.parametrize("text", ["9007199254740992.0", "1e16", "-1e16", "1e308", "9e-41", "-1e-300"])
def test_a_number_that_would_be_given_back_as_another_is_refused(text: str) -> None:
    """1e16 was given back as an integer that JSON can't count to, 1e308 with 309 digits."""
    with pytest.raises(TidingsError) as caught:
        read_document(b'{"a":[{"b":%b}]}' % text.encode())
    assert caught.value.code is Code.MALFORMED_REQUEST
    assert "as a string" in caught.value.detail


@pytest.mark.parametrize(
    "text", [r'{"a":"b\u0000"}', r'{"a":[["\u0000"]]}', r'{"a":{"\u0000b":1}}', r'{"\u0000":1}']
)
def test_a_text_with_a_nul_is_refused(text: str) -> None:
    """The database holds none, and refused it together with what others wrote in the same batch."""
    with pytest.raises(TidingsError) as caught:
        read_document(text.encode())
    assert (caught.value.code, "U+0000" in caught.value.detail) == (Code.MALFORMED_REQUEST, True)


@given(st.dictionaries(st.text(), VALUES))
def test_what_is_stored_is_stored_again_unchanged(document: dict[str, Any]) -> None:
    try:
        stored = as_stored(document)
    except TidingsError:
        return
    assert json.dumps(as_stored(json.loads(json.dumps(stored)))) == json.dumps(stored)


def test_members_of_one_object_end_at_their_limit() -> None:
    most = {f"m{number}": number for number in range(MEMBERS_MAX)}
    assert read_json(json.dumps([most, most]).encode()) == [most, most]
    assert "members" in refusal(json.dumps({"a": [most | {"n": 1}]}).encode())


def test_null_and_absent_mean_the_same_at_the_top() -> None:
    document = {"a": None, "b": 0, "c": "", "d": {"e": None}}
    assert without_nulls(document) == {"b": 0, "c": "", "d": {"e": None}}


def test_metadata_without_a_key_are_none() -> None:
    for metadata in ({}, None):
        assert without_nulls({"a": 1, "metadata": metadata}) == {"a": 1}
    for kept in ({"k": "v"}, [], "", 0):
        assert without_nulls({"metadata": kept}) == {"metadata": kept}
    assert without_nulls({"other": {}}) == {"other": {}}


def test_an_object_that_patches_have_filled_is_refused_past_its_limit() -> None:
    type_ = type_of({"o": {}})
    most = {f"m{number}": 1 for number in range(MEMBERS_MAX)}
    for whole in (most, [most, {"x": most}]):
        validate(type_, {"o": whole})
    for whole in (most | {"n": 1}, [{"x": most | {"n": 1}}]):
        with pytest.raises(TidingsError) as caught:
            validate(type_, {"o": whole})
        (fault,) = caught.value.members["errors"]
        assert (fault["pointer"], fault["code"]) == ("#/o", "too_long")


def test_a_pointer_escapes_its_names_and_shows_a_long_one_by_its_beginning() -> None:
    assert pointer_to() == "#"
    assert pointer_to("a/b", 0, "c~d") == "#/a~1b/0/c~0d"
    assert pointer_to("x" * 1_000) == "#/" + "x" * 100


FIELDS: dict[str, tuple[dict[str, Any], Any, str]] = {
    "type": ({"type": "string"}, 1, "wrong_type"),
    "minLength": ({"minLength": 2}, "a", "too_short"),
    "maxLength": ({"maxLength": 2}, "aaa", "too_long"),
    "minItems": ({"minItems": 1}, [], "too_short"),
    "maxItems": ({"maxItems": 1}, [1, 2], "too_long"),
    "minimum": ({"minimum": 1}, 0, "too_small"),
    "exclusiveMinimum": ({"exclusiveMinimum": 0}, 0, "too_small"),
    "maximum": ({"maximum": 1}, 2, "too_large"),
    "exclusiveMaximum": ({"exclusiveMaximum": 2}, 2, "too_large"),
    "pattern": ({"pattern": "^a"}, "b", "pattern"),
    "format": ({"format": "date-time"}, "yesterday", "format"),
    "enum": ({"enum": ["a"]}, "b", "not_allowed"),
    "const": ({"const": "a"}, "b", "not_allowed"),
    "uniqueItems": ({"uniqueItems": True}, [1, 1], "duplicate"),
    "anyOf": ({"anyOf": [{"type": "string"}, {"type": "number"}]}, [], "schema"),
    "false": ({"not": {}}, 1, "schema"),
}


@pytest.mark.parametrize(("schema", "value", "code"), FIELDS.values(), ids=FIELDS.keys())
def test_each_rule_of_a_schema_has_its_code(schema: dict[str, Any], value: Any, code: str) -> None:
    assert told(type_of({"a/b~": schema}), {"a/b~": value}) == [("#/a~1b~0", code)]
    items = {"list": {"type": "array", "items": {"properties": {"f": schema}}}}
    assert told(type_of(items), {"list": [{}, {"f": value}]}) == [("#/list/1/f", code)]


def test_fields_missing_and_unknown_are_named_where_they_should_be_or_are() -> None:
    closed = {"properties": {"k": {}}, "required": ["k"], "additionalProperties": False}
    faults = told(type_of({"o": closed}, required=["o"]), {"o": {"z": 1, "y": 2}, "id": "x"})
    unknown = {("#/o/z", "unknown_field"), ("#/o/y", "unknown_field"), ("#/id", "unknown_field")}
    assert set(faults) == {("#/o/k", "required"), *unknown}
    assert told(THING, {}) == [("#/name", "required")]


def test_a_long_value_is_not_told_back_at_length() -> None:
    ((_, _, detail),) = faults_of(type_of({"a": {"maxLength": 1}}), {"a": "b" * 10_000})
    assert len(detail) <= 300


def test_twenty_faults_are_told_and_no_more() -> None:
    for count in (ERRORS_MAX - 1, ERRORS_MAX, ERRORS_MAX + 1):
        unknown = {f"u{number}": 1 for number in range(count)}
        assert len(faults_of(THING, {"name": "a", **unknown})) == min(count, ERRORS_MAX)
        metadata = {f"u{number}": 1 for number in range(count)}
        assert len(faults_of(THING, {"metadata": metadata})) == min(count + 1, ERRORS_MAX)


def test_a_document_of_its_type_is_accepted_with_metadata_or_without() -> None:
    for document in ({"name": "a"}, {"name": "a", "metadata": None}, {"name": "a", "metadata": {"k": "v"}}):
        assert faults_of(THING, document) == []
        validate(THING, document)


def test_a_document_of_another_type_is_refused_with_all_that_is_wrong() -> None:
    with pytest.raises(TidingsError) as caught:
        validate(THING, {"name": 1, "metadata": []})
    assert caught.value.code is Code.VALIDATION_FAILED
    assert "thing" in caught.value.detail
    assert [(fault["pointer"], fault["code"]) for fault in caught.value.members["errors"]] == [
        ("#/metadata", "wrong_type"),
        ("#/name", "wrong_type"),
    ]


@pytest.mark.parametrize(
    ("metadata", "faults"),
    [
        ({f"k{number}": "" for number in range(METADATA_KEYS_MAX)}, []),
        ({f"k{number}": "" for number in range(METADATA_KEYS_MAX + 1)}, [("#/metadata", "too_long")]),
        ({"k" * METADATA_KEY_CHARACTERS_MAX: "v" * METADATA_VALUE_CHARACTERS_MAX}, []),
        ({"\u00e9" * METADATA_KEY_CHARACTERS_MAX: "\u00e9" * METADATA_VALUE_CHARACTERS_MAX}, []),
        ({"k" * (METADATA_KEY_CHARACTERS_MAX + 1): 1}, [("#/metadata/" + "k" * 41, "too_long")]),
        ({"a/b": "v" * (METADATA_VALUE_CHARACTERS_MAX + 1)}, [("#/metadata/a~1b", "too_long")]),
        ({"k": 1}, [("#/metadata/k", "wrong_type")]),
        ({"k": None}, [("#/metadata/k", "wrong_type")]),
        ("k", [("#/metadata", "wrong_type")]),
        (["k"], [("#/metadata", "wrong_type")]),
        (0, [("#/metadata", "wrong_type")]),
    ],
    ids=range(11),
)
def test_metadata_is_few_short_texts(metadata: Any, faults: list[tuple[str, str]]) -> None:
    assert told(THING, {"name": "a", "metadata": metadata}) == faults


@pytest.mark.parametrize(
    ("text", "expected"),
    [(text, True) for text in ("a", "a" * 128, "Ab_9:-")]
    + [(text, False) for text in ("", "a" * 129, "a/b", "a b", "\u0661", "a\n")],
)
def test_an_external_id_is_a_short_word(text: str, *, expected: bool) -> None:
    assert (EXTERNAL_ID.fullmatch(text) is not None) is expected

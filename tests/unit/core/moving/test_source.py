"""What is read is noted, what can't be read stands against the move, and no value is shown."""

from typing import Any

import pytest

from core.moving.source import SAME, TAKEN, UNAVAILABLE, Row, Source, leaves, variable_of


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, True),
        ("true", True),
        ("1", True),
        (False, False),
        ("F", False),
        ("", False),
        (None, False),
    ],
)
def test_a_switch_is_read_in_every_way_to_write_one(value: Any, *, expected: bool) -> None:
    source = Source({"a.b": value})
    assert source.flag("a.b", "because") is expected
    assert source.rows == {"a.b": Row("a.b", TAKEN, "because" if expected else "")}
    assert not source.refusals


@pytest.mark.parametrize(
    ("read", "value", "sentence"),
    [
        ("flag", "perhaps", "a.b: must be true or false"),
        ("text", 5, "a.b: must be a text"),
        ("number", "many", "a.b: must be a whole number up to 2147483647"),
        ("number", -1, "a.b: must be a whole number up to 2147483647"),
        ("number", True, "a.b: must be a whole number up to 2147483647"),
        ("number", "9" * 5000, "a.b: must be a whole number up to 2147483647"),
        ("seconds", "soon", 'a.b: must be a duration like "60s"'),
        ("seconds", True, 'a.b: must be a duration like "60s"'),
        ("texts", [1], "a.b: must be a list of texts"),
        ("mapping", "{", "a.b: must be a JSON object"),
        ("mapping", "[]", "a.b: must be a JSON object"),
    ],
)
def test_what_cannot_be_read_stands_against_the_move(read: str, value: Any, sentence: str) -> None:
    source = Source({"a.b": value})
    assert not getattr(source, read)("a.b")
    assert source.refusals == [sentence]
    assert source.rows["a.b"].verdict == UNAVAILABLE


def test_values_are_read_as_what_they_are() -> None:
    source = Source(
        {"text": "x", "number": 7, "digits": "8", "time": "2s", "list": ["a", "b"], "words": "a, b c"}
    )
    assert source.text("text") == "x"
    assert (source.number("number"), source.number("digits")) == (7, 8)
    assert source.seconds("time") == 2
    assert (source.texts("list"), source.texts("words")) == (("a", "b"), ("a", "b", "c"))
    assert set(source.rows) == set(source.values)


def test_what_is_not_there_is_read_as_nothing_and_gets_no_row() -> None:
    source = Source({})
    assert (source.flag("a"), source.text("a"), source.number("a")) == (False, "", 0)
    assert (source.seconds("a"), source.texts("a"), source.mapping("a"), source.has("a")) == (
        0,
        (),
        {},
        False,
    )
    source.note("a", SAME)
    source.refuse("a", "is missing")
    assert not source.rows
    assert source.refusals == ["a: is missing"]


def test_a_variable_wins_and_is_named_in_its_row() -> None:
    source = Source({"client.insecure": False}, {"CENTRIFUGO_CLIENT_INSECURE": "true"})
    assert source.has("client.insecure")
    assert source.flag("client.insecure") is True
    assert source.rows["client.insecure"].key == "CENTRIFUGO_CLIENT_INSECURE"
    assert not source.variables


def test_headers_are_read_from_a_file_and_from_a_variable() -> None:
    source = Source({"p.headers.X-Two": "2"}, {"CENTRIFUGO_Q_HEADERS": '{"X":"1"}'})
    assert source.mapping("p.headers") == {"X-Two": "2"}
    assert source.mapping("q.headers") == {"X": "1"}
    assert set(source.rows) == {"p.headers.X-Two", "q.headers"}


def test_lists_of_named_objects_are_keys_of_their_names() -> None:
    found = leaves(
        {"a": {"list": [{"name": "x.y", "on": True}, {"name": "z"}], "plain": [1], "none": {}, "no": [{}]}}
    )
    assert found == {
        "a.list.x.y.name": "x.y",
        "a.list.x.y.on": True,
        "a.list.z.name": "z",
        "a.plain": [1],
        "a.none": {},
        "a.no": [{}],
    }
    assert Source(found).names_under("a.list") == ["x.y", "z"]


def test_a_key_has_one_variable() -> None:
    assert variable_of("channel.namespaces.a-b.c.presence") == "CENTRIFUGO_CHANNEL_NAMESPACES_A_B_C_PRESENCE"

"""Documents of our own forms: each fault is told with its place, and a valid one becomes its struct."""

from typing import Annotated, Any, Literal

import msgspec
import pytest

from core.errors import Code, TidingsError
from core.resources.typed import typed


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    on: bool = False


class Whole(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(min_length=1)]
    mode: Literal["", "fast"] = ""
    size: Annotated[int, msgspec.Meta(ge=0, le=9)] = 0
    parts: tuple[str, ...] = ()
    part: Part = Part()


def test_a_valid_document_becomes_its_struct() -> None:
    document = {"name": "a", "mode": "fast", "size": 9, "parts": ["b"], "part": {"on": True}}
    assert typed(Whole, document) == Whole(name="a", mode="fast", size=9, parts=("b",), part=Part(on=True))
    assert typed(Whole, {"name": "a"}) == Whole(name="a")


@pytest.mark.parametrize(
    ("fields", "pointer", "code"),
    [
        ({"name": ""}, "#/name", "too_short"),
        ({"name": None}, "#/name", "wrong_type"),
        ({"mode": "slow"}, "#/mode", "not_allowed"),
        ({"size": 10}, "#/size", "too_large"),
        ({"size": -1}, "#/size", "too_small"),
        ({"size": True}, "#/size", "wrong_type"),
        ({"parts": "b"}, "#/parts", "wrong_type"),
        ({"parts": [1]}, "#/parts/0", "wrong_type"),
        ({"part": {"off": True}}, "#/part/off", "unknown_field"),
        ({"a/b": 1}, "#/a~1b", "unknown_field"),
    ],
)
def test_a_fault_is_told_with_its_place(fields: dict[str, Any], pointer: str, code: str) -> None:
    with pytest.raises(TidingsError) as caught:
        typed(Whole, {"name": "a", **fields})
    assert caught.value.code is Code.VALIDATION_FAILED
    assert [(fault["pointer"], fault["code"]) for fault in caught.value.members["errors"]] == [
        (pointer, code)
    ]


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(TidingsError) as caught:
        typed(Whole, {"mode": 1, "size": "1"})
    assert {fault["pointer"] for fault in caught.value.members["errors"]} == {"#/name", "#/mode", "#/size"}

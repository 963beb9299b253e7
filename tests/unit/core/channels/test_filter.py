"""What a filter may be, and which publications it lets through."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.channels.filter import (
    DEPTH_MAX,
    NODES_MAX,
    NUMBER_CHARACTERS_MAX,
    VALUES_MAX,
    FilterNode,
    matches,
    validate,
)
from core.errors import TidingsError

TEXTS = ("eq", "neq", "sw", "ew", "ct")
NUMBERS = ("lt", "lte", "gt", "gte")
KEYS = st.sampled_from(["a", "b"])
VALUES = st.sampled_from(["1", "2", "1.0", "x", "xy"])
TAGS = st.none() | st.dictionaries(KEYS, VALUES | st.just(""))
LEAVES = st.one_of(
    st.builds(FilterNode, key=KEYS, cmp=st.sampled_from([*TEXTS, *NUMBERS]), val=VALUES),
    st.builds(
        FilterNode,
        key=KEYS,
        cmp=st.sampled_from(["in", "nin"]),
        vals=st.lists(VALUES, min_size=1, max_size=3).map(tuple),
    ),
    st.builds(FilterNode, key=KEYS, cmp=st.sampled_from(["ex", "nex"])),
)


def leaf(cmp: str, val: str = "", *vals: str, key: str = "k") -> FilterNode:
    return FilterNode(key=key, cmp=cmp, val=val, vals=vals)


def both(op: str, *nodes: FilterNode) -> FilterNode:
    return FilterNode(op, nodes=nodes)


def negated(node: FilterNode) -> FilterNode:
    return both("not", node)


EX = leaf("ex")


def refusal_of(node: FilterNode) -> str:
    with pytest.raises(TidingsError) as refused:
        validate(node)
    assert refused.value.row.realtime == 107
    return refused.value.detail


@pytest.mark.parametrize("cmp", [*TEXTS, *NUMBERS])
def test_comparisons_take_a_key_and_one_value(cmp: str) -> None:
    validate(leaf(cmp, "1"))
    for wrong in (leaf(cmp), leaf(cmp, "1", "2"), leaf(cmp, "", "2"), leaf(cmp, "1", key="")):
        assert refusal_of(wrong).startswith("ex and nex take")


@pytest.mark.parametrize("cmp", ["in", "nin"])
def test_sets_take_a_key_and_values(cmp: str) -> None:
    validate(leaf(cmp, "", "1", ""))
    for wrong in (leaf(cmp), leaf(cmp, "1", "2"), leaf(cmp, "", "1", key="")):
        assert refusal_of(wrong).startswith("ex and nex take")


@pytest.mark.parametrize("cmp", ["ex", "nex"])
def test_presence_takes_no_value(cmp: str) -> None:
    validate(leaf(cmp))
    validate(leaf(cmp, key=""))
    for wrong in (leaf(cmp, "1"), leaf(cmp, "", "1")):
        assert refusal_of(wrong).startswith("ex and nex take")


def test_operations_take_nodes() -> None:
    for node in (both("and", EX), both("or", EX, EX), negated(EX)):
        validate(node)
    assert refusal_of(both("and")) == "and takes at least one node."
    assert refusal_of(both("or")) == "or takes at least one node."
    for wrong in (both("not"), both("not", EX, EX)):
        assert refusal_of(wrong) == "not takes exactly one node."


def test_unknown_words_are_refused_however_deep() -> None:
    assert refusal_of(both("or", EX, negated(both("xor", EX)))).startswith("op is")
    assert refusal_of(both("or", EX, negated(leaf("like", "x")))).startswith("cmp is one of eq, neq,")
    assert refusal_of(FilterNode()).startswith("cmp is")


def test_a_filter_has_a_greatest_size() -> None:
    validate(both("or", *[EX] * (NODES_MAX - 1)))
    assert "nodes" in refusal_of(both("or", *[EX] * NODES_MAX))
    half = leaf("in", "", *["v"] * (VALUES_MAX // 2))
    validate(both("or", half, half))
    assert "values" in refusal_of(both("or", half, half, leaf("in", "", "v")))


def test_a_filter_has_a_greatest_depth() -> None:
    deep = EX
    for _ in range(DEPTH_MAX - 1):
        deep = negated(deep)
    validate(deep)
    for _ in range(5_000):
        deep = negated(deep)
    assert "deep" in refusal_of(deep)


@pytest.mark.parametrize(
    ("node", "wanted", "unwanted"),
    [
        (leaf("eq", "x"), ["x"], ["X", "", "xx"]),
        (leaf("neq", "x"), ["X", ""], ["x"]),
        (leaf("in", "", "x", ""), ["x", ""], ["y"]),
        (leaf("nin", "", "x", "y"), ["z", ""], ["x", "y"]),
        (leaf("sw", "ab"), ["ab", "abc"], ["a", "cab"]),
        (leaf("ew", "ab"), ["ab", "cab"], ["b", "abc"]),
        (leaf("ct", "ab"), ["ab", "cabc"], ["ba", ""]),
        (leaf("ex"), ["", "x"], []),
        (leaf("nex"), [], ["", "x"]),
        (leaf("lt", "10"), ["9.99", "-11", "+9"], ["10", "10.0", "11"]),
        (leaf("lte", "10"), ["10", "10.000", "9"], ["10.0001"]),
        (leaf("gt", "-1.5"), ["-1.4999", "0"], ["-1.50", "-2"]),
        (
            leaf("gte", "0.3"),
            ["0.3", "0.30000000000000000000000000000001"],
            ["0.29999999999999999999999999999"],
        ),
    ],
)
def test_a_present_tag_is_compared(node: FilterNode, wanted: list[str], unwanted: list[str]) -> None:
    validate(node)
    assert [value for value in wanted + unwanted if matches(node, {"k": value})] == wanted


@pytest.mark.parametrize("cmp", [*TEXTS, *NUMBERS, "in", "nin", "ex", "nex"])
@pytest.mark.parametrize("tags", [None, {}, {"other": "1"}])
def test_of_an_absent_tag_only_what_denies_is_true(cmp: str, tags: dict[str, str] | None) -> None:
    node = leaf(cmp, "", "", "1") if cmp in {"in", "nin"} else leaf(cmp, "" if cmp in {"ex", "nex"} else "1")
    assert matches(node, tags) == (cmp in {"neq", "nin", "nex"})


@pytest.mark.parametrize("text", ["", "x", "1e3", "0x1", "NaN", "inf", ".5", "5.", "²", " 1", "1_000", "-"])
def test_what_is_no_number_is_neither_less_nor_more(text: str) -> None:
    assert not any(matches(leaf(cmp, "1"), {"k": text}) for cmp in NUMBERS)
    assert not any(matches(leaf(cmp, text), {"k": "1"}) for cmp in NUMBERS)


def test_a_number_has_a_greatest_length() -> None:
    longest = "9" * NUMBER_CHARACTERS_MAX
    assert matches(leaf("gt", "1"), {"k": longest})
    assert not matches(leaf("gt", "1"), {"k": longest + "9"})


@given(st.decimals(allow_nan=False, allow_infinity=False, places=12), st.decimals(-9, 9, places=25))
def test_numbers_compare_exactly(one: object, other: object) -> None:
    for left, right in ((one, other), (other, one), (one, one)):
        text, val = f"{left:f}", f"{right:f}"
        if max(len(text), len(val)) > NUMBER_CHARACTERS_MAX:
            continue
        found = [cmp for cmp in NUMBERS if matches(leaf(cmp, val), {"k": text})]
        order = (Fraction(text) > Fraction(val)) - (Fraction(text) < Fraction(val))
        assert found == {-1: ["lt", "lte"], 0: ["lte", "gte"], 1: ["gt", "gte"]}[order]


@given(LEAVES, LEAVES, TAGS)
def test_operations_are_those_of_logic(
    one: FilterNode, other: FilterNode, tags: dict[str, str] | None
) -> None:
    validate(both("and", one, negated(other)))
    left, right = matches(one, tags), matches(other, tags)
    assert matches(both("and", one, other), tags) == (left and right)
    assert matches(both("or", one, other), tags) == (left or right)
    assert matches(negated(one), tags) != left
    assert matches(negated(both("or", one, other)), tags) == matches(
        both("and", negated(one), negated(other)), tags
    )

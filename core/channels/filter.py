"""Filters: which publications a subscription wants, by their tags.

A filter saves traffic and protects nothing: it comes from the client, who could as well read everything. It
is judged once a publication and subscription, hence the limits on its size.
"""

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from core.errors import Code, TidingsError

NODES_MAX: Final = 64
DEPTH_MAX: Final = 8
VALUES_MAX: Final = 256
"""How many values all `in` and `nin` of a filter may have together."""
NUMBER_CHARACTERS_MAX: Final = 64
"""Longer text is no number."""

_TEXTS: Final[dict[str, Callable[[str, str], bool]]] = {
    "eq": operator.eq,
    "neq": operator.ne,
    "sw": str.startswith,
    "ew": str.endswith,
    "ct": operator.contains,
}
_NUMBERS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
}
_SETS: Final = ("in", "nin")
_PRESENCE: Final = ("ex", "nex")
_ABSENT: Final = ("neq", "nin", "nex")
"""What is true of a tag that is not there."""

_DECIMAL: Final = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")


@dataclass(frozen=True, slots=True)
class FilterNode:
    """One node: a comparison of a tag when `op` is empty, else `and`, `or`, `not` of its `nodes`."""

    op: str = ""
    key: str = ""
    cmp: str = ""
    val: str = ""
    vals: tuple[str, ...] = ()
    nodes: tuple["FilterNode", ...] = ()


def validate(node: FilterNode) -> None:
    """Check a whole filter; whoever subscribes with one must call this before `matches`.

    Raises:
        TidingsError: `validation_failed`, it is too large or no filter.
    """
    values = 0
    for nodes, part in enumerate(_parts(node, DEPTH_MAX), 1):
        values += len(part.vals)
        if nodes > NODES_MAX:
            raise _refusal(f"A filter has at most {NODES_MAX} nodes.")
        if values > VALUES_MAX:
            raise _refusal(f"A filter has at most {VALUES_MAX} values.")
        _validate_alone(part)


def _parts(node: FilterNode, levels: int) -> Iterator[FilterNode]:
    if levels == 0:
        raise _refusal(f"A filter is at most {DEPTH_MAX} nodes deep.")
    yield node
    for inner in node.nodes if node.op else ():
        yield from _parts(inner, levels - 1)


def _validate_alone(node: FilterNode) -> None:
    match node.op:
        case "":
            _validate_comparison(node)
        case "and" | "or":
            if not node.nodes:
                raise _refusal(f"{node.op} takes at least one node.")
        case "not":
            if len(node.nodes) != 1:
                raise _refusal("not takes exactly one node.")
        case _:
            raise _refusal("op is and, or, not, or empty.")


def _validate_comparison(node: FilterNode) -> None:
    if node.cmp in _PRESENCE:
        fits = not node.val and not node.vals
    elif node.cmp in _SETS:
        fits = not node.val and bool(node.vals) and bool(node.key)
    elif node.cmp in _TEXTS or node.cmp in _NUMBERS:
        fits = bool(node.val) and not node.vals and bool(node.key)
    else:
        known = ", ".join((*_TEXTS, *_NUMBERS, *_SETS, *_PRESENCE))
        raise _refusal(f"cmp is one of {known}.")
    if not fits:
        raise _refusal("ex and nex take a key alone, in and nin a key and vals, the others a key and val.")


def _refusal(detail: str) -> TidingsError:
    return TidingsError(Code.VALIDATION_FAILED, detail)


def matches(node: FilterNode, tags: Mapping[str, str] | None) -> bool:
    """Say whether a publication with these tags is wanted; only for a filter that `validate` let pass."""
    match node.op:
        case "and":
            return all(matches(inner, tags) for inner in node.nodes)
        case "or":
            return any(matches(inner, tags) for inner in node.nodes)
        case "not":
            return not matches(node.nodes[0], tags)
        case _:
            return _holds(node, tags)


def _holds(node: FilterNode, tags: Mapping[str, str] | None) -> bool:
    value = tags.get(node.key) if tags else None
    if value is None:
        return node.cmp in _ABSENT
    if node.cmp in _PRESENCE:
        return node.cmp == "ex"
    if node.cmp in _SETS:
        return (value in node.vals) == (node.cmp == "in")
    if (compare := _TEXTS.get(node.cmp)) is not None:
        return compare(value, node.val)
    one, other = _decimal(value), _decimal(node.val)
    return one is not None and other is not None and _NUMBERS[node.cmp](one, other)


def _decimal(text: str) -> Decimal | None:
    """Return the number, exactly; comparing decimals rounds nothing either."""
    if len(text) > NUMBER_CHARACTERS_MAX or _DECIMAL.fullmatch(text) is None:
        return None
    return Decimal(text)

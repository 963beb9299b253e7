"""RFC 7396 merge patches, and what an update changed."""

from typing import Any, Final

import orjson

from core.resources.document import without_empty_metadata

_SORTED: Final = orjson.OPT_SORT_KEYS


def merge(document: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """Return the document with the patch applied: absent keeps, null removes.

    Arrays are replaced whole (RFC 7396). Metadata that have no key any more are none.
    """
    return without_empty_metadata(_merged(document, patch))


def _merged(document: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    merged = dict(document)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            before = merged.get(key)
            merged[key] = _merged(before if isinstance(before, dict) else {}, value)
        else:
            merged[key] = value
    return merged


def previous_attributes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Return the old values of the members that changed; null for those that were absent."""
    names = [*before, *(name for name in after if name not in before)]
    return {name: before.get(name) for name in names if not is_same(before.get(name), after.get(name))}


def is_same(a: Any, b: Any) -> bool:
    """Say whether two values are the same JSON, whatever the order of members.

    Equality alone does not tell: in Python 1 equals true and 1.0.
    """
    return bool(a == b) and orjson.dumps(a, option=_SORTED) == orjson.dumps(b, option=_SORTED)

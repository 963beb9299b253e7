"""Regular expressions of organizations: they take neither time nor memory from each other.

The syntax is RE2's, without look-around; a match takes time in proportion to expression and text. Those that
compile to much are few in memory, so that a thousand namespaces of one organization don't take gigabytes.
"""

from functools import lru_cache
from typing import Final

import jsonschema_rs

CHARACTERS_MAX: Final = 1_000
BYTES_MAX: Final = 1_048_576
"""Of one compiled expression."""
LIGHT_BYTES_MAX: Final = 65_536
LIGHT_MAX: Final = 1_024
"""Compiled expressions that a process keeps, of those that take no more than that; and of the others:"""
HEAVY_MAX: Final = 64
HEAVY_OF_ORGANIZATION_MAX: Final = 8
"""One organization alone can't push out all others: what is not in memory takes milliseconds to compile."""
STATES_BYTES_MAX: Final = 262_144
"""What matching with one of them may keep to be quicker the next time."""


def is_regex(text: str) -> bool:
    """Say whether this is an expression that can be had."""
    try:
        _matcher(text)
    except jsonschema_rs.ValidationError:
        return False
    return True


def is_heavy(regex: str) -> bool:
    """Say whether an expression, which is one, is of those that compile to much."""
    return _light(regex) is None


def occurs(regex: str, text: str) -> bool:
    """Say whether an expression, which is one, fits somewhere in a text."""
    return _matcher(regex).is_valid(text)


def kept() -> tuple[int, int]:
    """Return how many light and how many heavy expressions are in memory."""
    return _light.cache_info().currsize, _heavy.cache_info().currsize


def _matcher(regex: str) -> jsonschema_rs.Draft202012Validator:
    return _light(regex) or _heavy(regex)


@lru_cache(LIGHT_MAX)
def _light(regex: str) -> jsonschema_rs.Draft202012Validator | None:
    try:
        return _compiled(regex, LIGHT_BYTES_MAX)
    except jsonschema_rs.ValidationError:
        return None


@lru_cache(HEAVY_MAX)
def _heavy(regex: str) -> jsonschema_rs.Draft202012Validator:
    return _compiled(regex, BYTES_MAX)


def _compiled(regex: str, bytes_max: int) -> jsonschema_rs.Draft202012Validator:
    engine = jsonschema_rs.RegexOptions(size_limit=bytes_max, dfa_size_limit=STATES_BYTES_MAX)
    return jsonschema_rs.Draft202012Validator({"pattern": regex}, pattern_options=engine, offline=True)

"""A configuration as it was found, read key by key, so that in the end each key says what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeVar

import orjson

from core.channels.namespace import COUNT_MAX
from core.moving.durations import seconds_of

T = TypeVar("T")
Verdict = Literal["taken over", "same without setting", "not available"]
TAKEN: Final = "taken over"
SAME: Final = "same without setting"
UNAVAILABLE: Final = "not available"

PREFIX: Final = "CENTRIFUGO_"
"""What its environment variables begin with."""

DIGITS_MAX: Final = 10
_TRUE: Final = frozenset({"1", "t", "true"})
_FALSE: Final = frozenset({"", "0", "f", "false"})


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one key, and why. No value stands here: some are secrets."""

    key: str
    verdict: Verdict
    why: str


@dataclass(slots=True)
class Source:
    """Values by dotted key; what is read is noted as taken over.

    `variables` are those of the environment that nothing has asked for yet; they win over `values`.
    `refusals` are the sentences that stand against the whole move.
    """

    values: dict[str, Any]
    variables: dict[str, str] = field(default_factory=dict)
    spelled: dict[str, str] = field(default_factory=dict)
    """How a key was written where it is not found under its own name."""
    older: set[str] = field(default_factory=set)
    """The keys that are written as versions 4 and 5 had them."""
    rows: dict[str, Row] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)

    def note(self, key: str, verdict: Verdict, why: str = "") -> None:
        """Give a key its row, if it was found; a later row replaces an earlier one."""
        if key in self.values:
            self.rows[key] = Row(self.spelled.get(key, key), verdict, why)

    def refuse(self, key: str, why: str) -> None:
        """Stand against the move because of a key."""
        self.note(key, UNAVAILABLE, why)
        self.refusals.append(f"{self.spelled.get(key, key)}: {why}")

    def has(self, key: str) -> bool:
        """Say whether a key was found."""
        self._look_up(key)
        return key in self.values

    def flag(self, key: str, why: str = "") -> bool:
        """Return whether something is on; `why` says what that means."""
        text = str(self._taken(key, "", default=False)).strip().lower()
        if text in _TRUE:
            self.note(key, TAKEN, why)
        if text in _TRUE or text in _FALSE:
            return text in _TRUE
        return self._misread(key, "must be true or false", default=False)

    def text(self, key: str, why: str = "") -> str:
        """Return a text, "" without."""
        value = self._taken(key, why, default="")
        if isinstance(value, str):
            return value
        return self._misread(key, "must be a text", default="")

    def number(self, key: str, why: str = "") -> int:
        """Return a whole number from 0 on, 0 without."""
        value = self._taken(key, why, default=0)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= DIGITS_MAX:
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= COUNT_MAX:
            return value
        return self._misread(key, f"must be a whole number up to {COUNT_MAX}", default=0)

    def seconds(self, key: str, why: str = "") -> float:
        """Return a duration, 0 without."""
        value = self._taken(key, why, default=0)
        if not isinstance(value, bool) and isinstance(value, int | float | str):
            try:
                return seconds_of(value)
            except ValueError:
                pass
        return self._misread(key, 'must be a duration like "60s"', default=0.0)

    def texts(self, key: str, why: str = "") -> tuple[str, ...]:
        """Return a list of texts; one text holds them apart by commas or spaces."""
        value = self._taken(key, why, default=[])
        if isinstance(value, str):
            value = value.replace(",", " ").split()
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        return self._misread(key, "must be a list of texts", default=())

    def names_under(self, key: str) -> list[str]:
        """Return the names of the objects in a list, in their order."""
        prefix = f"{key}."
        return [
            value
            for found, value in self.values.items()
            if isinstance(value, str) and found == f"{prefix}{value}.name"
        ]

    def mapping(self, key: str, why: str = "") -> dict[str, str]:
        """Return texts by name; a variable holds them as JSON."""
        self._look_up(key)
        if isinstance(whole := self.values.get(key), str):
            self.note(key, TAKEN, why)
            try:
                found = orjson.loads(whole)
            except orjson.JSONDecodeError:
                found = None
            if not isinstance(found, dict):
                return self._misread(key, "must be a JSON object", default={})
            return {str(name): str(value) for name, value in found.items()}
        inside = [name for name in self.values if name.startswith(f"{key}.")]
        for name in inside:
            self.note(name, TAKEN, why)
        return {name.removeprefix(f"{key}."): str(self.values[name]) for name in inside}

    def _taken(self, key: str, why: str, *, default: Any) -> Any:
        self._look_up(key)
        value = self.values.get(key)
        self.note(key, TAKEN, why)
        return default if value is None else value

    def _look_up(self, key: str) -> None:
        variable = variable_of(key)
        if variable in self.variables:
            self.values[key] = self.variables.pop(variable)
            self.spelled[key] = variable

    def _misread(self, key: str, why: str, *, default: T) -> T:
        self.refuse(key, why)
        return default


def variable_of(key: str) -> str:
    """Return the environment variable that stands for a key."""
    return PREFIX + key.replace(".", "_").replace("-", "_").upper()


def leaves(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a nested configuration's values by dotted key.

    A list of named objects counts as an object of these names: `channel.namespaces.chat.presence`.
    """
    found: dict[str, Any] = {}
    for name, value in document.items():
        key = f"{prefix}{name}"
        named = _by_name(value)
        if isinstance(value, Mapping) and value:
            found |= leaves(value, f"{key}.")
        elif named:
            found |= leaves(named, f"{key}.")
        else:
            found[key] = value
    return found


def _by_name(value: Any) -> dict[str, Any]:
    if not isinstance(value, list) or not value:
        return {}
    if not all(isinstance(item, Mapping) and isinstance(item.get("name"), str) for item in value):
        return {}
    return {item["name"]: dict(item) for item in value}

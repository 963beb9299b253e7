"""Lists of one type's resources: which ones, in which order, and from which place on.

A list is read by key: its cursor holds the sort key of the entry that it stands at, so rows that come and go
while somebody pages cause neither loss nor repetition.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson

from core.errors import Code, TidingsError, bad_parameter
from core.ids import decode, encode
from core.instants import Instant, format_instant, parse_instant
from core.resources.document import EXTERNAL, EXTERNAL_ID
from core.resources.row import ResourceRow
from core.resources.schema import Catalog, ResourceType

FILTERS_MAX: Final = 10
SORT: Final = "sort"
SEARCH: Final = "q"
SEARCH_CHARACTERS_MAX: Final = 500
TIMES: Final = ("created_at", "updated_at")
INDEX_KEY_CHARACTERS_MAX: Final = 500
"""A longer string is sorted by its beginning: an index entry holds no more."""

Comparison = Literal["gte", "gt", "lte", "lt"]

_RANGE: Final = re.compile(r"(created_at|updated_at)\[(gte|gt|lte|lt)\]")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,15})(?:\.[0-9]{1,15})?", re.ASCII)
_TRUTH: Final = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Equal:
    """Only resources whose indexed `field` has this value."""

    field: str
    value: str | float | bool


@dataclass(frozen=True, slots=True)
class Named:
    """Only resources whose `field` refers to the resource of `target` with this own id."""

    field: str
    target: str
    id_prefix: str
    external_id: str


@dataclass(frozen=True, slots=True)
class Range:
    """Only resources made or changed on one side of an instant."""

    field: str
    comparison: Comparison
    at: Instant


@dataclass(frozen=True, slots=True)
class Place:
    """An entry of a list, by what the list is sorted by. `key` is empty when that is a time alone."""

    id: bytes
    at: Instant
    key: Any = None
    backward: bool = False
    """Whether the page before it is wanted, not the one behind."""

    def to_bytes(self) -> bytes:
        """Return it as a cursor holds it."""
        return orjson.dumps([self.id.hex(), self.at, self.key, self.backward])

    @classmethod
    def of_bytes(cls, raw: bytes) -> "Place":
        """Return what `to_bytes` gave; only for bytes whose signature was good."""
        id_, at, key, backward = orjson.loads(raw)
        return cls(bytes.fromhex(id_), Instant(at), key, backward)


@dataclass(frozen=True, slots=True)
class ListQuery:
    """Which resources of a type, and in which order. Newest first unless something else is asked for."""

    type: str
    sort: str = "created_at"
    descending: bool = True
    equals: tuple[Equal, ...] = ()
    named: tuple[Named, ...] = ()
    ranges: tuple[Range, ...] = ()
    search: str = ""
    """What a person typed; only resources whose `search_fields` hold all its words. Empty: everything."""
    search_fields: tuple[str, ...] = ()

    def place_of(self, row: ResourceRow, *, backward: bool = False) -> Place:
        """Return the place of a resource in this list."""
        if self.sort in TIMES:
            at = row.created_at if self.sort == "created_at" else row.updated_at
            return Place(row.id, at, None, backward)
        return Place(row.id, row.created_at, index_key(orjson.loads(row.data).get(self.sort)), backward)


def index_key(value: Any) -> Any:
    """Return what a field's value is sorted by, as its index holds it; what has no order counts as null."""
    if isinstance(value, str):
        return value[:INDEX_KEY_CHARACTERS_MAX]
    return value if isinstance(value, bool | int | float) else None


def parse_list_query(catalog: Catalog, type_: ResourceType, parameters: Mapping[str, str]) -> ListQuery:
    """Return what the query parameters ask for, `limit` and `cursor` being left out of them.

    Raises:
        TidingsError: `unknown_parameter`, also for more than ten filters; `validation_failed`.
    """
    equals: list[Equal] = []
    named: list[Named] = []
    ranges: list[Range] = []
    for name, text in parameters.items():
        if name in (SORT, SEARCH):
            continue
        if match := _RANGE.fullmatch(name):
            ranges.append(Range(match[1], match[2], _instant(name, text)))  # type: ignore[arg-type]  # the pattern
        elif name in type_.references:
            found = _reference(catalog.by_name[type_.references[name]], name, text)
            if isinstance(found, Named):
                named.append(found)
            else:
                equals.append(found)
        elif name in type_.index:
            equals.append(Equal(name, _value(type_, name, text)))
        else:
            detail = f"Filters are {', '.join((*type_.index, 'created_at[gte]'))} and the like."
            raise TidingsError(Code.UNKNOWN_PARAMETER, detail, parameter=name[:100])
    if len(equals) + len(named) + len(ranges) > FILTERS_MAX:
        raise TidingsError(Code.UNKNOWN_PARAMETER, f"At most {FILTERS_MAX} filters.")
    sort, descending = _order(type_, parameters.get(SORT))
    search = _search(type_, parameters.get(SEARCH))
    return ListQuery(
        type_.name,
        sort,
        descending,
        tuple(equals),
        tuple(named),
        tuple(ranges),
        search,
        type_.search if search else (),
    )


def _search(type_: ResourceType, text: str | None) -> str:
    if text is None:
        return ""
    if not type_.search:
        raise TidingsError(
            Code.UNKNOWN_PARAMETER, f"The {type_.name} type has no search fields.", parameter=SEARCH
        )
    if not text.strip():
        raise bad_parameter(SEARCH, "too_short", "Must have a word to search for.")
    if len(text) > SEARCH_CHARACTERS_MAX:
        raise bad_parameter(SEARCH, "too_long", f"Must have at most {SEARCH_CHARACTERS_MAX} characters.")
    return text


def _order(type_: ResourceType, text: str | None) -> tuple[str, bool]:
    if text is None:
        return "created_at", True
    field = text.removeprefix("-")
    if field not in (*TIMES, *type_.index):
        known = ", ".join((*TIMES, *type_.index))
        raise bad_parameter(SORT, "not_allowed", f"Sort by one of {known}, with - before it for descending.")
    return field, text.startswith("-")


def _instant(name: str, text: str) -> Instant:
    try:
        return parse_instant(text)
    except (ValueError, OverflowError):
        raise bad_parameter(name, "format", f"Must be RFC 3339, like {format_instant(Instant(0))}.") from None


def _reference(target: ResourceType, name: str, text: str) -> Equal | Named:
    if text.startswith(EXTERNAL):
        external_id = text.removeprefix(EXTERNAL)
        if EXTERNAL_ID.fullmatch(external_id) is None:
            raise bad_parameter(name, "format", "An own id has 1 to 128 of A-Z, a-z, 0-9, _, : and -.")
        return Named(name, target.name, target.id_prefix, external_id)
    try:
        return Equal(name, encode(target.id_prefix, decode(target.id_prefix, text)))
    except TidingsError:
        raise bad_parameter(
            name, "format", f"Must be the id of a {target.name}, or ext: and its own."
        ) from None


def _value(type_: ResourceType, name: str, text: str) -> str | float | bool:
    kinds = type_.kinds.get(name, frozenset())
    if "string" in kinds or not kinds:
        return text
    if "boolean" in kinds and text in _TRUTH:
        return _TRUTH[text]
    if kinds & {"integer", "number"} and _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    raise bad_parameter(name, "wrong_type", f"Must be {' or '.join(sorted(kinds))}.")

"""Resource types: a user's JSON Schema plus `x-tidings`, checked at start and ready to validate.

The rules of a schema file: draft 2020-12, at most 64 KiB, 16 levels deep, 100 references, none of them
remote. The top level is closed: a field that `properties` does not name is refused on write.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import jsonschema_rs
import msgspec
import orjson

from core.channels.name import SYSTEM, is_system, is_valid

SCHEMA_BYTES_MAX: Final = 65_536
SCHEMA_DEPTH_MAX: Final = 16
SCHEMA_REFS_MAX: Final = 100
SYSTEM_FIELDS: Final = frozenset(
    {"id", "object", "version", "created_at", "updated_at", "metadata", "external_id", "deleted"}
)
CREDENTIAL_PARAMETERS: Final = frozenset({"access_token", "api_key", "apikey", "authorization", "token"})
"""Query parameters in which people send credentials: refused wherever they stand."""
LIST_PARAMETERS: Final = CREDENTIAL_PARAMETERS | {"limit", "cursor", "sort", "q", "expand", "after"}
"""Names in a list's query that can't be those of its filters."""
RESERVED_FIELDS: Final = frozenset({"idempotency_key"})
"""Stands in an item of a batch beside the fields."""
RESERVED_TITLES: Final = frozenset({"publication", SYSTEM})
"""Events of the first would be `publication.created`, which is how the log names what was published; channels
of the other are the system's own."""
RESERVED_PREFIXES: Final = frozenset(
    {"org", "usr", "key", "cli", "ses", "evt", "req", "job", "whe", "whd", "whb", "att", "aud"}
)
RESERVED_COLLECTIONS: Final = frozenset(
    {
        "events", "channels", "publish", "channel_namespaces", "connection_tokens", "webhook_endpoints",
        "deliveries", "jobs", "api_keys", "members", "organization", "usage", "rate_limits", "audit_events",
        "sessions",
    }
)  # fmt: skip

OnDelete = Literal["refuse", "cascade", "set_null"]

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_AMBIGUOUS: Final = ("created_at[", "updated_at[", "-")
_FIELD: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_PREFIX: Final = re.compile(r"[a-z]{2,8}")
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")


class SchemaError(Exception):
    """A schema file can't be a resource type: `file`, a JSON `pointer` into it, and the `reason`."""

    def __init__(self, file: str, pointer: str, reason: str) -> None:
        super().__init__(f"{file}{pointer}: {reason}")
        self.file = file
        self.pointer = pointer
        self.reason = reason


class _Tidings(msgspec.Struct, forbid_unknown_fields=True):
    """The object `x-tidings` of a schema file."""

    collection: str
    id_prefix: str
    channels: list[str] = []
    references: dict[str, str] = {}
    immutable: list[str] = []
    search: list[str] = []
    index: list[str] = []
    require_if_match: bool = False
    on_delete: dict[str, OnDelete] = {}


@dataclass(frozen=True, slots=True)
class ResourceType:
    """One type, compiled. `fields` stand in the order of the schema, which is that of every answer."""

    name: str
    collection: str
    id_prefix: str
    fields: tuple[str, ...]
    channels: tuple[str, ...]
    references: Mapping[str, str]
    immutable: frozenset[str]
    search: tuple[str, ...]
    index: tuple[str, ...]
    require_if_match: bool
    on_delete: Mapping[str, OnDelete]
    kinds: Mapping[str, frozenset[str]]
    """The JSON types that each field may have, as far as the schema names them at its top."""
    validator: Any = field(repr=False)

    def channels_of(self, public_id: str, document: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the channels in which an event of this resource stands: its own, then the templates'."""
        names = [f"{self.name}:{public_id}"]
        for template in self.channels:
            values = {name: document.get(name) for name in _PLACEHOLDER.findall(template)}
            # A template whose field is empty names no channel.
            if all(isinstance(value, str | int) for value in values.values()):
                names.append(_PLACEHOLDER.sub(lambda match, values=values: str(values[match[1]]), template))  # type: ignore[misc]  # bound at once
        # The system has its channels for itself, whatever a field says.
        return tuple(dict.fromkeys(name for name in names if is_valid(name) and not is_system(name)))


class Catalog:
    """All resource types of an installation, by name and by collection."""

    def __init__(self, types: Iterable[ResourceType]) -> None:
        self.by_name: Mapping[str, ResourceType] = {type_.name: type_ for type_ in types}
        self.by_collection: Mapping[str, ResourceType] = {t.collection: t for t in self.by_name.values()}
        self.names: frozenset[str] = frozenset(self.by_name)

    def referrers_of(self, name: str) -> list[tuple[ResourceType, str]]:
        """Return every (type, field) that refers to resources of the named type."""
        return [(t, f) for t in self.by_name.values() for f, target in t.references.items() if target == name]


def parse_type(file: str, text: bytes) -> ResourceType:
    """Return the type that one schema file declares.

    References to other types are checked by `check_references`.

    Raises:
        SchemaError: with the first fault.
    """
    if len(text) > SCHEMA_BYTES_MAX:
        raise SchemaError(file, "#", f"is larger than {SCHEMA_BYTES_MAX} bytes.")
    try:
        schema = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise SchemaError(file, "#", f"is no JSON: {error}.") from None
    if not isinstance(schema, dict):
        raise SchemaError(file, "#", "must be an object.")
    _check_shape(file, schema)
    options = _options(file, schema)
    properties = schema["properties"]
    try:
        validator = jsonschema_rs.Draft202012Validator(_closed(schema), validate_formats=True, offline=True)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        raise SchemaError(file, "#", f"is no valid JSON Schema: {str(error).splitlines()[0]}.") from None
    _check_names(file, schema, options, properties)
    return ResourceType(
        name=schema["title"],
        collection=options.collection,
        id_prefix=options.id_prefix,
        fields=tuple(properties),
        channels=tuple(options.channels),
        references=options.references,
        immutable=frozenset(options.immutable),
        search=tuple(options.search),
        index=tuple(dict.fromkeys((*options.index, *options.references))),
        require_if_match=options.require_if_match,
        on_delete=options.on_delete,
        kinds={name: _kinds(member) for name, member in properties.items()},
        validator=validator,
    )


def _kinds(member: Any) -> frozenset[str]:
    named = member.get("type", []) if isinstance(member, dict) else []
    return frozenset([named] if isinstance(named, str) else named)


def check_references(types: Mapping[str, ResourceType]) -> None:
    """Check what one file can't know: that references name types, and that nothing is claimed twice.

    Args:
        types: by the name of the file that declares them.

    Raises:
        SchemaError: with the first fault.
    """
    claimed: dict[tuple[str, str], str] = {}
    names = {type_.name for type_ in types.values()}
    for file, type_ in types.items():
        for what, value in (
            ("title", type_.name),
            ("collection", type_.collection),
            ("id_prefix", type_.id_prefix),
        ):
            if (other := claimed.setdefault((what, value), file)) != file:
                raise SchemaError(file, "#", f"{what} {value} is already that of {other}.")
        for name, target in type_.references.items():
            if target not in names:
                raise SchemaError(file, f"#/x-tidings/references/{name}", f"there is no type {target}.")


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    return {
        **{key: value for key, value in schema.items() if key != "x-tidings"},
        "additionalProperties": False,
    }


def _check_shape(file: str, schema: dict[str, Any]) -> None:
    refs = 0
    stack: list[tuple[str, Any, int]] = [("#", schema, 1)]
    while stack:
        pointer, value, depth = stack.pop()
        if depth > SCHEMA_DEPTH_MAX:
            raise SchemaError(file, pointer, f"is nested deeper than {SCHEMA_DEPTH_MAX} levels.")
        if isinstance(value, dict):
            if isinstance(target := value.get("$ref"), str):
                refs += 1
                if not target.startswith("#"):
                    raise SchemaError(file, f"{pointer}/$ref", "must stay inside the file (#/…).")
            stack += [(f"{pointer}/{key}", member, depth + 1) for key, member in value.items()]
        elif isinstance(value, list):
            stack += [(f"{pointer}/{index}", member, depth + 1) for index, member in enumerate(value)]
    if refs > SCHEMA_REFS_MAX:
        raise SchemaError(file, "#", f"has more than {SCHEMA_REFS_MAX} references.")
    _check_top(file, schema)


def _check_top(file: str, schema: dict[str, Any]) -> None:
    if not isinstance(schema.get("title"), str) or not _NAME.fullmatch(schema["title"]):
        raise SchemaError(
            file, "#/title", "must name the type: a lower-case word, with digits and underscores."
        )
    if schema["title"] in RESERVED_TITLES:
        raise SchemaError(file, "#/title", "is what the system calls something of its own.")
    if schema.get("type") != "object":
        raise SchemaError(file, "#/type", 'must be "object".')
    if not isinstance(schema.get("properties"), dict) or not schema["properties"]:
        raise SchemaError(file, "#/properties", "must name the fields.")


def _options(file: str, schema: dict[str, Any]) -> _Tidings:
    if "x-tidings" not in schema:
        raise SchemaError(file, "#/x-tidings", "is missing: it names collection and id_prefix.")
    try:
        return msgspec.convert(schema["x-tidings"], _Tidings)
    except msgspec.ValidationError as error:
        raise SchemaError(file, "#/x-tidings", f"{error}.") from None


def _check_names(file: str, schema: dict[str, Any], options: _Tidings, properties: dict[str, Any]) -> None:
    for name in properties:
        if name in SYSTEM_FIELDS:
            raise SchemaError(file, f"#/properties/{name}", "is a name that every resource has by itself.")
        if name in RESERVED_FIELDS:
            raise SchemaError(file, f"#/properties/{name}", "is what stands beside the fields in a batch.")
    if not _NAME.fullmatch(options.collection) or options.collection in RESERVED_COLLECTIONS:
        raise SchemaError(file, "#/x-tidings/collection", "must be a lower-case word that is not taken.")
    if not _PREFIX.fullmatch(options.id_prefix) or options.id_prefix in RESERVED_PREFIXES:
        raise SchemaError(
            file, "#/x-tidings/id_prefix", "must be 2 to 8 lower-case letters that are not taken."
        )
    mentioned = {
        "references": list(options.references),
        "immutable": options.immutable,
        "search": options.search,
        "index": options.index,
        "on_delete": list(options.on_delete),
        "channels": [name for template in options.channels for name in _PLACEHOLDER.findall(template)],
    }
    for member, names in mentioned.items():
        for name in names:
            if name not in properties:
                raise SchemaError(file, f"#/x-tidings/{member}", f"there is no field {name}.")
    _check_filters(file, options)
    _check_on_delete(file, schema, options)


def _check_filters(file: str, options: _Tidings) -> None:
    for member, names in (("index", options.index), ("references", list(options.references))):
        for name in names:
            if name in LIST_PARAMETERS or name.startswith(_AMBIGUOUS):
                reason = f"{name} has a meaning of its own in a list's query, so it can't filter."
                raise SchemaError(file, f"#/x-tidings/{member}", reason)
    for name in options.references:
        if not _FIELD.fullmatch(name):
            reason = f"{name!r} can't be named in expand: use letters, digits, _ and -."
            raise SchemaError(file, "#/x-tidings/references", reason)


def _check_on_delete(file: str, schema: dict[str, Any], options: _Tidings) -> None:
    for name in options.on_delete:
        if name not in options.references:
            raise SchemaError(file, f"#/x-tidings/on_delete/{name}", "is no reference.")
        if options.on_delete[name] == "set_null" and name in schema.get("required", []):
            raise SchemaError(file, f"#/x-tidings/on_delete/{name}", "a required field can't be set to null.")
        if options.on_delete[name] == "set_null" and name in options.immutable:
            raise SchemaError(
                file, f"#/x-tidings/on_delete/{name}", "an immutable field can't be set to null."
            )

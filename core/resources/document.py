"""Documents that users send: read with every limit, and checked against their type.

A document is the type's own fields plus `metadata`. Faults are reported as a JSON Pointer, a code, and a
sentence; at most twenty of them.
"""

import re
from typing import Any, Final

import msgspec
from jsonschema_rs import Draft202012Validator

from core.errors import Code, TidingsError
from core.resources.schema import ResourceType

DEPTH_MAX: Final = 32
MEMBERS_MAX: Final = 1_000
DOCUMENT_BYTES_MAX: Final = 65_536
INTEGER_MAX: Final = 2**53 - 1
FRACTION_MIN: Final = 1e-40
"""A smaller number would be stored with more digits than it is worth."""
ERRORS_MAX: Final = 20
NAME_CHARACTERS_MAX: Final = 100
"""Of a member's name in a pointer."""
METADATA_KEYS_MAX: Final = 50
METADATA_KEY_CHARACTERS_MAX: Final = 40
METADATA_VALUE_CHARACTERS_MAX: Final = 500
EXTERNAL: Final = "ext:"
"""Stands before a resource's own id wherever an id is accepted."""
EXTERNAL_ID: Final = re.compile(r"[A-Za-z0-9_:-]{1,128}", re.ASCII)

FieldFault = tuple[str, str, str]
"""(pointer, code, detail)."""

_CODES: Final = {
    "required": "required",
    "type": "wrong_type",
    "minLength": "too_short",
    "maxLength": "too_long",
    "minItems": "too_short",
    "maxItems": "too_long",
    "minimum": "too_small",
    "exclusiveMinimum": "too_small",
    "maximum": "too_large",
    "exclusiveMaximum": "too_large",
    "pattern": "pattern",
    "format": "format",
    "enum": "not_allowed",
    "const": "not_allowed",
    "uniqueItems": "duplicate",
    "additionalProperties": "unknown_field",
}


def read_object(body: bytes) -> dict[str, Any]:
    """Return a JSON object from bytes, with every number, depth and count inside its limit.

    Raises:
        TidingsError: `malformed_request`, with what is wrong.
    """
    document = read_json(body)
    if not isinstance(document, dict):
        raise TidingsError(Code.MALFORMED_REQUEST, "The body must be a JSON object.")
    return document


def read_document(body: bytes) -> dict[str, Any]:
    """Return the document that a body holds, in the form in which it is stored: see `as_stored`.

    Raises:
        TidingsError: `malformed_request`, with what is wrong.
    """
    return as_stored(read_object(body))


def as_stored(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document that was read, changed to what the database will give back.

    There a number is decimal and has no sign of zero, so a whole number is an integer however it was
    written, and a very large or very small one can't be held; and no text holds a NUL. Then what is
    answered at once is what is read later.

    Raises:
        TidingsError: `malformed_request`.
    """
    stack: list[Any] = [document]
    while stack:
        container = stack.pop()
        if isinstance(container, dict):
            if any("\0" in key for key in container):
                raise TidingsError(Code.MALFORMED_REQUEST, _NUL)
            items: Any = container.items()
        else:
            items = enumerate(container)
        for key, value in items:
            if isinstance(value, str):
                if "\0" in value:
                    raise TidingsError(Code.MALFORMED_REQUEST, _NUL)
            elif isinstance(value, float):
                container[key] = _number(value)
            elif isinstance(value, dict | list):
                stack.append(value)
    return document


def _number(value: float) -> float:
    if abs(value) > INTEGER_MAX:
        raise TidingsError(Code.MALFORMED_REQUEST, _TOO_LARGE)
    if 0 < abs(value) < FRACTION_MIN:
        detail = f"A number is nearer to 0 than {FRACTION_MIN}: send it as a string."
        raise TidingsError(Code.MALFORMED_REQUEST, detail)
    return int(value) if value.is_integer() else value


_NUL: Final = "A text holds the character U+0000."
_TOO_LARGE: Final = "An integer is outside 2^53 - 1 in size: send it as a string."


def read_json(body: bytes) -> Any:
    """Return any JSON value from bytes, inside the limits of a document.

    Raises:
        TidingsError: `malformed_request`.
    """
    # The parser recurses: depth is bounded before it sees the bytes.
    if body.count(b"[") + body.count(b"{") > DEPTH_MAX and _depth(body) > DEPTH_MAX:
        raise TidingsError(Code.MALFORMED_REQUEST, f"The JSON is nested deeper than {DEPTH_MAX} levels.")
    try:
        value = msgspec.json.decode(body)  # which keeps an integer of any size one, so that it is seen
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TidingsError(Code.MALFORMED_REQUEST, f"The body is no JSON: {error}.") from None
    _check_limits(value)
    return value


def _depth(body: bytes) -> int:
    depth = deepest = 0
    for token in _STRUCTURE.finditer(body):
        character = token[0][:1]
        if character in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in b"]}":
            depth -= 1
    return deepest


# A string without end runs to the end of the body: to try each quote within it anew would take forever.
_STRUCTURE: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)


def _check_limits(value: Any) -> None:
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            if len(item) > MEMBERS_MAX:
                raise TidingsError(Code.MALFORMED_REQUEST, f"An object has more than {MEMBERS_MAX} members.")
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
        elif type(item) is int and not -INTEGER_MAX <= item <= INTEGER_MAX:
            raise TidingsError(Code.MALFORMED_REQUEST, _TOO_LARGE)


def without_nulls(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document without its null members: absent and null mean the same on create.

    Metadata without a key mean the same as none, and go, too.
    """
    return without_empty_metadata({key: value for key, value in document.items() if value is not None})


def without_empty_metadata(document: dict[str, Any]) -> dict[str, Any]:
    """Take metadata out of the document that have no key: they are shown like none."""
    if document.get("metadata") == {}:
        del document["metadata"]
    return document


def faults_of(type_: ResourceType, document: dict[str, Any]) -> list[FieldFault]:
    """Return what is wrong with a document of this type, at most twenty faults; empty: it is valid."""
    metadata = document.get("metadata")
    own = (
        {key: value for key, value in document.items() if key != "metadata"}
        if "metadata" in document
        else document
    )
    faults = [] if metadata is None else _metadata_faults(metadata)
    return (faults + faults_by(type_.validator, own))[:ERRORS_MAX]


def faults_by(validator: Draft202012Validator, document: dict[str, Any]) -> list[FieldFault]:
    """Return what is wrong with a document by a JSON Schema alone, at most twenty faults."""
    faults: list[FieldFault] = []
    if not validator.is_valid(document):
        for error in validator.iter_errors(document):
            faults += _faults_of_error(error)
            if len(faults) >= ERRORS_MAX:
                break
    return faults[:ERRORS_MAX]


def validate(type_: ResourceType, document: dict[str, Any]) -> None:
    """Accept a document of this type, be it sent whole or made by patches.

    Raises:
        TidingsError: `validation_failed` with `errors`.
    """
    faults = faults_of(type_, document) or _member_faults(document)
    if faults:
        raise invalid(f"The body does not fit the {type_.name} type.", faults)


def invalid(detail: str, faults: list[FieldFault]) -> TidingsError:
    """Return the error that carries these faults."""
    errors = [{"pointer": pointer, "code": code, "detail": text} for pointer, code, text in faults]
    return TidingsError(Code.VALIDATION_FAILED, detail, errors=errors)


def pointer_to(*parts: str | int) -> str:
    """Return the JSON Pointer of a member, as URI fragment.

    A name that a client made up is shown by its beginning.
    """
    names = (str(part)[:NAME_CHARACTERS_MAX] for part in parts)
    return "#" + "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in names)


def _faults_of_error(error: Any) -> list[FieldFault]:
    keyword = str(error.schema_path[-1]) if error.schema_path else "schema"
    parts = list(error.instance_path)
    if keyword == "additionalProperties":
        unexpected = getattr(error.kind, "unexpected", [])
        return [(pointer_to(*parts, name), "unknown_field", "No such field.") for name in unexpected]
    if keyword == "required":
        return [(pointer_to(*parts, getattr(error.kind, "property", "")), "required", "Missing.")]
    code = _CODES.get(keyword, "schema")
    return [(pointer_to(*parts), code, str(error.message)[:300])]


def _member_faults(document: dict[str, Any]) -> list[FieldFault]:
    """Return the fields in which an object has too many members: each patch has few, their sum may not."""
    detail = f"An object in it has more than {MEMBERS_MAX} members."
    faults = []
    for name, field in document.items():
        stack = [field] if isinstance(field, dict | list) else []
        while stack:
            value = stack.pop()
            if isinstance(value, dict) and len(value) > MEMBERS_MAX:
                faults.append((pointer_to(name), "too_long", detail))
                break
            members = value.values() if isinstance(value, dict) else value
            stack += [member for member in members if isinstance(member, dict | list)]
    return faults[:ERRORS_MAX]


def _metadata_faults(metadata: Any) -> list[FieldFault]:
    if not isinstance(metadata, dict):
        return [("#/metadata", "wrong_type", "Must be an object of strings.")]
    faults: list[FieldFault] = []
    if len(metadata) > METADATA_KEYS_MAX:
        faults.append(("#/metadata", "too_long", f"At most {METADATA_KEYS_MAX} keys."))
    for key, value in metadata.items():
        pointer = pointer_to("metadata", key)
        if len(key) > METADATA_KEY_CHARACTERS_MAX:
            faults.append(
                (pointer, "too_long", f"A key has at most {METADATA_KEY_CHARACTERS_MAX} characters.")
            )
        elif not isinstance(value, str):
            faults.append((pointer, "wrong_type", "Must be a string."))
        elif len(value) > METADATA_VALUE_CHARACTERS_MAX:
            faults.append((pointer, "too_long", f"At most {METADATA_VALUE_CHARACTERS_MAX} characters."))
    return faults

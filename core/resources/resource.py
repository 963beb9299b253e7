"""A resource as clients see it, and the event that tells of its change."""

from typing import Any, Literal

import orjson

from core.ids import encode
from core.instants import Instant, format_instant
from core.resources.row import ResourceRow
from core.resources.schema import ResourceType

Change = Literal["created", "updated", "deleted"]


def public_id(type_: ResourceType, raw: bytes) -> str:
    """Return the public id of a resource of this type."""
    return encode(type_.id_prefix, raw)


def render(type_: ResourceType, row: ResourceRow) -> bytes:
    """Return the public JSON of a stored resource; the same row always gives the same bytes."""
    return orjson.dumps(public_document(type_, row))


def public_document(type_: ResourceType, row: ResourceRow) -> dict[str, Any]:
    """Return a stored resource as clients see it."""
    return _document(
        type_,
        row.id,
        orjson.loads(row.data),
        external_id=row.external_id,
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _document(
    type_: ResourceType,
    id_: bytes,
    document: dict[str, Any],
    *,
    external_id: str,
    version: int,
    created_at: Instant,
    updated_at: Instant,
) -> dict[str, Any]:
    public: dict[str, Any] = {"id": encode(type_.id_prefix, id_), "object": type_.name, "version": version}
    if external_id:
        public["external_id"] = external_id
    for name in type_.fields:
        if name in document:
            public[name] = document[name]
    public["metadata"] = document.get("metadata", {})
    public["created_at"] = format_instant(created_at)
    public["updated_at"] = format_instant(updated_at)
    return public


def render_document(
    type_: ResourceType,
    id_: bytes,
    document: dict[str, Any],
    *,
    external_id: str,
    version: int,
    created_at: Instant,
    updated_at: Instant,
) -> bytes:
    """Return the public JSON: id, object, version, the fields in the order of the schema, what all have."""
    public = _document(
        type_,
        id_,
        document,
        external_id=external_id,
        version=version,
        created_at=created_at,
        updated_at=updated_at,
    )
    return orjson.dumps(public)


def event_type(type_: ResourceType, change: Change) -> str:
    """Return the type of the event that tells of a change: `message.created`."""
    return f"{type_.name}.{change}"


def event_data(document: bytes, previous: dict[str, Any] | None) -> bytes:
    """Return the `data` member of the event: the object, and on updates what it was before."""
    if previous is None:
        return b'{"object":%b}' % document
    return b'{"object":%b,"previous_attributes":%b}' % (document, orjson.dumps(previous))

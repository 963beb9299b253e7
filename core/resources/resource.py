"""A resource as clients see it, and the event that tells of its change."""

from typing import Any, Literal

import orjson

from core.ids import encode
from core.instants import format_instant
from core.resources.row import ResourceRow
from core.resources.schema import ResourceType

Change = Literal["created", "updated", "deleted"]


def public_id(type_: ResourceType, raw: bytes) -> str:
    """Return the public id of a resource of this type."""
    return encode(type_.id_prefix, raw)


def render(type_: ResourceType, row: ResourceRow, document: dict[str, Any] | None = None) -> bytes:
    """Return the public JSON of a resource; the same row always gives the same bytes.

    Args:
        type_: of the resource.
        row: as it is stored.
        document: the row's `data`, where the caller has it parsed already.
    """
    return orjson.dumps(public_document(type_, row, document))


def public_document(
    type_: ResourceType, row: ResourceRow, document: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return a resource as clients see it: its fields in the order of the schema, then what all have."""
    own = orjson.loads(row.data) if document is None else document
    public: dict[str, Any] = {
        "id": encode(type_.id_prefix, row.id),
        "object": type_.name,
        "version": row.version,
    }
    if row.external_id:
        public["external_id"] = row.external_id
    for name in type_.fields:
        if name in own:
            public[name] = own[name]
    public["metadata"] = own.get("metadata", {})
    public["created_at"] = format_instant(row.created_at)
    public["updated_at"] = format_instant(row.updated_at)
    return public


def event_type(type_: ResourceType, change: Change) -> str:
    """Return the type of the event that tells of a change: `message.created`."""
    return f"{type_.name}.{change}"


def event_data(document: bytes, previous: dict[str, Any] | None) -> bytes:
    """Return the `data` member of the event: the object, and on updates what it was before."""
    if previous is None:
        return b'{"object":%b}' % document
    return b'{"object":%b,"previous_attributes":%b}' % (document, orjson.dumps(previous))

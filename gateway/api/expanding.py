"""Reads the objects that a reader wants to see in place of references."""

import asyncio
from collections.abc import Sequence
from typing import Any

from adapters.postgres.resources import ResourceReader
from core.resources.expansion import Document, Expansion, put_objects
from core.resources.resource import public_document
from core.resources.row import ResourceRow
from gateway.api.call import Call
from gateway.auth import require


def require_all(call: Call, expansion: Expansion) -> None:
    """Accept a caller who may read everything that would be shown.

    Raises:
        TidingsError: `permission_denied` with `required_scope`.
    """
    for type_ in expansion.types():
        require(call.principal, f"resources.{type_.name}:read")


async def expanded(
    reader: ResourceReader, organization_id: bytes, expansion: Expansion, rows: Sequence[ResourceRow]
) -> list[Document]:
    """Return the resources as documents, with the objects in place. One statement for each depth."""
    documents = [public_document(expansion.type, row) for row in rows]
    wanted = [expansion.keys(organization_id, document) for document in documents]
    keys = list({key for one in wanted for key in one.values()})
    found = dict(zip(keys, await asyncio.gather(*(reader.get(*key) for key in keys)), strict=True))
    by_key: dict[Any, Document] = {}
    for name, below in expansion.fields.items():
        known = {key for one in wanted if (key := one.get(name)) is not None}
        there = [row for key in known if (row := found[key]) is not None]
        shown = await expanded(reader, organization_id, below, there) if there else []
        by_key |= {(name, row.key): document for row, document in zip(there, shown, strict=True)}
    for document, one in zip(documents, wanted, strict=True):
        put_objects(document, {n: by_key[n, key] for n, key in one.items() if (n, key) in by_key})
    return documents

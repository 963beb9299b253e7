"""References between resources: a public id, or `ext:` and the own id of the target."""

from typing import Any

from core.errors import TidingsError
from core.ids import decode
from core.resources.document import EXTERNAL, EXTERNAL_ID
from core.resources.schema import ResourceType
from core.streams.command import Target


def target_of(type_: ResourceType, text: str) -> Target | None:
    """Return what an id or an `ext:` id of this type names, or None when it can't name anything."""
    if text.startswith(EXTERNAL):
        external_id = text.removeprefix(EXTERNAL)
        return Target(type_.name, external_id=external_id) if EXTERNAL_ID.fullmatch(external_id) else None
    try:
        return Target(type_.name, decode(type_.id_prefix, text))
    except TidingsError:
        return None


def resolved(document: dict[str, Any], name: str, public_id: str) -> dict[str, Any]:
    """Return the document with one reference written as the public id that it means."""
    return document if document[name] == public_id else {**document, name: public_id}

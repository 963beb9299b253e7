"""References that a reader wants to see as objects: which ones, and where the objects go."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from core.errors import bad_parameter
from core.ids import decode
from core.resources.row import ResourceKey
from core.resources.schema import Catalog, ResourceType

EXPAND: Final = "expand"
PATHS_MAX: Final = 5
DEPTH_MAX: Final = 2

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Expansion:
    """The reference fields of one type's resources that are shown as objects, and what of those in turn."""

    type: ResourceType
    fields: dict[str, "Expansion"] = field(default_factory=dict)

    def types(self) -> Iterator[ResourceType]:
        """Yield the type of everything that is shown besides the resource itself."""
        for below in self.fields.values():
            yield below.type
            yield from below.types()

    def keys(self, organization_id: bytes, document: Document) -> dict[str, ResourceKey]:
        """Return what must be read for one resource, by field."""
        return {
            name: (organization_id, below.type.name, decode(below.type.id_prefix, document[name]))
            for name, below in self.fields.items()
            if document.get(name) is not None
        }


def parse_expand(catalog: Catalog, type_: ResourceType, text: str | None) -> Expansion:
    """Return what `expand=a,b.c` asks for; nothing where the parameter is not given.

    Raises:
        TidingsError: `validation_failed`: a path that names no reference, is too deep, or one too many.
    """
    whole = Expansion(type_)
    paths = [] if text is None else text.split(",")
    if len(paths) > PATHS_MAX:
        raise bad_parameter(EXPAND, "too_long", f"Has at most {PATHS_MAX} paths.")
    for path in paths:
        names = path.split(".")
        if len(names) > DEPTH_MAX:
            raise bad_parameter(EXPAND, "too_long", f"A path has at most {DEPTH_MAX} fields.")
        here = whole
        for name in names:
            target = here.type.references.get(name)
            if target is None:
                known = ", ".join(here.type.references) or "none"
                detail = f"References of the {here.type.name} type: {known}."
                raise bad_parameter(EXPAND, "not_allowed", detail)
            here = here.fields.setdefault(name, Expansion(catalog.by_name[target]))
    return whole


def put_objects(document: Document, objects: Mapping[str, Document]) -> None:
    """Put each object where its id was. A reference without an object keeps its id."""
    document.update(objects)

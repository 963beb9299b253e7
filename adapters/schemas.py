"""Reads the folder of resource types."""

from pathlib import Path

from core.resources.schema import Catalog, SchemaError, check_references, parse_type


def load_catalog(folder: Path) -> Catalog:
    """Return every type that the folder's `*.json` files declare.

    Raises:
        SchemaError: the first file that can't be a type, with pointer and reason.
    """
    if not folder.is_dir():
        raise SchemaError(str(folder), "", "there is no such folder; set TIDINGS_SCHEMAS_DIR.")
    types = {str(path): parse_type(str(path), path.read_bytes()) for path in sorted(folder.glob("*.json"))}
    check_references(types)
    return Catalog(types.values())

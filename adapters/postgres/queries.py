"""SQL as source files: `sql/<noun>.sql` holds entries of `-- name --`, a sentence, and one statement."""

import re
from functools import cache
from importlib.resources import files
from typing import Final

_ENTRY: Final = re.compile(r"^-- (\w+) --\s*$", re.MULTILINE)


@cache
def statements(noun: str) -> dict[str, str]:
    """Return the statements of `sql/<noun>.sql` by name, comments included.

    Raises:
        ValueError: a name stands twice.
    """
    text = files("adapters.postgres").joinpath("sql", f"{noun}.sql").read_text()
    parts = _ENTRY.split(text)[1:]
    found: dict[str, str] = {}
    for name, statement in zip(parts[::2], parts[1::2], strict=True):
        if name in found:
            raise ValueError(f"{noun}.sql names {name} twice")
        found[name] = statement.strip()
    return found


def to_literal(text: str) -> str:
    """Return a text as an SQL literal, for what a statement must hold as such to use its index.

    Only for names from the installation's own schema files.
    """
    if "\\" in text or "\0" in text:
        raise ValueError(f"no name of a field or type: {text!r}")
    return "'" + text.replace("'", "''") + "'"

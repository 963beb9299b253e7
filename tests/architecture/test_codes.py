"""Every error that is registered can happen: somebody in the product answers it."""

import re
from pathlib import Path

from core.errors import Code

ROOT = Path(__file__).parents[2]
ROOMS = ("core", "actors", "adapters", "gateway", "cli")


def answered() -> set[str]:
    """Return the names of the codes that product code mentions, but for the registry itself."""
    sources = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    return {
        name
        for path in sources
        if path != ROOT / "core/errors.py"
        for name in re.findall(r"\bCode\.([A-Z_]+)\b", path.read_text())
    }


def at_the_edge() -> set[str]:
    return {
        name for path in (ROOT / "edge").rglob("*.*") for name in re.findall(r"[a-z_]+", path.read_text())
    }


def test_every_code_is_answered_somewhere() -> None:
    reached, edge = answered(), at_the_edge()
    assert not {code for code in Code if code.name not in reached and code.value not in edge}

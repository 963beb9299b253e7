"""Every error that is registered can happen: somebody in the product answers it."""

import re
from pathlib import Path

import pytest

from core.errors import REGISTRY, Code

ROOT = Path(__file__).parents[2]
ROOMS = ("core", "actors", "adapters", "gateway", "cli")

# Sockets answer bare numbers where no `TidingsError` travels: the row is there for the page that explains it.
BY_NUMBER = {
    Code.PROTOCOL_VIOLATION: "gateway/realtime/client.py",
}


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
    unreached = {code for code in Code if code.name not in reached and code.value not in edge}
    assert unreached == BY_NUMBER.keys()


@pytest.mark.parametrize(("code", "where"), BY_NUMBER.items(), ids=str)
def test_what_is_answered_by_number_is_that_number(code: Code, where: str) -> None:
    text = (ROOT / "core/connections/codes.py").read_text() + (ROOT / where).read_text()
    assert re.search(rf"= {REGISTRY[code].realtime}\b|= {REGISTRY[code].close}\b", text)

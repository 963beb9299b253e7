"""A file has one noun: none is longer than its budget, and no function longer than a screen."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("core", "adapters", "actors", "gateway", "cli", "bench", "docs")
SOURCE_LINES_MAX = 500
TEST_LINES_MAX = 800
FUNCTION_LINES_MAX = 60
OWN_BUDGETS = {"serve_app.py": 120, "core/ports.py": 300}
FORBIDDEN_NAMES = {"utils", "helpers", "common", "misc", "base", "manager", "types"}


def sources() -> list[Path]:
    found = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    return found + [ROOT / name for name in ("settings.py", "wiring.py", "serve_app.py")]


def lines_of(path: Path) -> int:
    return len(path.read_text().splitlines())


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_source_file_stays_within_its_budget(path: Path) -> None:
    budget = OWN_BUDGETS.get(str(path.relative_to(ROOT)), SOURCE_LINES_MAX)
    assert lines_of(path) <= budget, "split it by noun, or by decide and do"


def test_a_test_file_stays_within_its_budget() -> None:
    long = {
        str(path): lines_of(path)
        for path in (ROOT / "tests").rglob("*.py")
        if lines_of(path) > TEST_LINES_MAX
    }
    assert not long


def test_no_function_is_longer_than_a_screen() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno + 1 > FUNCTION_LINES_MAX
    ]
    assert not long


def test_files_are_named_by_nouns_of_the_domain() -> None:
    vague = [
        str(path) for path in sources() if path.stem in FORBIDDEN_NAMES or path.parent.name in FORBIDDEN_NAMES
    ]
    assert not vague

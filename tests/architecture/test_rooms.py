"""The map agrees with the land: rooms in ARCHITECTURE.md, and a test module for every module of `core`."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Signatures only: the contract tests of those who satisfy them are their tests.
NO_BEHAVIOUR = {"core/ports.py"}


def test_the_architecture_names_every_room_and_no_other() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    named = set(re.findall(r"^### `([a-z_./]+?)/?`", text, re.MULTILINE))
    folders = {
        str(path.parent.relative_to(ROOT))
        for top in ("core", "actors", "gateway", "adapters", "cli")
        for path in (ROOT / top).rglob("__init__.py")
    }
    without_inner = {folder for folder in folders if not folder.startswith("adapters/postgres/")}
    assert named >= without_inner
    missing = {name for name in named if not (ROOT / name).exists()}
    assert not missing


def test_every_path_that_the_architecture_names_exists() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    paths = set(re.findall(r"`([a-z_]+(?:/[a-z_0-9.]+)+)`", text))
    assert not {path for path in paths if not (ROOT / path.rstrip("/")).exists()}


def test_every_module_of_core_has_its_test_module() -> None:
    modules = {
        path.relative_to(ROOT)
        for path in (ROOT / "core").rglob("*.py")
        if path.name != "__init__.py" and str(path.relative_to(ROOT)) not in NO_BEHAVIOUR
    }
    untested = {
        str(module)
        for module in modules
        if not (ROOT / "tests/unit" / module.parent / f"test_{module.name}").exists()
    }
    assert not untested


def test_every_unit_test_mirrors_a_module_of_core() -> None:
    tests = (path.relative_to(ROOT / "tests/unit") for path in (ROOT / "tests/unit").rglob("test_*.py"))
    orphans = {
        str(test) for test in tests if not (ROOT / test.parent / test.name.removeprefix("test_")).exists()
    }
    assert not orphans


def test_a_room_explains_itself_and_holds_no_code() -> None:
    for top in ("core", "actors", "gateway", "adapters", "cli"):
        for path in (ROOT / top).rglob("__init__.py"):
            text = path.read_text()
            assert text.startswith('"""'), path
            assert len(text) > 40, f"{path}: say what the room is for"
            assert len(text.splitlines()) <= 20, path
            assert "import" not in text.rpartition('"""')[2], path

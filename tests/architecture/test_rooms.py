"""A room's door says what the room is for, and nothing happens there."""

from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_room_explains_itself_and_holds_no_code() -> None:
    for top in ("core", "actors", "gateway", "adapters", "cli"):
        for path in (ROOT / top).rglob("__init__.py"):
            text = path.read_text()
            assert text.startswith('"""'), path
            assert len(text) > 40, f"{path}: say what the room is for"
            assert len(text.splitlines()) <= 20, path
            assert "import" not in text.rpartition('"""')[2], path

"""The folder of resource types: every file is a type, and the first that is none is named."""

from pathlib import Path

import pytest

from adapters.schemas import load_catalog
from core.resources.schema import SchemaError
from tests.helpers.owners import SCHEMAS


def test_every_json_file_is_a_type_and_nothing_else_is_read(tmp_path: Path) -> None:
    for file in SCHEMAS.glob("*.json"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "README.md").write_text("not a type")
    assert set(load_catalog(tmp_path).names) == {file.stem for file in SCHEMAS.glob("*.json")}


def test_a_folder_without_types_is_an_empty_catalog(tmp_path: Path) -> None:
    assert not load_catalog(tmp_path).names


def test_a_folder_that_is_not_there_is_named_with_the_setting(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="TIDINGS_SCHEMAS_DIR"):
        load_catalog(tmp_path / "nowhere")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"title":"Not A Name"}'])
def test_a_file_that_is_no_type_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "broken.json").write_bytes(content)
    with pytest.raises(SchemaError, match=r"broken\.json"):
        load_catalog(tmp_path)


def test_a_reference_to_a_type_that_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "message.json").write_bytes((SCHEMAS / "message.json").read_bytes())
    with pytest.raises(SchemaError, match="room"):
        load_catalog(tmp_path)

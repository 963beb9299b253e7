"""The data folder: what stands where, who may use it, and what others find in it."""

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.embedded.errors import StartError
from adapters.embedded.folder import DataFolder


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a folder whose path is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="tidings-") as made:
        yield Path(made)


def test_one_process_at_a_time_uses_a_data_folder(folder: Path) -> None:
    first, second = DataFolder(folder / "data"), DataFolder(folder / "data")
    assert first.holder is None
    first.open()
    assert second.holder == os.getpid()
    with pytest.raises(StartError, match=f"runs already .* \\(process {os.getpid()}\\): stop it first"):
        second.open()
    first.close()
    assert second.holder is None
    second.open()
    second.close()


def test_the_lock_ends_with_the_process_that_held_it(folder: Path) -> None:
    source = (
        "import os, sys; from pathlib import Path; from adapters.embedded.folder import DataFolder\n"
        "DataFolder(Path(sys.argv[1])).open(); os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", source, str(folder)], check=False)  # noqa: S603 (ours)
    after = DataFolder(folder)
    assert after.holder is None
    after.open()
    after.close()


def test_a_secret_is_for_its_owner_alone_and_is_replaced_whole(folder: Path) -> None:
    opened = DataFolder(folder)
    (folder / "cli.json.unfinished").write_text("half of an earlier")
    for text in ("{}", '{"a": 1}'):
        opened.write_secret(opened.cli_file, text)
        assert opened.cli_file.read_text() == text
        assert stat.S_IMODE(opened.cli_file.stat().st_mode) == 0o600
    assert [file.name for file in folder.iterdir()] == ["cli.json"]


def test_other_commands_find_what_runs_as_long_as_it_does(folder: Path) -> None:
    up, other, refused = DataFolder(folder), DataFolder(folder), DataFolder(folder)
    assert other.running() == {}
    up.open()
    up.note_running({"DATABASE_URL": "postgresql:///x", "TIDINGS_PORT": "8000"})
    assert other.running() == {"DATABASE_URL": "postgresql:///x", "TIDINGS_PORT": "8000"}
    assert other.database_url_file.read_text() == "postgresql:///x"
    with pytest.raises(StartError):
        refused.open()
    for one in (other, refused):
        one.close()  # who does not hold it takes nothing away
    assert other.running()
    assert other.database_url_file.exists()
    up.close()
    assert other.running() == {}
    assert not other.database_url_file.exists()


def test_a_deep_folder_keeps_its_sockets_where_their_path_fits(folder: Path) -> None:
    deep = DataFolder(folder / ("d" * 60) / ("e" * 60))
    assert len(str(deep.run)) < 60
    assert DataFolder(folder).run == folder / "run"
    assert DataFolder(folder / ("f" * 120)).run != deep.run


def test_a_folder_that_can_not_be_made_is_a_sentence(folder: Path) -> None:
    (folder / "file").write_text("")
    with pytest.raises(StartError, match=r"can't be used .* set TIDINGS_DATA_DIR"):
        DataFolder(folder / "file" / "data").open()


def test_sockets_are_put_where_nobody_else_may_write(folder: Path) -> None:
    (folder / "run").mkdir()
    (folder / "run").chmod(0o777)
    with pytest.raises(StartError, match="belongs to somebody else"):
        DataFolder(folder).open()

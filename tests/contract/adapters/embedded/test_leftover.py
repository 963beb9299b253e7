"""A PostgreSQL that runs on our data: ended when whoever started it is gone, left alone when he is not."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from adapters.embedded.errors import StartError
from adapters.embedded.leftover import end_left_over, note_starter


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tidings-") as made:
        (Path(made) / "data").mkdir()
        yield Path(made)


@contextmanager
def server(folder: Path, *, data: str = "data") -> Iterator[subprocess.Popen[str]]:
    """Run something that looks like PostgreSQL on a data folder, lock file included."""
    binary = folder / "postgres"
    binary.write_text("#!/bin/sh\necho up\nwhile :; do sleep 0.1; done\n")
    binary.chmod(0o755)
    with subprocess.Popen(  # noqa: S603 (ours)
        [str(binary), "-D", str(folder / data)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "up\n"
            (folder / "data" / "postmaster.pid").write_text(f"{process.pid}\n{folder / data}\n")
            yield process
        finally:
            process.kill()


def test_nothing_there_is_nothing_to_end(folder: Path) -> None:
    assert end_left_over(folder / "data", folder, patience_s=1) is None


def test_a_server_whose_starter_is_gone_is_ended_and_named(folder: Path) -> None:
    source = (
        "import sys; from pathlib import Path; from adapters.embedded.leftover import note_starter\n"
        "note_starter(Path(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", source, str(folder)], check=True)  # noqa: S603 (ours)
    with server(folder) as process:
        assert end_left_over(folder / "data", folder, patience_s=5) == process.pid
        assert process.wait(5) is not None


def test_a_server_of_ours_is_ended_too(folder: Path) -> None:
    note_starter(folder)
    with server(folder) as process:
        assert end_left_over(folder / "data", folder, patience_s=5) == process.pid


def test_a_server_whose_starter_lives_is_in_use(folder: Path) -> None:
    parent = psutil.Process(os.getppid())
    (folder / "starter").write_text(f"{parent.pid} {parent.create_time()}")
    with server(folder) as process:
        with pytest.raises(StartError, match=f"Process {parent.pid} runs Tidings on .* already"):
            end_left_over(folder / "data", folder, patience_s=5)
        assert process.poll() is None


def test_a_lock_file_that_outlived_its_server_is_removed(folder: Path) -> None:
    lock = folder / "data" / "postmaster.pid"
    lock.write_text(f"{os.getpid()}\nsomething else has this number by now\n")
    assert end_left_over(folder / "data", folder, patience_s=1) is None
    assert not lock.exists()


def test_a_server_on_other_data_is_left_alone(folder: Path) -> None:
    with server(folder, data="elsewhere") as process:
        assert end_left_over(folder / "data", folder, patience_s=1) is None
        assert process.poll() is None

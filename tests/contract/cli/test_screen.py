"""What a person sees while something takes its time: on a terminal, and in a file."""

import os
import pty
import re
import subprocess
import sys

import pytest

from cli.screen import Screen

STEPS = """
from cli.screen import Screen
screen = Screen()
with screen.step("Ray"):
    with screen.step("PostgreSQL"):
        {inner}
print("end")
"""


def on_a_terminal(inner: str) -> str:
    """Return what a terminal is sent."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(  # noqa: S603 (ours)
        [sys.executable, "-c", STEPS.format(inner=inner)],
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    ) as process:
        os.close(theirs)
        said = b""
        try:
            while piece := os.read(ours, 65_536):
                said += piece
        except OSError:  # Linux's way to say that the other side is closed
            pass
        os.close(ours)
        process.wait(10)
    return said.decode()


def test_a_file_gets_a_line_when_a_step_begins_and_one_when_it_is_done(
    capsys: pytest.CaptureFixture[str],
) -> None:
    screen = Screen()
    with screen.step("Ray"):
        assert capsys.readouterr().out == "  … Ray\n"
        with screen.step("PostgreSQL"):
            assert capsys.readouterr().out == "  … PostgreSQL\n"
        assert re.fullmatch(r"  ✓ PostgreSQL +\d+\.\d s\n", capsys.readouterr().out)
    assert re.fullmatch(r"  ✓ Ray +\d+\.\d s\n", capsys.readouterr().out)


def test_a_step_that_failed_is_not_marked_as_done(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen()
    failed = pytest.raises(ZeroDivisionError)
    with failed, screen.step("Ray"):
        _ = 1 / 0
    assert capsys.readouterr().out == "  … Ray\n"


def test_a_terminal_shows_all_that_runs_in_one_line_that_goes_away() -> None:
    said = on_a_terminal("import time; time.sleep(0.6)")
    assert "Ray, PostgreSQL" in said
    assert "…" not in said
    assert said.count("\x1b[?25l") == said.count("\x1b[?25h") == 1, "the cursor comes back"
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said)
    assert re.search(r"✓ PostgreSQL +0\.\d s", plain)
    assert re.search(r"✓ Ray +0\.\d s", plain)
    assert plain.rstrip().endswith("end")


def test_the_cursor_comes_back_when_a_step_fails() -> None:
    said = on_a_terminal("raise SystemExit(1)")
    assert said.count("\x1b[?25l") == said.count("\x1b[?25h")
    assert "✓" not in said

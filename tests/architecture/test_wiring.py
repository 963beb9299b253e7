"""The composition root does nothing until it is asked: importing it opens, starts and writes nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# An audit hook can't be taken away again, so the import has a process of its own.
WATCHED = """
import sys
FORBIDDEN = {
    "socket.__new__", "socket.bind", "socket.connect", "subprocess.Popen", "os.fork", "os.mkdir", "os.remove",
}
def watch(event, arguments):
    writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    if event in FORBIDDEN or writes:
        raise RuntimeError(f"{event} {arguments}")
sys.addaudithook(watch)
sys.path.insert(0, sys.argv[1])
"""


def imported(statements: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 (our own interpreter)
        [sys.executable, "-B", "-c", f"{WATCHED}{statements}", str(ROOT)],
        capture_output=True,
        text=True,
        env={},
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("module", ["settings", "wiring"])
def test_an_import_has_no_effect(module: str) -> None:
    done = imported(f"import {module}")
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("effect", ["import socket; socket.socket()", "open('x', 'w')"])
def test_an_effect_would_be_seen(effect: str) -> None:
    assert "RuntimeError" in imported(effect).stderr

"""The limit on open files: raised as far as it may go, refused when too low, told when low."""

import subprocess
import sys

import pytest

from adapters.embedded.descriptors import ENOUGH, LEAST, warning_of

RAISE = """
import resource, sys
from adapters.embedded.descriptors import raise_limit
from adapters.embedded.errors import StartError
soft, hard = int(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
try:
    print(raise_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE))
except StartError as error:
    print(error)
"""


def raised(soft: int, hard: int) -> str:
    """Return what a process with these limits makes of them: lowered ones never rise again."""
    command = [sys.executable, "-c", RAISE, str(soft), str(hard)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603 (ours)


def test_the_limit_is_raised_to_what_is_allowed_and_no_further() -> None:
    assert raised(1_024, 5_000) == "5000 5000 5000"
    assert raised(5_000, 5_000) == "5000 5000 5000"


def test_too_low_a_limit_is_a_sentence_that_says_what_to_do() -> None:
    assert raised(512, LEAST - 1).startswith(
        f"This shell allows {LEAST - 1} open files, Tidings needs {LEAST}"
    )
    assert raised(512, LEAST) == f"{LEAST} {LEAST} {LEAST}"


@pytest.mark.parametrize(("limit", "sockets"), [(ENOUGH - 1, "32,567"), (LEAST, "1,848")])
def test_a_low_limit_is_told_in_sockets(limit: int, sockets: str) -> None:
    assert f"about {sockets} sockets" in warning_of(limit)


def test_enough_is_not_worth_a_word() -> None:
    assert warning_of(ENOUGH) == ""

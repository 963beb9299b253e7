"""The running system, attacked from outside while twenty write and fifty listen."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.accounts import organizations
from tests.faults.load import Account
from tests.faults.record import RECORDER
from tests.faults.target import Target
from tests.helpers.loop import run
from tests.helpers.running import Running, given_or_running

LIMIT_S = 600
THIRDS = 3


def pytest_sessionstart(session: pytest.Session) -> None:
    """Say before the run what will be recorded of it; a header would be hidden by `-q`."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write_line(f"faults: {RECORDER.plan()}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was recorded."""
    refused = f", {RECORDER.refused} refused: the tree has changed" if RECORDER.refused else ""
    terminalreporter.write_line(f"faults: {RECORDER.written} trials recorded{refused}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give these tests the time that a whole system and its recovery take.

    `TIDINGS_FAULTS=short` leaves a third of them, another third each day.
    """
    ours = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in ours:
        item.add_marker(pytest.mark.timeout(LIMIT_S))
    if os.environ.get("TIDINGS_FAULTS") == "short":
        today = int(time.time()) // 86_400 % THIRDS
        left_out = [item for number, item in enumerate(ours) if number % THIRDS != today]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="module")
def system() -> Iterator[Running]:
    """Give one running system for the faults of a module; it has to stand all of them."""
    with given_or_running() as found:
        yield found


@pytest.fixture(scope="module")
def accounts(system: Running) -> list[Account]:
    """Give the organizations that write and listen."""
    return run(organizations(system, Target(system)))


@pytest.fixture
def target(system: Running) -> Target:
    """Give the system from outside."""
    return Target(system)

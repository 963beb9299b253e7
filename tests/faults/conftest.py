"""The running system, attacked from outside while twenty write and fifty listen."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.load import Account
from tests.faults.target import Target
from tests.helpers.running import Running, given_or_running

LIMIT_S = 600


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give these tests the time that a whole system and its recovery take."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(LIMIT_S))


@pytest.fixture(scope="module")
def system() -> Iterator[Running]:
    """Give one running system for the faults of a module; it has to stand all of them."""
    with given_or_running() as found:
        yield found


@pytest.fixture
def target(system: Running) -> Target:
    """Give the system from outside."""
    return Target(system)


@pytest.fixture
def accounts(system: Running) -> list[Account]:
    """Give the organizations that write and listen."""
    return [Account(system.organization, system.key)]

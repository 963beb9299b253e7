"""What a user does with the running system, from the README's commands on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.running import Running, given_or_running

LIMIT_S = 300


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give these tests the time that starting a whole system takes."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(LIMIT_S))


@pytest.fixture(scope="session")
def system() -> Iterator[Running]:
    """Give one running system for all tests that leave it as it is."""
    with given_or_running() as found:
        yield found

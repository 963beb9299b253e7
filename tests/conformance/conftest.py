"""The official SDKs against the running system."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conformance.sdk import SDKS
from tests.helpers.running import Running, given_or_running

# Until the system is up, and then as long as an SDK takes to come back.
LIMIT_S = 300


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give these tests the time that starting a whole system takes."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(LIMIT_S))


@pytest.fixture(scope="session")
def system() -> Iterator[Running]:
    """Give one running system for all of these tests."""
    with given_or_running() as found:
        yield found


@pytest.fixture(params=SDKS.values(), ids=SDKS.keys())
def start(request: pytest.FixtureRequest) -> Callable[[], list[str]]:
    """Give each SDK in turn."""
    found: Callable[[], list[str]] = request.param
    return found

"""The official SDKs against the running system."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.kinds import KINDS, SOCKETS, Kind, Site
from tests.conformance.replica import second_replica
from tests.conformance.tenants import Tenant, create, first
from tests.helpers.running import Running, given_or_running

# Until the SDKs are built and the system is up, and then as long as an SDK takes to come back.
LIMIT_S = 600
# Backends on this machine may be called; what has expired ends while a test waits for it; pings come often.
ENVIRONMENT = {
    "TIDINGS_BACKEND_PRIVATE": "true",
    "TIDINGS_REALTIME_EXPIRY_GRACE_S": "5",
    "TIDINGS_REALTIME_PING_S": "9",
}
EVERYTHING = {
    f"allow_{what}_for_{whom}": True
    for what in ("publish", "history", "presence")
    for whom in ("client", "subscriber")
}
KEPT = {"history": "whole", "allow_subscribe_for_client": True, **EVERYTHING}
NAMESPACES = {
    "open": {**KEPT, "presence": True, "join_leave": True, "allow_tags_filter": True},
    "joins": {**KEPT, "presence": True, "join_leave": True, "force_push_join_leave": True},
    "delta": {**KEPT, "delta_publish": True, "allowed_delta_types": ["fossil"]},
    "latest": {**KEPT, "force_recovery": True, "force_recovery_mode": "cache"},
    "window": {**KEPT, "history": "window", "history_size": 2, "history_ttl_s": 3_600},
    "blind": {"allow_subscribe_for_client": True, "allow_publish_for_client": True},
    "readers": {"allow_subscribe_for_client": True, "history": "whole", "presence": True},
    "writers": {"allow_subscribe_for_client": True, "allow_publish_for_subscriber": True},
    "closed": {"history": "whole", "presence": True},
    "users": {**KEPT, "allow_user_limited_channels": True, "allow_subscribe_for_client": False},
    "fleeting": {**KEPT, "history": "off", "ephemeral": True},
    "asked": {"subscribe_proxy": True, "publish_proxy": True},
}
_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give these tests the time that starting a whole system takes."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(LIMIT_S))


@pytest.fixture(scope="session")
def system() -> Iterator[Running]:
    """Give one running system for all of these tests; the SDKs are there before it."""
    for one in KINDS:
        one.command()
    with given_or_running(environment=ENVIRONMENT) as found:
        yield found


@pytest.fixture(scope="session")
def second(system: Running) -> Iterator[Site]:
    """Give another realtime replica of the system: its sockets and streams, without the edge."""
    with second_replica(system.data_dir, ENVIRONMENT) as (sockets, streams):
        yield Site(sockets, streams)


@pytest.fixture(scope="session")
def site(system: Running, second: Site) -> Site:
    """Give the system through its edge; what emulated clients say later reaches another replica."""
    return Site(system.port, second.emulation)


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Give each SDK in turn, with each of its encodings and transports."""
    found: Kind = request.param
    return found


@pytest.fixture(params=SOCKETS, ids=lambda kind: kind.name)
def socket(request: pytest.FixtureRequest) -> Kind:
    """Give each SDK in turn with both encodings: for what no transport makes different."""
    found: Kind = request.param
    return found


@pytest.fixture(scope="session")
def plain(system: Running) -> Tenant:
    """Give the first organization, which has set up nothing."""
    return first(system)


@pytest.fixture(scope="session")
def tenant(system: Running) -> Tenant:
    """Give an organization with a namespace for every purpose; others are unknown."""
    made = create(system, "namespaces")
    made.has_namespaces(**NAMESPACES)
    return made


@pytest.fixture
def name() -> str:
    """Give what no other test's channel is called."""
    return f"{next(_numbers)}"

"""One more connection, or not: what an address and an organization may have, each for itself."""

import pytest

from core.errors import Code
from gateway.realtime.admission import Admission, network_of
from settings import Realtime
from tests.helpers.replica import StoppedClock

ALDER, BIRCH = b"a" * 16, b"b" * 16


def admission(clock: StoppedClock, **settings: float) -> Admission:
    return Admission(Realtime(**settings), clock)  # type: ignore[arg-type]


def test_by_default_an_office_opens_a_thousand_at_once_and_then_five_hundred_a_second() -> None:
    clock = StoppedClock()
    gate = admission(clock)
    assert {gate.admit_address("203.0.113.7") for _ in range(1_000)} == {None}
    assert gate.admit_address("203.0.113.7") is Code.RATE_LIMITED
    clock.seconds += 1
    assert {gate.admit_address("203.0.113.7") for _ in range(500)} == {None}
    assert gate.admit_address("203.0.113.7") is Code.RATE_LIMITED


def test_one_address_takes_nothing_from_another_nor_one_organization() -> None:
    gate = admission(StoppedClock(), address_connects_burst=1, organization_connects_burst=1)
    assert gate.admit_address("203.0.113.7") is None
    assert gate.admit_address("203.0.113.7") is Code.RATE_LIMITED
    assert gate.admit_address("203.0.113.8") is None
    assert gate.admit_connect(ALDER) is None
    assert gate.admit_connect(ALDER) is Code.RATE_LIMITED
    assert gate.admit_connect(BIRCH) is None


def test_what_is_held_counts_until_it_is_released() -> None:
    gate = admission(StoppedClock(), address_connections_max=2, organization_connections_max=2)
    for _ in range(2):
        gate.hold_address("203.0.113.7")
        gate.hold_connect(ALDER)
    assert gate.admit_address("203.0.113.7") is Code.CONCURRENCY_LIMITED
    assert gate.admit_address("203.0.113.8") is None
    assert gate.admit_connect(ALDER) is Code.CONCURRENCY_LIMITED
    assert gate.admit_connect(BIRCH) is None
    gate.release_address("203.0.113.7")
    gate.release_connect(ALDER)
    assert gate.admit_address("203.0.113.7") is None
    assert gate.admit_connect(ALDER) is None
    gate.release_address("203.0.113.7")
    gate.release_connect(ALDER)


def test_who_rested_longest_is_forgotten_when_there_are_too_many() -> None:
    gate = admission(StoppedClock(), address_connects_burst=1, admissions_max=2)
    for address in ("203.0.113.1", "203.0.113.2"):
        assert gate.admit_address(address) is None
    assert gate.admit_address("203.0.113.1") is Code.RATE_LIMITED  # and so it has just been seen
    assert gate.admit_address("203.0.113.3") is None
    assert gate.admit_address("203.0.113.1") is Code.RATE_LIMITED
    assert gate.admit_address("203.0.113.2") is None


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("", ""),
        ("x" * 1_000, "x" * 64),
    ],
)
def test_an_address_is_counted_by_what_one_customer_has(address: str, network: str) -> None:
    assert network_of(address) == network

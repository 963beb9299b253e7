"""Who may open one more connection: by the address it comes from, and by the organization it is of."""

from collections import Counter, OrderedDict
from collections.abc import Hashable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Any, Final, Generic, Literal, TypeVar

from core.errors import Code, TidingsError
from core.limits.bucket import Bucket, Rate, take
from core.ports import Clock
from settings import Realtime

ADDRESS_CHARACTERS_MAX: Final = 64
"""More than any address has; what is longer is no address, and its beginning will do."""
NETWORK_BITS: Final = 64
"""One customer of a provider has at least this much of IPv6 (RFC 6177): he is counted as one."""
ADDRESSES_KEPT: Final = 1_000

Key = TypeVar("Key", bound=Hashable)


class Gate(Generic[Key]):
    """Counts connections by a key: how many are opened in a second, and how many there are.

    Args:
        rate: of each key.
        held_max: of each key at the same time.
        keys_max: whose buckets are kept. One more, and the one that rested longest begins anew.
    """

    def __init__(self, clock: Clock, rate: Rate, *, held_max: int, keys_max: int) -> None:
        self._clock = clock
        self._rate = rate
        self._held_max = held_max
        self._keys_max = keys_max
        self._buckets: OrderedDict[Key, Bucket] = OrderedDict()
        self._held: Counter[Key] = Counter()

    def admit(self, key: Key) -> Code | None:
        """Say why there may not be one more; None: there may. Counts the attempt, and holds nothing."""
        if self._held[key] >= self._held_max:
            return Code.CONCURRENCY_LIMITED
        bucket, verdict = take(self._buckets.pop(key, None), self._rate, self._clock.monotonic())
        self._buckets[key] = bucket
        if len(self._buckets) > self._keys_max:
            self._buckets.popitem(last=False)
        return None if verdict.is_allowed else Code.RATE_LIMITED

    def hold(self, key: Key) -> None:
        """Count a connection until `release`."""
        self._held[key] += 1

    def release(self, key: Key) -> None:
        """Forget a connection."""
        self._held[key] -= 1
        if not self._held[key]:
            del self._held[key]


class Admission:
    """Both gates of a replica, for all its transports.

    A transport asks `admit_address` before it opens a connection and holds the address while that is open;
    a client asks `admit_connect` when it knows whose it is, and holds the organization until it ends. Readers
    of plain streams are counted like clients.
    """

    def __init__(self, settings: Realtime, clock: Clock) -> None:
        self._addresses: Gate[str] = Gate(
            clock,
            Rate(settings.address_connects_per_s, settings.address_connects_burst),
            held_max=settings.address_connections_max,
            keys_max=settings.admissions_max,
        )
        self._organizations: Gate[bytes] = Gate(
            clock,
            Rate(settings.organization_connects_per_s, settings.organization_connects_burst),
            held_max=settings.organization_connections_max,
            keys_max=settings.admissions_max,
        )

    def admit_address(self, address: str) -> Code | None:
        """Say why an address may not open one more connection; None: it may."""
        return self._addresses.admit(network_of(address))

    def hold_address(self, address: str) -> None:
        """Count a connection of the address until `release_address`."""
        self._addresses.hold(network_of(address))

    def release_address(self, address: str) -> None:
        """A connection that was held is closed."""
        self._addresses.release(network_of(address))

    def admit_connect(self, organization_id: bytes) -> Code | None:
        """Say why an organization may not have one more client; None: it may."""
        return self._organizations.admit(organization_id)

    def hold_connect(self, organization_id: bytes) -> None:
        """Count a client of the organization until `release_connect`."""
        self._organizations.hold(organization_id)

    def release_connect(self, organization_id: bytes) -> None:
        """A client that was held is gone."""
        self._organizations.release(organization_id)


def refusal(code: Code, policy: Literal["address", "organization"] = "address") -> TidingsError:
    """Return the error that a request gets which one of the gates did not admit."""
    policies: Any = [policy]
    return TidingsError(code, **{"violated-policies": policies})


@lru_cache(maxsize=ADDRESSES_KEPT)  # each connection asks, and many come from one
def network_of(address: str) -> str:
    """Return what is counted as one: an IPv4 address, or the network of an IPv6 address."""
    try:
        known = ip_address(address)
    except ValueError:
        return address[:ADDRESS_CHARACTERS_MAX]
    if not isinstance(known, IPv6Address):
        return str(known)
    if known.ipv4_mapped is not None:
        return str(known.ipv4_mapped)
    host_bits = known.max_prefixlen - NETWORK_BITS
    return f"{IPv6Address(int(known) >> host_bits << host_bits)}/{NETWORK_BITS}"

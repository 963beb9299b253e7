"""Addresses that may be called on behalf of an organization: none but those of the public internet.

An organization names URLs, and must not reach what only this machine or its network reaches. What is judged
is the address that is connected to, when it is: whatever a name resolved to a moment before.
"""

import socket
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, Final

# Our own table, as `ipaddress.is_global` calls many of these global: it differs from one Python to the next.
# Sources: the special-purpose registries of IANA, but for the last row of each.
_DENIED_4: Final = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # behind a carrier's translator, and metadata of a cloud
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, and metadata of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments, and metadata of a cloud
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
        "168.63.129.16/32",  # the platform of Azure
    )
)
_ALLOWED_6: Final = IPv6Network("2000::/3")
"""Everything else is loopback, local, multicast, or stands for addresses of IPv4."""
_DENIED_6: Final = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: stands for addresses of IPv4
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
        "3ffe::/16",  # the former 6bone (RFC 3701)
    )
)

AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]
"""Family, type, protocol, canonical name, and address: as `socket.getaddrinfo` has them."""


class PrivateAddressError(OSError):
    """The address is not one of the public internet."""


def is_public(text: str) -> bool:
    """Say whether an IP address is one of the public internet; what is none is not."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        return address in _ALLOWED_6 and not any(address in network for network in _DENIED_6)
    return not any(address in network for network in _DENIED_4)


def public_socket(info: AddressInfo) -> socket.socket:
    """Return a socket for a connection to a public address.

    Raises:
        PrivateAddressError: it is none.
    """
    family, kind, protocol, _, address = info
    if not is_public(address[0]):
        raise PrivateAddressError(f"{address[0]} is no public address")
    return socket.socket(family, kind, protocol)

"""Addresses that may be called on behalf of an organization: none but those of the public internet.

An organization names URLs, and must not reach what only this machine or its network reaches. What is judged
is the address that is connected to, when it is: whatever a name resolved to a moment before.
"""

import socket
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Any, Final

_TRANSLATED: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"), IPv6Network("2002::/16"))
"""Stand for addresses of IPv4 behind a translator (RFC 6052, RFC 8215, RFC 3056)."""

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
        if address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        elif any(address in network for network in _TRANSLATED):
            return False
    return address.is_global and not address.is_multicast


def public_socket(info: AddressInfo) -> socket.socket:
    """Return a socket for a connection to a public address.

    Raises:
        PrivateAddressError: it is none.
    """
    family, kind, protocol, _, address = info
    if not is_public(address[0]):
        raise PrivateAddressError(f"{address[0]} is no public address")
    return socket.socket(family, kind, protocol)

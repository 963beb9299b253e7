"""Which addresses may be called on behalf of an organization."""

import socket
from ipaddress import ip_address, ip_network

import pytest

from adapters.http.addresses import PrivateAddressError, is_public, public_socket

DENIED = [
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16",
    "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24",
    "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
    "2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3ffe::/16", "3fff::/20",
]  # fmt: skip
"""Ranges with public neighbours."""
DENIED_WITH_THEIR_NEIGHBOURS = [
    "224.0.0.0/4", "240.0.0.0/4", "::/128", "::1/128", "::/96", "::ffff:0:0/96", "::ffff:0:0:0/96",
    "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "5f00::/16", "fc00::/7", "fe80::/10",
    "fec0::/10", "ff00::/8",
]  # fmt: skip
NONE = [
    "localhost",
    "",
    "1",
    "2130706433",
    "127.1",
    "0x7f.1",
    "0177.0.0.1",
    "\uff11\uff12\uff17.0.0.1",
    "127\u30020\u30020\u30021",
    "[::1]",
]


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.215.14", "168.63.129.17", "2606:4700:4700::1111"])
def test_the_public_internet_may_be_called(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("network", [*DENIED, *DENIED_WITH_THEIR_NEIGHBOURS])
def test_what_is_set_aside_may_not_be_called_from_its_first_address_to_its_last(network: str) -> None:
    found = ip_network(network)
    assert not is_public(str(found[0]))
    assert not is_public(str(found[-1]))


@pytest.mark.parametrize("network", DENIED)
def test_what_follows_it_may(network: str) -> None:
    behind = ip_address(int(ip_network(network)[-1]) + 1)
    is_denied = any(behind in ip_network(other) for other in DENIED)  # 3fff::/20 follows 3ffe::/16
    assert is_public(str(behind)) != is_denied


@pytest.mark.parametrize("address", ["fe80::1%eth0", "::ffff:127.0.0.1", "::ffff:1.1.1.1", "::127.0.0.1"])
def test_no_other_way_to_write_an_address_leads_there(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("text", NONE)
def test_what_is_no_address_may_not_be_called(text: str) -> None:
    assert not is_public(text)


def test_no_socket_is_made_for_what_may_not_be_called() -> None:
    with pytest.raises(PrivateAddressError, match=r"10\.0\.0\.1"):
        public_socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 443)))
    public_socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("1.1.1.1", 443))).close()

"""Which addresses may be called on behalf of an organization."""

import socket

import pytest

from adapters.http.addresses import PrivateAddressError, is_public, public_socket


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.215.14", "2606:4700:4700::1111", "::ffff:1.1.1.1"])
def test_the_public_internet_may_be_called(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
        "169.254.169.254", "100.64.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1",
        "255.255.255.255", "0.0.0.0",  # noqa: S104 (a test case, nothing is bound)
        "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1", "2001:db8::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::1", "2002:7f00:1::",
        "localhost", "", "1", "2130706433", "127.1", "0x7f.1",
    ],
)  # fmt: skip
def test_nothing_else_may(address: str) -> None:
    assert not is_public(address)


def test_no_socket_is_made_for_what_may_not_be_called() -> None:
    with pytest.raises(PrivateAddressError, match=r"10\.0\.0\.1"):
        public_socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 443)))
    public_socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("1.1.1.1", 443))).close()

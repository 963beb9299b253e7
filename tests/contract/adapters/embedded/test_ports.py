"""Ports that can be listened on, and sentences about those that can't."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.embedded.errors import StartError
from adapters.embedded.ports import claimed, shared_listener
from tests.helpers.ports import free_port


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost"])  # noqa: S104 (what an operator may choose)
def test_a_port_is_free_or_its_holder_is_named(host: str) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        said = f"Port {port} \\(api\\) is in use by .* \\(process {os.getpid()}\\): .*TIDINGS_PORT"
        with pytest.raises(StartError, match=said), claimed(host, {"api": port}):
            pass
    with claimed(host, {"api": port}):
        pass


def test_the_second_port_is_looked_at_too() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        ports = {"api": free_port(), "streams": port}
        with pytest.raises(StartError, match="streams"), claimed("127.0.0.1", ports):
            pass


@pytest.mark.skipif(not socket.has_ipv6, reason="this Python has no IPv6")
def test_an_address_of_version_six_is_one_of_this_machine() -> None:
    try:
        holder = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    with holder:
        ports = {"api": holder.getsockname()[1]}
        with pytest.raises(StartError, match="is in use by"), claimed("::1", ports):
            pass
        with claimed("::1", {"api": free_port()}):
            pass


def test_an_address_of_another_machine_is_no_busy_port() -> None:
    said = r"^TIDINGS_HOST is 203\.0\.113\.1, which is no address of this machine"
    ports = {"the edge": free_port()}
    with pytest.raises(StartError, match=said), claimed("203.0.113.1", ports):  # of RFC 5737, nobody's
        pass


def test_the_setting_that_an_address_came_from_is_named() -> None:
    said, ports = r"^TIDINGS_BIND is 203\.0\.113\.1", {"api": free_port()}
    with pytest.raises(StartError, match=said), claimed("203.0.113.1", ports, variable="TIDINGS_BIND"):
        pass


@pytest.mark.parametrize("name", ["no.such.host.invalid", "a" * 70, "999.1.1.1"])
def test_a_name_that_nobody_knows_is_no_busy_port(name: str) -> None:
    said, ports = (
        f"^TIDINGS_HOST is '{name}', which is no address and no known name",
        {"the edge": free_port()},
    )
    with pytest.raises(StartError, match=said), claimed(name, ports):
        pass


def test_a_port_of_root_is_told_as_such() -> None:
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 80:
        pytest.skip("this machine gives every port to everybody")
    source = (
        "import encodings.idna, os\n"  # what the other user may not read any more
        "from adapters.embedded.errors import StartError\n"
        "from adapters.embedded.ports import claimed\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
        "try: claimed('127.0.0.1', {'the edge': 80}).__enter__()\n"
        "except StartError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)  # noqa: S603 (ours)
    assert done.stdout.startswith("Port 80 (the edge) is for root alone"), done.stderr


def test_a_port_is_claimed_before_anything_listens_on_it_and_by_one_alone() -> None:
    port = free_port()
    said = f"Port {port} \\(the edge\\) is in use by .* \\(process {os.getpid()}\\)"
    with claimed("127.0.0.1", {"api": port}):
        with pytest.raises(StartError, match=said), claimed("0.0.0.0", {"the edge": port}):  # noqa: S104 (as operators do)
            pass
        with shared_listener("127.0.0.1", port), shared_listener("127.0.0.1", port):  # no obstacle to its own
            pass
    with claimed("127.0.0.1", {"the edge": port}):
        pass


def test_replicas_of_a_node_share_a_port() -> None:
    port = free_port()
    first, second = shared_listener("127.0.0.1", port), shared_listener("127.0.0.1", port)
    first.close()
    with socket.create_connection(("127.0.0.1", port), timeout=5):
        pass
    second.close()

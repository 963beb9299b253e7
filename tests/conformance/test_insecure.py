"""Who comes without any credential, where everybody may do everything: for development."""

from collections.abc import Iterator

import pytest

from tests.conformance.kinds import SOCKETS, Kind, Site
from tests.conformance.sdk import sdk
from tests.conformance.tenants import Tenant, default_of
from tests.helpers.loop import run
from tests.helpers.running import Running

CLOSED = {"history": "whole", "presence": True}


@pytest.fixture(scope="module")
def everybody(system: Running) -> Iterator[Tenant]:
    """Give the organization that asks nobody for anything."""
    with default_of(system, "client_insecure", "closed:1", {"closed": CLOSED, "off": {}}) as made:
        yield made


@pytest.mark.usefixtures("everybody")
def test_everybody_may_do_all_but_what_is_off(site: Site, kind: Kind, name: str) -> None:
    channel = f"closed:{name}"

    async def conversation() -> None:
        async with sdk(kind, site) as client:
            connected = await client.last("connected")
            assert (await client.subscribed(channel))["recoverable"] is True
            await client.call("publish", channel=channel, data={"n": 1})
            assert (await client.last("publication"))["user"] == ""
            assert (await client.call("history", channel=channel, limit=1))["offset"] == 1
            inside = await client.call("presence", channel=channel)
            assert list(inside["clients"]) == [connected["client"]]
            await client.subscribed(f"{channel}#bob")
            assert await client.refusal("presence", channel="off:1") == 108
            assert await client.refusal("history", channel="off:1", limit=1) == 108
            assert await client.refusal("publish", channel="nowhere:1", data=1) == 102
            await client.call("subscribe", channel="$closed:1")
            assert (await client.last("unsubscribed"))["code"] == 103

    run(conversation())


def test_a_token_that_is_brought_must_be_good(everybody: Tenant, site: Site) -> None:
    async def conversation(kind: Kind) -> None:
        async with sdk(kind, site, everybody.token("ann", secret="x" * 40)) as client:
            assert (await client.last("disconnected"))["code"] == 3500
        expired = everybody.token("ann", lifetime_s=-60)
        async with sdk(kind, site, expired, everybody.token("ann")) as client:
            await client.heard("connected")
            assert len(client.so_far("token asked")) == 1

    for kind in SOCKETS[::2]:
        run(conversation(kind))

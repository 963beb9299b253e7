"""Who comes without any credential, where nobody is let in, too."""

from collections.abc import Iterator

import pytest

from tests.conformance.conftest import NAMESPACES
from tests.conformance.kinds import Kind, Site
from tests.conformance.sdk import sdk
from tests.conformance.tenants import Tenant, default_of
from tests.helpers.loop import run
from tests.helpers.running import Running

# What clients may, and those without a name, too; in `open` they may not.
GUESTS = {
    "history": "whole",
    "allow_subscribe_for_client": True,
    "allow_subscribe_for_anonymous": True,
    "allow_history_for_client": True,
    "allow_history_for_anonymous": True,
    "allow_publish_for_client": True,
}


@pytest.fixture(scope="module")
def guests(system: Running) -> Iterator[Tenant]:
    """Give the organization that lets nobody in, for some of its channels."""
    with default_of(system, "anonymous", "guests:1", {"guests": GUESTS, "open": NAMESPACES["open"]}) as made:
        yield made


def test_nobody_may_do_what_the_namespace_says(guests: Tenant, site: Site, kind: Kind, name: str) -> None:
    channel = f"guests:{name}"

    async def conversation() -> None:
        async with sdk(kind, site) as client:
            await client.subscribed(channel)
            guests.publish(channel, {"n": 1})
            await client.heard("publication")
            assert (await client.call("history", channel=channel, limit=1))["offset"] == 1
            assert await client.refusal("publish", channel=channel, data=1) == 103
            await client.call("subscribe", channel="open:1")
            assert (await client.last("unsubscribed"))["code"] == 103

    run(conversation())

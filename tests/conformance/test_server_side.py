"""Channels that the server subscribes a client to: by its token, by its user, by an order."""

import pytest

from tests.conformance.kinds import GO, JAVASCRIPT, KINDS, Kind, Site
from tests.conformance.sdk import sdk
from tests.conformance.tenants import Tenant, create, documents
from tests.helpers.loop import run
from tests.helpers.relay import Relay
from tests.helpers.running import Running

USERS = {
    "presence": True,
    "join_leave": True,
    "force_push_join_leave": True,
    "history": "whole",
    "allow_user_limited_channels": True,
    "allow_publish_for_subscriber": True,
    "allow_presence_for_subscriber": True,
}


@pytest.fixture(scope="module")
def personal(system: Running) -> Tenant:
    """Give an organization whose users each have a channel of their own."""
    made = create(system, "personal")
    made.has_namespaces(users=USERS)
    made.rest("PATCH", "/v1/organization", {"user_personal_channel": {"enabled": True, "namespace": "users"}})
    return made


@pytest.mark.parametrize("claim", ["channels", "subs"])
def test_a_token_subscribes_its_client(tenant: Tenant, site: Site, kind: Kind, name: str, claim: str) -> None:
    channel = f"joins:{name}"
    claims = {"channels": [channel]} if claim == "channels" else {"subs": {channel: {"data": {"w": 1}}}}

    async def conversation() -> None:
        async with sdk(kind, site, tenant.token("ann", **claims)) as client:
            subscribed = await client.last("server subscribed", channel=channel)
            assert (subscribed["recoverable"], subscribed["positioned"]) == (True, True)
            assert subscribed["data"] == (None if claim == "channels" else {"w": 1})
            assert (await client.last("server join", channel=channel))["user"] == "ann"
            tenant.publish(channel, {"n": 1}, tags={"t": "x"})
            seen = await client.last("server publication", channel=channel)
            assert (seen["data"], seen["offset"], seen["tags"]) == ({"n": 1}, 1, {"t": "x"})
            assert (await client.call("presence_stats", channel=channel))["num_clients"] == 1

    run(conversation())


def test_server_side_subscriptions_recover_over_a_dropped_connection(
    tenant: Tenant, site: Site, kind: Kind, name: str
) -> None:
    channels = [f"open:{name}-{n}" for n in range(2)]

    async def conversation() -> None:
        async with Relay("127.0.0.1", site.port) as relay:
            token = tenant.token("ann", channels=channels)
            async with sdk(kind, site.through(relay.port), token) as client:
                for channel in channels:
                    await client.heard("server subscribed", channel=channel)
                    tenant.publish(channel, *documents(range(3)))
                    await client.heard("server publication", 3, channel=channel)
                relay.cut()
                for channel in channels:
                    tenant.publish(channel, *documents(range(3, 500)))
                relay.heal()
                for channel in channels:
                    again = await client.last("server subscribed", 2, channel=channel)
                    assert (again["was_recovering"], again["recovered"]) == (True, True)
                    seen = await client.heard("server publication", 500, channel=channel)
                    assert [event["offset"] for event in seen] == list(range(1, 501))
                    assert [event["data"]["n"] for event in seen] == list(range(500))

    run(conversation())


def test_a_user_has_a_channel_of_its_own_and_may_publish_there(
    personal: Tenant, site: Site, kind: Kind, name: str
) -> None:
    user = f"ann-{name}"
    channel = f"users:#{user}"

    async def conversation() -> None:
        async with sdk(kind, site, personal.token(user)) as client:
            await client.heard("server subscribed", channel=channel)
            assert (await client.last("server join", channel=channel))["user"] == user
            await client.call("publish", channel=channel, data={"n": 1})
            seen = await client.last("server publication", channel=channel)
            assert (seen["data"], seen["user"]) == ({"n": 1}, user)
            assert (await client.call("presence_stats", channel=channel)) == {
                "num_clients": 1,
                "num_users": 1,
            }
            assert await client.refusal("publish", channel="users:#bob", data=1) == 103

    run(conversation())


def test_a_single_connection_ends_the_others_of_its_user(system: Running, site: Site) -> None:
    single = create(system, "single")
    single.rest(
        "PATCH", "/v1/organization", {"user_personal_channel": {"enabled": True, "single_connection": True}}
    )

    async def conversation() -> None:
        async with sdk(GO, site, single.token("ann")) as one, sdk(GO, site, single.token("bob")) as other:
            await one.heard("connected")
            await other.heard("connected")
            async with sdk(JAVASCRIPT, site, single.token("ann")) as next_one:
                await next_one.heard("connected")
                assert (await one.last("disconnected"))["code"] == 3504
                assert not other.so_far("disconnected")
                assert not next_one.so_far("disconnected")

    run(conversation())


# The Python SDK passes over what the server subscribes later.
@pytest.mark.parametrize("kind", [one for one in KINDS if one.sdk != "python"], ids=lambda kind: kind.name)
def test_the_server_subscribes_and_unsubscribes_a_user_that_is_in(
    tenant: Tenant, site: Site, kind: Kind, name: str
) -> None:
    user, channel = f"ann-{name}", f"open:{name}"

    async def conversation() -> None:
        async with sdk(kind, site, tenant.token(user)) as client:
            await client.heard("connected")
            tenant.api("subscribe", user=user, channel=channel, data={"w": 1})
            assert (await client.last("server subscribed", channel=channel))["data"] == {"w": 1}
            tenant.publish(channel, {"n": 1})
            await client.heard("server publication", channel=channel)
            tenant.api("unsubscribe", user=user, channel=channel)
            await client.heard("server unsubscribed", channel=channel)
            assert (await client.call("presence_stats", channel=channel))["num_clients"] == 0

    run(conversation())

"""Who is in a channel: seen by those who are on another replica."""

from tests.conformance.kinds import GO, Kind, Site
from tests.conformance.sdk import sdk
from tests.conformance.tenants import Tenant
from tests.helpers.loop import run

NOBODY = {"num_clients": 0, "num_users": 0}


def test_presence_tells_who_is_in_and_with_which_terms(
    tenant: Tenant, site: Site, second: Site, kind: Kind, name: str
) -> None:
    channel = f"open:{name}"

    async def conversation() -> None:
        async with (
            sdk(GO, second, tenant.token("bob")) as watcher,
            sdk(kind, site, tenant.token("ann", info={"name": "Ann"})) as client,
        ):
            connected = await client.last("connected")
            assert await watcher.call("presence_stats", channel=channel) == NOBODY
            assert await client.call("presence", channel=channel) == {"clients": {}}
            token = tenant.token("ann", channel=channel, info={"role": "host"})
            await client.subscribed(channel, tokens=[token])
            ann = {
                "user": "ann",
                "client": connected["client"],
                "conn_info": {"name": "Ann"},
                "chan_info": {"role": "host"},
            }
            for one in (client, watcher):
                assert await one.call("presence", channel=channel) == {"clients": {ann["client"]: ann}}
            await watcher.subscribed(channel, join_leave=True)
            for one in (client, watcher):
                stats = await one.call("presence_stats", channel=channel)
                assert stats == {"num_clients": 2, "num_users": 2}
            await client.call("unsubscribe", channel=channel)
            # The reply to the next command comes after that of the unsubscribe.
            if kind.is_emulated:  # unless that is a request of its own, which may come first
                await watcher.last("leave", user="ann")
            assert (await client.call("presence_stats", channel=channel))["num_clients"] == 1
            assert (await watcher.call("presence_stats", channel=channel))["num_clients"] == 1

    run(conversation())


def test_joins_and_leaves_come_to_those_who_ask_each_once(
    tenant: Tenant, site: Site, second: Site, kind: Kind, name: str
) -> None:
    channel = f"open:{name}"

    async def conversation() -> None:
        async with sdk(kind, second if not kind.is_emulated else site, tenant.token("bob")) as watcher:
            await watcher.subscribed(channel, join_leave=True)
            assert (await watcher.last("join"))["user"] == "bob"
            async with sdk(GO, site, tenant.token("ann", info={"name": "Ann"})) as client:
                await client.subscribed(channel)
                assert (await watcher.last("join", user="ann"))["conn_info"] == {"name": "Ann"}
                await client.call("unsubscribe", channel=channel)
                assert (await watcher.last("leave", user="ann"))["conn_info"] == {"name": "Ann"}
                await client.call("resubscribe", channel=channel)
                await watcher.heard("join", 2, user="ann")
            await watcher.heard("leave", 2, user="ann")
            assert not client.so_far("join")
            assert (await watcher.call("presence_stats", channel=channel))["num_clients"] == 1
            assert [len(watcher.so_far(what)) for what in ("join", "leave")] == [3, 2]

    run(conversation())


def test_a_client_that_goes_away_without_a_word_leaves(
    tenant: Tenant, site: Site, second: Site, kind: Kind, name: str
) -> None:
    channel = f"joins:{name}"

    async def conversation() -> None:
        async with sdk(GO, second, tenant.token("bob")) as watcher:
            await watcher.subscribed(channel)
            async with sdk(kind, site, tenant.token("ann")) as client:
                await client.subscribed(channel)
                assert (await client.last("join"))["user"] == "ann"  # forced: it did not ask
                await watcher.heard("join", user="ann")
                await client.call("disconnect")
                assert (await client.last("disconnected"))["code"] == 0
                await watcher.heard("leave", user="ann")
                await client.call("reconnect")
                await watcher.heard("join", 2, user="ann")
            await watcher.heard("leave", 2, user="ann")

    run(conversation())

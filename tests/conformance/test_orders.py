"""What Centrifugo's HTTP API does to clients that are in, on whichever replica."""

import pytest

from tests.conformance.kinds import GO, KINDS, Kind, Site
from tests.conformance.sdk import sdk
from tests.conformance.tenants import Tenant, create, documents
from tests.conformance.together import together
from tests.helpers.loop import run
from tests.helpers.running import Running


def test_a_user_is_sent_away_for_good_on_every_replica(
    tenant: Tenant, site: Site, second: Site, kind: Kind, name: str
) -> None:
    user = f"ann-{name}"

    async def conversation() -> None:
        async with (
            sdk(kind, site, tenant.token(user)) as client,
            sdk(GO, second, tenant.token(user)) as elsewhere,
            sdk(GO, second, tenant.token("bob")) as other,
        ):
            for one in (client, elsewhere, other):
                await one.heard("connected")
            tenant.api("disconnect", user=user)
            for one in (client, elsewhere):
                ended = await one.last("disconnected")
                assert (ended["code"], ended["reason"]) == (3503, "force disconnect")
            assert not other.so_far("disconnected")

    run(conversation())


@pytest.mark.parametrize("attempt", range(3))
def test_the_first_client_of_an_organization_hears_of_an_order_that_follows_its_connect_at_once(
    system: Running, site: Site, name: str, attempt: int
) -> None:
    organization = create(system, f"first-{name}-{attempt}")
    organization.api("info")  # the other side of it is awake

    async def conversation() -> None:
        async with sdk(GO, site, organization.token("ann")) as client:
            await client.heard("connected")
            organization.api("disconnect", user="ann")
            assert (await client.last("disconnected"))["code"] == 3503

    run(conversation())


@pytest.mark.parametrize(("code", "comes_back"), [(3501, False), (4001, True), (4500, False), (3000, True)])
def test_the_code_of_an_order_tells_whether_the_client_comes_back(
    tenant: Tenant, site: Site, name: str, code: int, *, comes_back: bool
) -> None:
    async def conversation(kind: Kind) -> None:
        user = f"ann-{name}-{kind.name}"
        async with sdk(kind, site, tenant.token(user)) as client:
            await client.heard("connected")
            tenant.api("disconnect", user=user, disconnect={"code": code, "reason": "go away"})
            if not comes_back:
                ended = await client.last("disconnected")
                assert (ended["code"], ended["reason"]) == (code, "go away")
                return
            lost = await client.last("connecting", 2)
            # 3000 is never said: the connection is gone without a word.
            assert lost["code"] == (1 if code == 3000 else code)
            await client.heard("connected", 2)

    together(KINDS, conversation)


def test_a_user_is_unsubscribed_from_a_channel_or_from_all(
    tenant: Tenant, site: Site, kind: Kind, name: str
) -> None:
    user = f"ann-{name}"
    channels = [f"open:{name}-{n}" for n in range(3)]

    async def conversation() -> None:
        async with sdk(kind, site, tenant.token(user)) as client:
            for channel in channels:
                await client.subscribed(channel)
            tenant.api("unsubscribe", user=user, channel=channels[0])
            ended = await client.last("unsubscribed", channel=channels[0])
            assert (ended["code"], ended["reason"]) == (2000, "server unsubscribe")
            assert len(client.so_far("unsubscribed")) == 1
            tenant.api("unsubscribe", user=user, channel="")
            for channel in channels[1:]:
                await client.heard("unsubscribed", channel=channel)
            await client.call("resubscribe", channel=channels[0])
            await client.heard("subscribed", 2, channel=channels[0])

    run(conversation())


def test_what_the_http_api_publishes_and_shows_is_what_clients_see(
    tenant: Tenant, site: Site, socket: Kind, name: str
) -> None:
    channels = [f"open:{name}-{n}" for n in range(2)]

    async def conversation() -> None:
        async with sdk(socket, site, tenant.token("ann")) as client:
            for channel in channels:
                await client.subscribed(channel)
            position = tenant.api("publish", channel=channels[0], data={"n": 0}, tags={"a": "b"})
            tenant.api("broadcast", channels=channels, data={"n": 1})
            seen = await client.heard("publication", 2, channel=channels[0])
            assert [(one["data"], one["offset"], one["tags"]) for one in seen] == [
                ({"n": 0}, 1, {"a": "b"}),
                ({"n": 1}, 2, {}),
            ]
            await client.heard("publication", 1, channel=channels[1])
            shown = tenant.api("history", channel=channels[0], limit=10)
            assert [one["data"] for one in shown["publications"]] == documents(range(2))
            page = await client.call("history", channel=channels[0], limit=0)
            assert (
                (page["epoch"], page["offset"]) == (position["epoch"], shown["offset"]) == (shown["epoch"], 2)
            )
            inside = await client.call("presence", channel=channels[0])
            assert tenant.api("presence", channel=channels[0])["presence"].keys() == inside["clients"].keys()
            assert tenant.api("presence_stats", channel=channels[0])["num_clients"] == 1
            tenant.api("history_remove", channel=channels[0])
            page = await client.call("history", channel=channels[0], limit=10)
            assert (page["publications"], page["offset"]) == ([], 2)

    run(conversation())


def test_clients_that_say_nothing_stay_as_long_as_they_answer_pings(plain: Tenant, site: Site) -> None:
    """Two pings and the time to answer them: who did not answer the first would be gone by then."""

    async def conversation(kind: Kind) -> None:
        async with sdk(kind, site, plain.token("ann")) as client:
            await client.heard("connected")
            with pytest.raises(AssertionError):
                await client.heard("connecting", 2, within_s=19)
            assert len(client.so_far("connected")) == 1
            assert not client.so_far("disconnected")

    together(KINDS, conversation)

"""What the options of a namespace make of its channels."""

import base64
import json
import random
from typing import Any

import pytest

from tests.conformance.kinds import KINDS, SOCKETS, Kind, Site
from tests.conformance.sdk import Sdk, sdk
from tests.conformance.tenants import Tenant, documents
from tests.helpers.loop import run
from tests.helpers.relay import Relay

SEED = 20_261_122
NO_JSON = b"\x00\xff no document \xfe"


def offsets(events: list[dict[str, Any]]) -> list[int]:
    return [event["offset"] for event in events]


@pytest.mark.parametrize(
    ("command", "channel", "code"),
    [
        ("publish", "nowhere:1", 102),
        ("publish", "open:gräßlich", 107),
        ("publish", "open:" + "x" * 300, 107),
        ("publish", "readers:1", 103),
        ("publish", "writers:1", 103),
        ("history", "nowhere:1", 102),
        ("history", "blind:1", 108),
        ("history", "readers:1", 103),
        ("presence", "nowhere:1", 102),
        ("presence", "blind:1", 108),
        ("presence", "readers:1", 103),
        ("presence_stats", "blind:1", 108),
        ("presence_stats", "closed:1", 103),
        ("rpc", "", 108),
    ],
)
def test_what_is_refused_has_its_code_and_the_connection_stays(
    tenant: Tenant, site: Site, command: str, channel: str, code: int
) -> None:
    fields: dict[str, Any] = {"channel": channel}
    match command:
        case "publish":
            fields["data"] = {"n": 1}
        case "history":
            fields["limit"] = 10
        case "rpc":
            fields = {"method": "any", "data": {}}

    async def conversation(kind: Kind) -> None:
        async with sdk(kind, site, tenant.token("ann")) as client:
            assert await client.refusal(command, **fields) == code
            assert await client.call("history", channel="open:never", limit=1)
            assert len(client.so_far("connected")) == 1

    for kind in (SOCKETS[0], SOCKETS[-1]):
        run(conversation(kind))


def test_a_subscribe_that_is_refused_is_over_for_good(tenant: Tenant, site: Site, kind: Kind) -> None:
    async def conversation() -> None:
        async with sdk(kind, site, tenant.token("ann")) as client:
            for channel, code in (("nowhere:1", 102), ("closed:1", 103), ("open:ä", 107)):
                await client.call("subscribe", channel=channel)
                assert (await client.last("unsubscribed", channel=channel))["code"] == code
            await client.subscribed("open:1")
            assert len(client.so_far("connected")) == 1

    run(conversation())


def test_a_connection_has_room_for_so_many_subscriptions_at_once(
    tenant: Tenant, site: Site, kind: Kind
) -> None:
    async def conversation() -> None:
        async with sdk(kind, site, tenant.token("ann")) as client:
            for n in range(129):
                await client.call("subscribe", channel=f"open:many-{n}")
            assert [event["code"] for event in await client.heard("unsubscribed")] == [106]
            await client.heard("subscribed", 128)

    run(conversation())


def test_a_subscriber_may_publish_where_subscribers_may(
    tenant: Tenant, site: Site, socket: Kind, name: str
) -> None:
    channel = f"writers:{name}"

    async def conversation() -> None:
        async with sdk(socket, site, tenant.token("ann")) as client:
            assert await client.refusal("publish", channel=channel, data=None) == 103
            await client.subscribed(channel)
            for data in (None, 1, "text", [1, {"a": "ü"}], {"n": 1.5}):
                await client.call("publish", channel=channel, data=data)
            seen = await client.heard("publication", 5)
            assert [event["data"] for event in seen] == [None, 1, "text", [1, {"a": "ü"}], {"n": 1.5}]
            assert {event["user"] for event in seen} == {"ann"}

    run(conversation())


def test_a_channel_of_users_opens_to_those_that_it_names(tenant: Tenant, site: Site, socket: Kind) -> None:
    async def conversation() -> None:
        async with sdk(socket, site, tenant.token("ann")) as client:
            await client.subscribed("users:1#bob,ann")
            await client.call("subscribe", channel="users:1#bob")
            assert (await client.last("unsubscribed"))["code"] == 103

    run(conversation())


def changed(number: int) -> list[dict[str, Any]]:
    """Return a document and what small edits make of it, one after the other."""
    chance = random.Random(SEED)  # noqa: S311 (edits, no secrets)
    now: dict[str, Any] = {"title": "žluťoučký kůň 🐎", "players": [{"id": n, "score": 0} for n in range(40)]}
    found = []
    for _ in range(number):
        now = json.loads(json.dumps(now))
        chance.choice(now["players"])["score"] = chance.randrange(10**6)
        found.append(now)
    return found


def test_documents_that_travel_as_differences_are_what_was_published(
    tenant: Tenant, site: Site, kind: Kind, name: str
) -> None:
    channel, given = f"delta:{name}", changed(60)

    async def conversation() -> None:
        async with (
            Relay("127.0.0.1", site.port) as relay,
            sdk(kind, site.through(relay.port), tenant.token("ann")) as client,
        ):
            await client.subscribed(channel, delta="fossil")
            tenant.publish(channel, *given[:20])
            await client.heard("publication", 20)
            relay.cut()
            tenant.publish(channel, *given[20:40])
            relay.heal()
            assert (await client.last("subscribed", 2))["recovered"] is True
            tenant.publish(channel, *given[40:])
            seen = await client.heard("publication", 60)
            assert [event["data"] for event in seen] == given
            assert offsets(seen) == list(range(1, 61))
            page = await client.call("history", channel=channel, limit=60)
            assert [pub["data"] for pub in page["publications"]] == given

    run(conversation())


def test_a_filter_lets_through_what_its_tags_fit(tenant: Tenant, site: Site, kind: Kind, name: str) -> None:
    channel = f"open:{name}"
    wanted = {
        "op": "and",
        "nodes": [
            {"key": "room", "cmp": "in", "vals": ["a", "b"]},
            {"key": "weight", "cmp": "gte", "val": "10"},
            {"op": "not", "nodes": [{"key": "draft", "cmp": "eq", "val": "yes"}]},
        ],
    }
    tags = [
        {"room": "a", "weight": "9"},
        {"room": "a", "weight": "10"},
        {"room": "c", "weight": "100"},
        {"room": "b", "weight": "10.5", "draft": "yes"},
        {},
        {"room": "b", "weight": "100", "draft": "no"},
    ]

    async def conversation() -> None:
        async with (
            Relay("127.0.0.1", site.port) as relay,
            sdk(kind, site.through(relay.port), tenant.token("ann")) as client,
        ):
            await client.subscribed(channel, tags_filter=wanted)
            for one in tags:
                tenant.publish(channel, {"n": 1}, tags=one)
            assert offsets(await client.heard("publication", 2)) == [2, 6]
            relay.cut()
            for one in tags:
                tenant.publish(channel, {"n": 2}, tags=one)
            relay.heal()
            again = await client.last("subscribed", 2)
            assert (again["was_recovering"], again["recovered"]) == (True, True)
            seen = await client.heard("publication", 4)
            assert offsets(seen) == [2, 6, 8, 12]
            assert seen[-1]["tags"] == tags[-1]

    run(conversation())


def test_a_channel_of_the_latest_brings_that_one_alone(
    tenant: Tenant, site: Site, kind: Kind, name: str
) -> None:
    channel = f"latest:{name}"

    async def conversation() -> None:
        async with (
            Relay("127.0.0.1", site.port) as relay,
            sdk(kind, site.through(relay.port), tenant.token("ann")) as client,
        ):
            await client.subscribed(channel)
            tenant.publish(channel, *documents(range(3)))
            await client.heard("publication", 3)
            relay.cut()
            tenant.publish(channel, *documents(range(3, 10)))
            relay.heal()
            assert (await client.last("subscribed", 2))["recovered"] is True
            tenant.publish(channel, {"n": 10})
            assert offsets(await client.heard("publication", 5)) == [1, 2, 3, 10, 11]

    run(conversation())


def test_who_comes_back_after_more_than_a_window_is_told_so(
    tenant: Tenant, site: Site, kind: Kind, name: str
) -> None:
    channel = f"window:{name}"

    async def conversation() -> None:
        async with (
            Relay("127.0.0.1", site.port) as relay,
            sdk(kind, site.through(relay.port), tenant.token("ann")) as client,
        ):
            await client.subscribed(channel)
            tenant.publish(channel, {"n": 1})
            await client.heard("publication")
            relay.cut()
            tenant.publish(channel, *documents(range(2)))
            relay.heal()
            assert (await client.last("subscribed", 2))["recovered"] is True
            await client.heard("publication", 3)
            relay.cut()
            tenant.publish(channel, *documents(range(3)))
            relay.heal()
            again = await client.last("subscribed", 3)
            assert (again["was_recovering"], again["recovered"], again["offset"]) == (True, False, 6)
            page = await client.call("history", channel=channel, limit=10)
            assert (offsets(page["publications"]), page["offset"]) == ([5, 6], 6)
            since = {"offset": 1, "epoch": page["epoch"]}
            trimmed = await client.call("history", channel=channel, limit=10, since=since)
            assert offsets(trimmed["publications"]) == [5, 6]
            back = await client.call("history", channel=channel, limit=10, reverse=True)
            assert offsets(back["publications"]) == [6, 5]
            tenant.publish(channel, {"n": 7})
            assert offsets(await client.heard("publication", 4)) == [1, 2, 3, 7]

    run(conversation())


def test_what_is_not_kept_is_passed_on_without_a_position(
    tenant: Tenant, site: Site, socket: Kind, name: str
) -> None:
    channel = f"fleeting:{name}"

    async def conversation() -> None:
        async with sdk(socket, site, tenant.token("ann")) as client:
            assert (await client.subscribed(channel))["recoverable"] is False
            await client.call("publish", channel=channel, data={"n": 1})
            tenant.publish(channel, {"n": 2})
            seen = await client.heard("publication", 2)
            assert [(event["data"]["n"], event["offset"]) for event in seen] == [(1, 0), (2, 0)]

    run(conversation())


@pytest.mark.parametrize("kind", [one for one in KINDS if one.protobuf], ids=lambda kind: kind.name)
def test_bytes_that_are_no_document_travel_as_they_are_and_end_a_json_connection_with_3506(
    tenant: Tenant, site: Site, kind: Kind, name: str
) -> None:
    channel, encoded = f"open:{name}", base64.b64encode(NO_JSON).decode()

    async def published(client: Sdk) -> None:
        await client.subscribed(channel)
        await client.call("publish", channel=channel, base64=encoded)
        assert (await client.last("publication"))["data"] == {"base64": encoded}
        page = await client.call("history", channel=channel, limit=10)
        assert [pub["data"] for pub in page["publications"]] == [{"base64": encoded}]

    async def conversation() -> None:
        async with (
            sdk(kind, site, tenant.token("ann")) as client,
            sdk(SOCKETS[0], site, tenant.token("bob")) as other,
        ):
            await other.subscribed(channel)
            await published(client)
            ended = await other.last("disconnected")
            assert (ended["code"], ended["reason"]) == (3506, "inappropriate protocol")

    run(conversation())

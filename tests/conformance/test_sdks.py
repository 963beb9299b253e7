"""What an application does with an official SDK, and what happens to it when things go wrong."""

from typing import Any

import pytest

from tests.conformance.kinds import GO, JAVASCRIPT, KINDS, PYTHON, Kind, Site
from tests.conformance.sdk import sdk
from tests.conformance.tenants import Tenant, documents
from tests.helpers.loop import run
from tests.helpers.relay import Relay

MISSED = 5_000
PART = 500
CUTS = 6
BATCH = 1_000


@pytest.fixture
def channel(name: str) -> str:
    return f"conformance:{name}"


def publish(plain: Tenant, channel: str, numbers: range) -> None:
    for start in range(0, len(numbers), BATCH):
        plain.publish(channel, *documents(numbers[start : start + BATCH]))


def numbers_of(events: list[dict[str, Any]]) -> list[int]:
    return [event["data"]["n"] for event in events]


def test_a_client_sees_its_own_publication_with_its_position(
    plain: Tenant, site: Site, kind: Kind, channel: str
) -> None:
    async def conversation() -> None:
        async with sdk(kind, site, plain.key) as client:
            first = await client.subscribed(channel)
            assert (first["recoverable"], first["positioned"], first["offset"]) == (True, True, 0)
            assert first["epoch"] not in ("", "_")
            await client.call("publish", channel=channel, data={"n": 1, "text": "grüß dich ☃"})
            seen = await client.last("publication")
            assert (seen["data"], seen["offset"]) == ({"n": 1, "text": "grüß dich ☃"}, 1)
            assert seen["user"].startswith("key_")

    run(conversation())


def test_what_rest_publishes_arrives_in_order_and_without_a_publisher(
    plain: Tenant, site: Site, kind: Kind, channel: str
) -> None:
    async def conversation() -> None:
        async with sdk(kind, site, plain.token("ann")) as client:
            await client.subscribed(channel)
            publish(plain, channel, range(100))
            seen = await client.heard("publication", 100)
            assert numbers_of(seen) == list(range(100))
            assert [event["offset"] for event in seen] == list(range(1, 101))
            assert {event["user"] for event in seen} == {None}

    run(conversation())


def test_a_client_that_missed_thousands_recovers_all_of_them_in_order(
    plain: Tenant, site: Site, kind: Kind, channel: str
) -> None:
    async def conversation() -> None:
        async with (
            Relay("127.0.0.1", site.port) as relay,
            sdk(kind, site.through(relay.port), plain.token("ann")) as client,
        ):
            await client.subscribed(channel)
            publish(plain, channel, range(10))
            await client.heard("publication", 10)
            relay.cut()
            publish(plain, channel, range(10, 10 + MISSED))
            relay.heal()
            again = await client.last("subscribed", 2)
            assert (again["was_recovering"], again["recovered"]) == (True, True)
            publish(plain, channel, range(10 + MISSED, 11 + MISSED))
            seen = await client.heard("publication", 11 + MISSED, within_s=60)
            assert numbers_of(seen) == list(range(11 + MISSED))
            assert [event["offset"] for event in seen] == list(range(1, 12 + MISSED))

    run(conversation())


def test_a_client_cut_again_and_again_misses_nothing(
    plain: Tenant, site: Site, kind: Kind, channel: str
) -> None:
    async def conversation() -> None:
        async with (
            Relay("127.0.0.1", site.port) as relay,
            sdk(kind, site.through(relay.port), plain.key) as client,
        ):
            await client.subscribed(channel)
            for part in range(CUTS):
                publish(plain, channel, range(part * PART, part * PART + PART))
                relay.cut()
                relay.heal()
            seen = await client.heard("publication", CUTS * PART, within_s=60)
            assert numbers_of(seen) == list(range(CUTS * PART))

    run(conversation())


def test_after_unsubscribe_nothing_arrives(plain: Tenant, site: Site, kind: Kind, channel: str) -> None:
    async def conversation() -> None:
        async with sdk(kind, site, plain.key) as client:
            await client.subscribed(channel)
            await client.call("unsubscribe", channel=channel)
            assert (await client.last("unsubscribed"))["code"] == 0
            await client.call("publish", channel=channel, data={"n": 1})
            # The next command's answer comes after whatever the publication would have sent.
            top = await client.call("history", channel=channel, limit=0)
            assert top["offset"] == 1
            assert not client.so_far("publication")

    run(conversation())


def test_history_is_read_in_pages_both_ways(plain: Tenant, site: Site, kind: Kind, channel: str) -> None:
    async def conversation() -> None:
        publish(plain, channel, range(10))
        async with sdk(kind, site, plain.token("ann")) as client:
            page = await client.call("history", channel=channel, limit=4)
            assert (numbers_of(page["publications"]), page["offset"]) == ([0, 1, 2, 3], 10)
            since = {"offset": page["publications"][-1]["offset"], "epoch": page["epoch"]}
            rest = await client.call("history", channel=channel, limit=100, since=since)
            assert numbers_of(rest["publications"]) == [4, 5, 6, 7, 8, 9]
            whole = await client.call("history", channel=channel, limit=-1)
            assert [pub["offset"] for pub in whole["publications"]] == list(range(1, 11))
            back = await client.call("history", channel=channel, limit=3, reverse=True)
            assert numbers_of(back["publications"]) == [9, 8, 7]
            since = {"offset": back["publications"][-1]["offset"], "epoch": back["epoch"]}
            further = await client.call("history", channel=channel, limit=2, since=since, reverse=True)
            assert numbers_of(further["publications"]) == [6, 5]
            top = await client.call("history", channel=channel, limit=0)
            assert (top["publications"], top["offset"]) == ([], 10)
            stale = {"offset": 1, "epoch": "other"}
            assert await client.refusal("history", channel=channel, limit=1, since=stale) == 112
            nothing = await client.call("history", channel=f"{channel}:none", limit=10)
            assert (nothing["publications"], nothing["offset"]) == ([], 0)
            assert nothing["epoch"] == top["epoch"]

    run(conversation())


def test_clients_of_every_kind_see_the_same_order(plain: Tenant, site: Site, channel: str) -> None:
    async def conversation() -> None:
        async with (
            sdk(JAVASCRIPT, site, plain.key) as one,
            sdk(PYTHON, site, plain.key) as other,
            sdk(GO, site, plain.key) as third,
        ):
            clients = (one, other, third)
            for client in clients:
                await client.subscribed(channel)
            for n in range(30):
                for client in clients:
                    await client.call("publish", channel=channel, data={"n": n})
            seen = [await client.heard("publication", 90) for client in clients]
            assert numbers_of(seen[0]) == numbers_of(seen[1]) == numbers_of(seen[2])

    run(conversation())


# The Go SDK passes over a subscribe while another is on its way, and leaves itself unsubscribed.
@pytest.mark.parametrize("kind", [one for one in KINDS if one.sdk != "go"], ids=lambda kind: kind.name)
def test_a_client_that_subscribes_and_unsubscribes_without_waiting_ends_subscribed(
    plain: Tenant, site: Site, kind: Kind, channel: str
) -> None:
    async def conversation() -> None:
        async with sdk(kind, site, plain.key) as client:
            await client.subscribed(channel)
            for _ in range(10):
                await client.call("unsubscribe", channel=channel)
                await client.call("resubscribe", channel=channel)
            steps = ("subscribing", "subscribed", "unsubscribed")

            def is_in() -> bool:
                taken = [event["event"] for event in client.events if event["event"] in steps]
                return taken.count("subscribing") == 11 and taken[-1] == "subscribed"

            await client.until(is_in, "subscribed at last")
            await client.call("publish", channel=channel, data={"n": 1})
            assert numbers_of(await client.heard("publication")) == [1]
            assert not client.so_far("subscription error")
            assert len(await client.heard("connected")) == 1

    run(conversation())

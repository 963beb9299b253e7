"""What an application does with an official SDK, and what happens to it when things go wrong."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.conformance.sdk import Sdk, SdkError, javascript, python, sdk
from tests.helpers.loop import run
from tests.helpers.relay import Relay
from tests.helpers.running import Running

Start = Callable[[], list[str]]
MISSED = 5_000
BATCH = 1_000
_numbers = itertools.count(1)


@pytest.fixture
def channel() -> str:
    return f"conformance:{next(_numbers)}"


def publish(system: Running, channel: str, numbers: Sequence[int]) -> None:
    for start in range(0, len(numbers), BATCH):
        items = [{"channel": channel, "data": {"n": n}} for n in numbers[start : start + BATCH]]
        status, answer = system.call("POST", "/v1/publish", {"items": items})
        assert status == 200, answer


def numbers_of(events: list[dict[str, Any]]) -> list[int]:
    return [event["data"]["n"] for event in events]


async def subscribed(client: Sdk, channel: str) -> dict[str, Any]:
    await client.call("subscribe", channel=channel)
    return (await client.heard("subscribed"))[-1]


def test_a_client_sees_its_own_publication_with_its_position(
    system: Running, start: Start, channel: str
) -> None:
    async def conversation() -> None:
        async with sdk(start, system.socket_url, system.key) as client:
            first = await subscribed(client, channel)
            assert (first["recoverable"], first["positioned"], first["offset"]) == (True, True, 0)
            assert first["epoch"] not in ("", "_")
            await client.call("publish", channel=channel, data={"n": 1, "text": "grüß dich ☃"})
            seen = (await client.heard("publication"))[0]
            assert (seen["data"], seen["offset"]) == ({"n": 1, "text": "grüß dich ☃"}, 1)
            assert seen["user"].startswith("key_")

    run(conversation())


def test_what_rest_publishes_arrives_in_order_and_without_a_publisher(
    system: Running, start: Start, channel: str
) -> None:
    async def conversation() -> None:
        async with sdk(start, system.socket_url, system.token("ann")) as client:
            await subscribed(client, channel)
            publish(system, channel, range(100))
            seen = await client.heard("publication", 100)
            assert numbers_of(seen) == list(range(100))
            assert [event["offset"] for event in seen] == list(range(1, 101))
            assert {event["user"] for event in seen} == {None}

    run(conversation())


def test_a_client_that_missed_thousands_recovers_all_of_them_in_order(
    system: Running, start: Start, channel: str
) -> None:
    async def conversation() -> None:
        async with Relay("127.0.0.1", system.port) as relay:
            url = f"ws://127.0.0.1:{relay.port}/connection/websocket"
            async with sdk(start, url, system.token("ann")) as client:
                await subscribed(client, channel)
                publish(system, channel, range(10))
                await client.heard("publication", 10)
                relay.cut()
                publish(system, channel, range(10, 10 + MISSED))
                relay.heal()
                again = (await client.heard("subscribed", 2))[-1]
                assert (again["was_recovering"], again["recovered"]) == (True, True)
                publish(system, channel, [10 + MISSED])
                seen = await client.heard("publication", 11 + MISSED, within_s=60)
                assert numbers_of(seen) == list(range(11 + MISSED))
                assert [event["offset"] for event in seen] == list(range(1, 12 + MISSED))

    run(conversation())


def test_a_client_cut_again_and_again_misses_nothing(system: Running, start: Start, channel: str) -> None:
    async def conversation() -> None:
        async with Relay("127.0.0.1", system.port) as relay:
            url = f"ws://127.0.0.1:{relay.port}/connection/websocket"
            async with sdk(start, url, system.key) as client:
                await subscribed(client, channel)
                for part in range(10):
                    publish(system, channel, range(part * 500, part * 500 + 500))
                    relay.cut()
                    relay.heal()
                seen = await client.heard("publication", 5_000, within_s=60)
                assert numbers_of(seen) == list(range(5_000))

    run(conversation())


def test_after_unsubscribe_nothing_arrives(system: Running, start: Start, channel: str) -> None:
    async def conversation() -> None:
        async with sdk(start, system.socket_url, system.key) as client:
            await subscribed(client, channel)
            await client.call("unsubscribe", channel=channel)
            assert (await client.heard("unsubscribed"))[0]["code"] == 0
            await client.call("publish", channel=channel, data={"n": 1})
            # The next command's answer comes after whatever the publication would have sent.
            top = await client.call("history", channel=channel, limit=0)
            assert top["offset"] == 1
            assert not [event for event in client.events if event["event"] == "publication"]

    run(conversation())


def test_history_is_read_in_pages_both_ways(system: Running, start: Start, channel: str) -> None:
    async def conversation() -> None:
        publish(system, channel, range(10))
        async with sdk(start, system.socket_url, system.token("ann")) as client:
            page = await client.call("history", channel=channel, limit=4)
            assert (numbers_of(page["publications"]), page["offset"]) == ([0, 1, 2, 3], 10)
            since = {"offset": page["publications"][-1]["offset"], "epoch": page["epoch"]}
            rest = await client.call("history", channel=channel, limit=100, since=since)
            assert numbers_of(rest["publications"]) == [4, 5, 6, 7, 8, 9]
            back = await client.call("history", channel=channel, limit=3, reverse=True)
            assert numbers_of(back["publications"]) == [9, 8, 7]
            with pytest.raises(SdkError) as stale:
                await client.call("history", channel=channel, limit=1, since={"offset": 1, "epoch": "other"})
            assert stale.value.code == 112

    run(conversation())


@pytest.mark.parametrize(
    ("command", "fields", "code"), [("presence", {}, 108), ("rpc", {"method": "x"}, 108)]
)
def test_what_is_not_there_is_refused_and_the_connection_stays(
    system: Running, start: Start, channel: str, command: str, fields: dict[str, str], code: int
) -> None:
    async def conversation() -> None:
        async with sdk(start, system.socket_url, system.key) as client:
            await subscribed(client, channel)
            if command == "presence":
                fields["channel"] = channel
            with pytest.raises(SdkError) as refused:
                await client.call(command, **fields)
            assert refused.value.code == code
            await client.call("publish", channel=channel, data=1)
            await client.heard("publication")

    run(conversation())


def test_a_user_may_not_publish_unless_the_organization_allows_it(
    system: Running, start: Start, channel: str
) -> None:
    async def conversation() -> None:
        async with sdk(start, system.socket_url, system.token("ann")) as client:
            await subscribed(client, channel)
            with pytest.raises(SdkError) as refused:
                await client.call("publish", channel=channel, data=1)
            assert refused.value.code == 103

    run(conversation())


def test_a_protected_channel_is_refused_for_good(system: Running, start: Start) -> None:
    async def conversation() -> None:
        async with sdk(start, system.socket_url, system.token("ann")) as client:
            await client.heard("connected")
            await client.call("subscribe", channel="$secret")
            assert (await client.heard("unsubscribed"))[0]["code"] == 103

    run(conversation())


@pytest.mark.parametrize("secret", ["another secret, long enough for the library", ""])
def test_a_wrong_token_ends_the_client_with_3500(system: Running, start: Start, secret: str) -> None:
    token = system.token("ann", secret=secret) if secret else "not.a.token"

    async def conversation() -> None:
        async with sdk(start, system.socket_url, token) as client:
            ended = (await client.heard("disconnected"))[0]
            assert (ended["code"], ended["reason"]) == (3500, "invalid token")

    run(conversation())


def test_an_unknown_api_key_ends_the_client_with_3500(system: Running, start: Start) -> None:
    wrong = system.key[:-6] + ("aaaaaa" if not system.key.endswith("aaaaaa") else "bbbbbb")

    async def conversation() -> None:
        async with sdk(start, system.socket_url, wrong) as client:
            assert (await client.heard("disconnected"))[0]["code"] == 3500

    run(conversation())


def test_an_expired_token_is_asked_for_again(system: Running, start: Start, channel: str) -> None:
    expired = system.token("ann", lifetime_s=-60)

    async def conversation() -> None:
        async with sdk(start, system.socket_url, expired, system.token("ann")) as client:
            await client.heard("token asked")
            await client.heard("connected")
            await subscribed(client, channel)

    run(conversation())


def test_a_token_is_refreshed_while_the_connection_stays(system: Running, start: Start, channel: str) -> None:
    async def conversation() -> None:
        tokens = (system.token("ann", lifetime_s=3), system.token("ann"))
        async with sdk(start, system.socket_url, *tokens) as client:
            await subscribed(client, channel)
            await client.heard("token asked")
            publish(system, channel, [1])
            await client.heard("publication")
            assert len(await client.heard("connected")) == 1

    run(conversation())


def test_clients_of_both_kinds_see_the_same_order(system: Running, channel: str) -> None:
    async def conversation() -> None:
        async with (
            sdk(javascript, system.socket_url, system.key) as one,
            sdk(python, system.socket_url, system.key) as other,
        ):
            await subscribed(one, channel)
            await subscribed(other, channel)
            for n in range(50):
                await one.call("publish", channel=channel, data={"n": n})
                await other.call("publish", channel=channel, data={"n": -n})
            seen = [await client.heard("publication", 100) for client in (one, other)]
            assert numbers_of(seen[0]) == numbers_of(seen[1])

    run(conversation())

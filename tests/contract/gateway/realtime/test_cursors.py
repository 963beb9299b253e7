"""Clients say what they have got and read, by an RPC that the server answers itself."""

import asyncio
from typing import Any

import pytest

from core.connections.backend_options import BackendOptions, Endpoints
from tests.helpers.loop import run
from tests.helpers.realtime import Realtimes, Speaker, realtime_of

OURS, DENIED, UNKNOWN_CHANNEL, NO_METHOD, BAD = 100, 103, 102, 104, 107


async def ack(speaker: Speaker, data: Any, *, method: str = "tidings.ack") -> Any:
    """Return what is answered, or the code of the error."""
    reply = await speaker.ask({"id": 9, "rpc": {"method": method, "data": data}})
    return reply["error"]["code"] if "error" in reply else reply["rpc"].get("data")


def at(delivered: int, read: int, unread: int) -> dict[str, int]:
    return {"delivered": delivered, "read": read, "unread": unread}


async def publish(system: Realtimes, channel: str, count: int) -> None:
    for _ in range(count):
        await system.publish(channel)


def test_a_user_says_how_far_it_is_and_hears_what_is_left(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system, Speaker(system.url, system.token("ann")) as ann:
            await publish(system, "news", 5)
            assert await ack(ann, {"channel": "news", "offset": 0}) == at(0, 0, 5)
            assert await ack(ann, {"channel": "news", "offset": 4, "state": "delivered"}) == at(4, 0, 5)
            assert await ack(ann, {"channel": "news", "offset": 3}) == at(4, 3, 2)
            assert await ack(ann, {"channel": "news", "offset": 1, "state": "read"}) == at(4, 3, 2)
            assert await ack(ann, {"channel": "news", "offset": 5, "later": "ignored"}) == at(5, 5, 0)
            async with Speaker(system.url, system.token("bob")) as bob:
                assert await ack(bob, {"channel": "news", "offset": 2}) == at(2, 2, 3)
            async with Speaker(system.url, system.token("ann")) as again:
                assert await ack(again, {"channel": "news", "offset": 0}) == at(5, 5, 0)

    run(scenario())


@pytest.mark.parametrize(
    "data",
    [
        None, [], {}, "news", {"channel": "news"}, {"offset": 1}, {"channel": "news", "offset": "1"},
        {"channel": "news", "offset": -1}, {"channel": "news", "offset": 1.5},
        {"channel": "news", "offset": True}, {"channel": "news", "offset": 2**53},
        {"channel": "news", "offset": 2**70}, {"channel": 1, "offset": 1},
        {"channel": "news", "offset": 1, "state": "seen"}, {"channel": "news", "offset": 1, "state": None},
        {"channel": "", "offset": 1}, {"channel": "n\u0000", "offset": 1},
        {"channel": "n" * 256, "offset": 1}, {"channel": "news", "offset": 3},
        {"channel": "olds", "offset": 1},
    ],
)  # fmt: skip
def test_what_can_not_be_is_a_bad_request(database_url: str, data: Any) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system, Speaker(system.url, system.token("ann")) as ann:
            await publish(system, "news", 2)
            assert await ack(ann, data) == BAD
            assert await ack(ann, {"channel": "news", "offset": 0}) == at(0, 0, 2)

    run(scenario())


@pytest.mark.parametrize("user", ["a\u0000", "a" * 256, "a\n"])
def test_a_user_without_a_place_in_the_database_is_refused_alone(database_url: str, user: str) -> None:
    async def scenario() -> None:
        async with (
            realtime_of(database_url) as system,
            Speaker(system.url, system.token(user)) as odd,
            Speaker(system.url, system.token("ann")) as ann,
        ):
            await publish(system, "news", 1)
            asked = {"channel": "news", "offset": 1}
            assert list(await asyncio.gather(ack(odd, asked), ack(ann, asked))) == [BAD, at(1, 1, 0)]

    run(scenario())


def test_only_users_with_a_name_acknowledge_and_only_where_they_may_be(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system:
            await system.options(anonymous=True, unknown_namespaces="refuse")
            await publish(system, "lobby", 1)
            for credential in (system.key, system.token(""), ""):
                async with Speaker(system.url, credential) as speaker:
                    if not credential:
                        await speaker.ask({"id": 1, "connect": {}})
                    assert await ack(speaker, {"channel": "lobby", "offset": 1}) == DENIED
            async with Speaker(system.url, system.token("ann")) as ann:
                assert await ack(ann, {"channel": "$lobby", "offset": 0}) == DENIED
                assert await ack(ann, {"channel": "lobby#bob", "offset": 0}) == DENIED
                assert await ack(ann, {"channel": "nothing:1", "offset": 0}) == UNKNOWN_CHANNEL

    run(scenario())


def test_who_is_subscribed_acknowledges_whoever_let_it_in(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system:
            await system.namespace("chat", history="off")
            token = system.token("ann", channels=["chat:1"])
            async with Speaker(system.url, token) as ann:
                assert await ack(ann, {"channel": "chat:1", "offset": 0}) == at(0, 0, 0)
                assert await ack(ann, {"channel": "chat:2", "offset": 0}) == DENIED

    run(scenario())


def test_methods_of_our_own_never_reach_the_backend(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system, Speaker(system.url, system.token("ann")) as ann:
            await system.backend(BackendOptions(endpoints=Endpoints(rpc="http://127.0.0.1:9/rpc")))
            for method in ("tidings.", "tidings.acknowledge", "tidings.ack.x"):
                assert await ack(ann, {}, method=method) == NO_METHOD
            assert await ack(ann, {}, method="tidingsack") in (OURS, 108)

    run(scenario())

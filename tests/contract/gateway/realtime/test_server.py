"""One realtime replica from its opening to an ending after which everybody comes back elsewhere."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import orjson
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from core.connections.orders import Disconnect, Who
from tests.helpers.backend import backend
from tests.helpers.cache import cache_server
from tests.helpers.eventually import eventually
from tests.helpers.loop import run
from tests.helpers.owners import publish
from tests.helpers.realtime import Realtimes, Speaker, realtime_of


@asynccontextmanager
async def speakers(system: Realtimes, count: int) -> AsyncIterator[list[Speaker]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Speaker(system.url, system.key)) for _ in range(count)]


def test_it_serves_both_ports_until_it_is_closed(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url, drain_s=0.0) as system:
            assert system.server.is_healthy
            health = system.url.replace("ws://", "http://").replace("/connection/websocket", "/healthz")
            async with aiohttp.ClientSession() as session:
                for url in (health, f"{system.streams_url}/healthz"):
                    async with session.get(url) as answer:
                        assert (answer.status, await answer.read()) == (200, b"ok")
            await system.server.close()
            assert not system.server.is_healthy
            with pytest.raises(OSError, match="onnect"):
                await connect(system.url)

    run(scenario())


def test_it_knows_what_it_holds(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system:
            nobody = {"sockets": 0, "organizations": 0, "steps_dropped": 0}
            assert system.server.status() == nobody
            async with speakers(system, 3):
                assert {**system.server.status(), "steps_dropped": 0} == {
                    **nobody,
                    "sockets": 3,
                    "organizations": 1,
                }
            assert await eventually(lambda: system.server.sockets == 0, within_s=5)

    run(scenario())


def test_every_socket_is_closed_with_a_code_on_which_clients_come_back(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url, drain_s=0.2) as system, speakers(system, 5) as open_ones:
            await system.server.close()
            for speaker in open_ones:
                assert await speaker.closed() == (3001, "shutdown")

    run(scenario())


def test_sockets_are_closed_one_after_the_other_over_the_drain_time(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url, drain_s=0.5) as system, speakers(system, 10) as open_ones:
            ends: list[float] = []

            async def end(speaker: Speaker) -> None:
                await speaker.closed()
                ends.append(time.monotonic())

            endings = [asyncio.ensure_future(end(speaker)) for speaker in open_ones]
            await system.server.close()
            await asyncio.gather(*endings)
            # Jitter doubles a pause at most: all pauses but the last lie between two ends.
            assert 0.01 < max(ends) - min(ends) < 2

    run(scenario())


def test_a_stream_that_opens_while_the_replica_ends_is_told_so_like_the_others(database_url: str) -> None:
    async def scenario() -> None:
        async with (
            realtime_of(database_url, drain_s=1.0) as system,
            speakers(system, 10),
            aiohttp.ClientSession() as session,
        ):
            closing = asyncio.ensure_future(system.server.close())
            await asyncio.sleep(0)  # from here on no socket opens
            commands = orjson.dumps({"id": 1, "connect": {"token": system.key}}).decode()
            url = f"{system.streams_url}/connection/sse"
            async with session.get(url, params={"cf_connect": commands}) as answer:
                told = (await answer.read()).decode()
            assert '"connect":' in told
            assert '"disconnect":{"code":3001,' in told
            await closing

    run(scenario())


def test_what_was_acknowledged_before_the_end_is_recovered_on_another_replica(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url, drain_s=0.0) as old, Speaker(old.url, old.key) as client:
            begun = (await client.ask({"id": 2, "subscribe": {"channel": "news"}}))["subscribe"]
            for number in (1, 2):
                organization_id = old.organization.organization_id
                await old.owner.submit(publish(organization_id, "news", b"%d" % number))
            heard = await client.publications(1)
            await old.server.close()
            assert (await client.closed())[0] == 3001
        async with realtime_of(database_url) as new, Speaker(new.url, old.key) as client:
            since = {"recover": True, "offset": heard[0]["offset"], "epoch": begun["epoch"]}
            again = (await client.ask({"id": 2, "subscribe": {"channel": "news", **since}}))["subscribe"]
            assert again["recovered"]
            assert [p["data"] for p in again["publications"]] == [2]

    run(scenario())


def test_past_its_number_of_sockets_a_replica_turns_away(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url, connections_max=2) as system:
            async with speakers(system, 2):
                with pytest.raises(InvalidStatus) as refused:
                    await connect(system.url)
                assert refused.value.response.status_code == 503
                assert b"capacity_reduced" in bytes(refused.value.response.body or b"")
            assert await eventually(lambda: system.server.sockets == 0, within_s=5)
            async with speakers(system, 2):
                assert system.server.sockets == 2

    run(scenario())


def test_a_socket_that_never_connects_is_closed(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url, connect_s=0.1) as system, Speaker(system.url) as silent:
            assert await silent.closed() == (3502, "stale")

    run(scenario())


def test_who_does_not_answer_pings_is_closed(database_url: str) -> None:
    async def scenario() -> None:
        async with (
            realtime_of(database_url, ping_s=0.2, pong_s=0.1) as system,
            Speaker(system.url, system.key) as silent,
        ):
            assert await silent.closed() == (3012, "no pong")

    run(scenario())


def test_who_is_there_is_told_by_its_own_parts_and_ended_by_an_order(database_url: str) -> None:
    async def scenario() -> None:
        loud = {"presence": True, "join_leave": True, "force_push_join_leave": True}
        async with cache_server() as cache, realtime_of(database_url, cache_url=cache.url) as system:
            await system.namespace("loud", **loud)
            await system.options(client_insecure=True)
            stranger = await system.store.create_organization("stranger", "test")
            async with Speaker(system.url, system.token("ann")) as ann:
                await ann.ask({"id": 2, "subscribe": {"channel": "loud:a"}})
                own = (await ann.hear())["push"]["join"]["info"]["client"]
                async with Speaker(system.url, system.token("bob", channels=["loud:a"])) as bob:
                    joined = (await ann.hear())["push"]["join"]["info"]
                    assert joined["user"] == "bob"
                    there = (await ann.ask({"id": 3, "presence": {"channel": "loud:a"}}))["presence"]
                    assert set(there["presence"]) == {own, joined["client"]}
                    await system.order(Disconnect(Who("bob"), 4_321, "because"), stranger)
                    await system.order(Disconnect(Who("bob"), 4_322, "because"))
                    assert await bob.closed() == (4_322, "because")
                assert (await ann.hear())["push"]["leave"]["info"] == joined
                count = (await ann.ask({"id": 4, "presence_stats": {"channel": "loud:a"}}))["presence_stats"]
                assert count == {"num_clients": 1, "num_users": 1}

    run(scenario())


def test_a_backend_that_the_organization_names_answers_its_clients(database_url: str) -> None:
    async def scenario() -> None:
        async with backend("rpc") as scene, realtime_of(database_url) as system:
            scene.answers["rpc"] = {"result": {"data": {"price": 1}}}
            await system.backend(scene.options)
            async with Speaker(system.url, system.token("ann")) as ann:
                answer = await ann.ask({"id": 2, "rpc": {"method": "price", "data": {"id": 12}}})
                assert answer["rpc"] == {"data": {"price": 1}}
            (body,) = scene.bodies("rpc")
            assert (body["user"], body["data"]) == ("ann", {"id": 12})

    run(scenario())

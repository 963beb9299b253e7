"""Why a client did not get a publication, asked over REST of clients that were really there."""

import time
from contextlib import suppress
from typing import Any

import asyncpg
from websockets.exceptions import ConnectionClosed

from settings import Journeys, Realtime
from tests.helpers.loop import run
from tests.helpers.realtime import Speaker
from tests.helpers.rest import rest_of
from tests.helpers.whole import Whole, whole_of

QUICK = Journeys(flush_s=0.05)
NEWS = "club:news"
CLUB = {
    "allow_subscribe_for_client": True,
    "allow_tags_filter": True,
    "allow_publish_for_client": True,
    "history": "whole",
    "allow_recovery": True,
}
RED = {"key": "colour", "cmp": "eq", "val": "red"}


async def publish(system: Whole, channel: str = NEWS, **more: Any) -> int:
    """Publish over REST and return the offset."""
    path = f"/v1/channels/{channel}/publications"
    answer = await system.rest.post(path, {"data": "hello", **more})
    assert answer.status == 201, answer.raw
    offset: int = answer.body["offset"]
    return offset


async def told(system: Whole, offset: int, whose: str, wanted: str, channel: str = NEWS) -> dict[str, Any]:
    """Return the first of the answers, as soon as it is this verdict."""
    path, deadline = f"/v1/channels/{channel}/publications/{offset}/deliveries?{whose}", time.monotonic() + 5
    while True:
        answer = await system.rest.get(path)
        assert answer.status == 200, answer.raw
        connections = answer.body["connections"]
        if connections and connections[0]["verdict"] == wanted:
            found: dict[str, Any] = connections[0]
            return found
        assert time.monotonic() < deadline, answer.body


async def open_club(system: Whole) -> None:
    await system.rest.call("PUT", "/v1/channel_namespaces/club", CLUB)


async def subscribed(speaker: Speaker, **asked: Any) -> dict[str, Any]:
    reply = await speaker.ask({"id": 9, "subscribe": {"channel": NEWS, **asked}})
    assert "subscribe" in reply, reply
    result: dict[str, Any] = reply["subscribe"]
    return result


async def published_by(speaker: Speaker) -> int:
    """Let a client publish, for others alone, as soon as the namespace's options are known."""
    deadline = time.monotonic() + 5
    while True:
        said = {"channel": NEWS, "data": 1, "exclude_self": True}
        reply = await speaker.ask({"id": 7, "publish": said})
        if "publish" in reply:
            offset: int = reply["publish"]["offset"]
            return offset
        assert time.monotonic() < deadline, reply


def test_a_client_comes_goes_and_comes_back(database_url: str) -> None:
    async def scenario() -> None:
        async with whole_of(database_url, journeys=QUICK) as system:
            await open_club(system)
            before = await publish(system)
            async with system.speaker("ann") as ann:
                epoch = (await subscribed(ann))["epoch"]
                first = await publish(system)
                assert (await ann.publications(1))[0]["offset"] == first
                got = await told(system, first, "user=ann", "delivered")
                assert got["status"] == "connected"
                assert got["subscription"]["began_behind"] == before
                assert (await told(system, before, "user=ann", "subscribed_later"))["client"] == got["client"]
                alone = await told(system, first, f"client={got['client']}", "delivered")
                assert alone["user"] == "ann"
            missed = await publish(system)
            gone = await told(system, missed, "user=ann", "disconnected_before")
            assert (gone["client"], gone["status"], gone["code"]) == (got["client"], "disconnected", 0)
            assert gone["subscription"]["sent_up_to"] == first
            async with system.speaker("ann") as ann:
                result = await subscribed(ann, recover=True, offset=first, epoch=epoch)
                assert [publication["offset"] for publication in result["publications"]] == [missed]
                back = await told(system, missed, "user=ann", "delivered")
                assert back["subscription"]["recovered"]
                gone = await told(system, missed, f"client={got['client']}", "disconnected_before")
                assert gone["came_back_as"] == back["client"]
                assert back["client"] in gone["detail"]

    run(scenario())


def test_terms_refusals_and_orders_are_told(database_url: str) -> None:
    async def scenario() -> None:
        async with whole_of(database_url, journeys=QUICK) as system:
            await open_club(system)
            async with (
                system.speaker("ann") as ann,
                system.speaker("bob") as bob,
                system.speaker("eve") as eve,
            ):
                await subscribed(ann, tf=RED)
                await subscribed(bob)
                assert "error" in await eve.ask({"id": 5, "subscribe": {"channel": f"${NEWS}"}})
                blue = await publish(system, tags={"colour": "blue"})
                red = await publish(system, tags={"colour": "red"})
                secret = await publish(system, f"${NEWS}")
                await told(system, blue, "user=ann", "filtered_out")
                await told(system, red, "user=ann", "delivered")
                refused = await told(system, secret, "user=eve", "refused", f"${NEWS}")
                assert refused["refusal"]["code"] == 103
                await told(system, red, "user=eve", "not_subscribed")
                own = await published_by(bob)
                await told(system, own, "user=bob", "sender_excluded")
                await bob.ask({"id": 8, "unsubscribe": {"channel": NEWS}})
                later = await publish(system)
                left = await told(system, later, "user=bob", "unsubscribed_before")
                assert left["subscription"]["sent_up_to"] == own
                trace = (
                    await system.rest.get(f"/v1/channels/{NEWS}/publications/{own}/deliveries?user=bob")
                ).body
                assert trace["object"] == "delivery_trace"
                assert trace["publication"]["info"]["user"] == "bob"
                assert "data" not in trace["publication"]
                assert (trace["has_more"], trace["next_cursor"]) == (False, None)

    run(scenario())


def test_the_connections_of_a_user_are_paged_through(database_url: str) -> None:
    async def scenario() -> None:
        async with whole_of(database_url, journeys=QUICK) as system:
            offset = await publish(system, "news")
            clients = []
            for _ in range(3):
                async with system.speaker("ann"):
                    clients.append(
                        (await told(system, offset, "user=ann", "not_subscribed", "news"))["client"]
                    )
                    while len(set(clients)) < len(clients):
                        clients[-1] = (await told(system, offset, "user=ann", "not_subscribed", "news"))[
                            "client"
                        ]
            path = f"/v1/channels/news/publications/{offset}/deliveries?user=ann&limit=2"
            first = (await system.rest.get(path)).body
            assert [one["client"] for one in first["connections"]] == clients[:0:-1]
            assert first["has_more"]
            second = (await system.rest.get(f"{path}&cursor={first['next_cursor']}")).body
            assert [one["client"] for one in second["connections"]] == clients[:1]
            assert not second["has_more"]

    run(scenario())


def test_a_slow_reader_may_not_have_read_what_was_written(database_url: str) -> None:
    async def scenario() -> None:
        limits = Realtime(outbox_bytes_max=20_000)
        async with whole_of(database_url, journeys=QUICK, realtime=limits) as system:
            await open_club(system)
            async with system.speaker("ann") as ann:
                await subscribed(ann)
                many = {"items": [{"channel": NEWS, "data": "x" * 60_000}] * 16}
                deadline = time.monotonic() + 20
                while system.realtime.sockets and time.monotonic() < deadline:
                    assert (await system.rest.post("/v1/publish", many)).status == 200
                offset = await publish(system)
                with suppress(ConnectionClosed):
                    while True:
                        await ann.hear()  # too late
            last = await told(system, offset, "user=ann", "disconnected_before")
            assert (last["code"], last["reason"]) == (3008, "slow")
            sent = last["subscription"]["sent_up_to"]
            unread = await told(system, sent, "user=ann", "unconfirmed")
            assert "read too slowly" in unread["detail"]

    run(scenario())


def test_after_a_flush_of_redis_it_goes_on(database_url: str) -> None:
    async def scenario() -> None:
        async with whole_of(database_url, journeys=QUICK) as system:
            await open_club(system)
            async with system.speaker("ann") as ann:
                await subscribed(ann)
                before = await publish(system)
                client = (await told(system, before, "user=ann", "delivered"))["client"]
                await system.cache.ask("FLUSHALL")
                lost = await told(system, before, "user=ann", "unknown")
                assert (lost["client"], lost["connected_at"]) == (client, None)
                after = await publish(system)
                await told(system, after, f"client={client}", "delivered")

    run(scenario())


def test_another_organization_is_shown_nothing(database_url: str) -> None:
    async def scenario() -> None:
        async with whole_of(database_url, journeys=QUICK) as system:
            await open_club(system)
            _, key = await system.rest.another()
            async with system.speaker("ann") as ann:
                await subscribed(ann)
                offset = await publish(system)
                client = (await told(system, offset, "user=ann", "delivered"))["client"]
                path = f"/v1/channels/{NEWS}/publications"
                foreign = await system.rest.call("POST", path, {"data": 1}, key=key)
                assert foreign.body["offset"] == offset
                theirs = f"{path}/{offset}/deliveries"
                by_client = await system.rest.call("GET", f"{theirs}?client={client}", key=key)
                nobody = await system.rest.call("GET", f"{theirs}?client={client[:-1]}x", key=key)
                (shown,), (unknown,) = by_client.body["connections"], nobody.body["connections"]
                assert shown["verdict"] == "unknown"
                assert {**shown, "client": ""} == {**unknown, "client": ""}
                by_user = await system.rest.call("GET", f"{theirs}?user=ann", key=key)
                assert by_user.body["connections"] == []
                assert by_user.body["detail"].startswith("Nothing is remembered of this user")
                assert (await system.rest.call("GET", f"/v1/connections/{client}", key=key)).status == 404

    run(scenario())


ODD = {
    "": (422, "client"),
    "?client=a&user=b": (422, "client"),
    "?user=a&limit=0": (422, "limit"),
    "?user=a&limit=101": (422, "limit"),
    "?user=a&limit=x": (422, "limit"),
    "?user=a&user=b": (400, "user"),
    "?user=a&channel=b": (400, "channel"),
    "?user=a&cursor=x": (400, ""),
    "?user=%00": (400, ""),
    "?user=%ff": (400, ""),
    "?client=": (200, ""),
    "?user=": (200, ""),
    "?client=%7B%2A%0D%0A%20": (200, ""),
    f"?user={'x' * 4_000}": (200, ""),
}


def test_odd_questions(database_url: str) -> None:
    async def scenario() -> None:
        async with whole_of(database_url) as system:
            offset = await publish(system, "news")
            for query, (status, parameter) in ODD.items():
                answer = await system.rest.get(f"/v1/channels/news/publications/{offset}/deliveries{query}")
                assert answer.status == status, (query, answer.raw)
                named = [answer.body.get("parameter", ""), *map(_parameter, answer.body.get("errors", ()))]
                assert parameter in named, (query, answer.raw)

    run(scenario())


def _parameter(error: dict[str, str]) -> str:
    return error["parameter"]


def test_what_never_was_is_not_found_and_what_is_past_is_gone(database_url: str) -> None:
    async def scenario() -> None:
        async with whole_of(database_url) as system:
            for _ in range(3):
                offset = await publish(system, "news")

            async def asked(where: str, channel: str = "news") -> tuple[int, str]:
                path = f"/v1/channels/{channel}/publications/{where}/deliveries?user=ann"
                answer = await system.rest.get(path)
                return answer.status, answer.body.get("code", "")

            for where in ("0", "-1", "+1", "1.0", "x", "%20", "%D9%A1", "9" * 17, str(offset + 1), "9" * 16):
                assert await asked(where) == (404, "not_found"), where
            assert await asked("1", "nothing") == (404, "not_found")
            assert (await asked("1", "x" * 256))[0] == 422
            narrow = await system.rest.key_with("events:read")
            path = f"/v1/channels/news/publications/{offset}/deliveries?user=ann"
            assert (await system.rest.call("GET", path, key=narrow)).status == 403
            assert (await asked("1"))[0] == 200
            connection = await asyncpg.connect(database_url)
            try:
                await connection.execute('DELETE FROM channel_entries WHERE "offset" = 1')
            finally:
                await connection.close()
            assert await asked("1") == (410, "history_expired")

    run(scenario())


def test_without_redis_it_is_unavailable(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            await api.post("/v1/channels/news/publications", {"data": 1})
            for whose in ("user=ann", "client=c1"):
                answer = await api.get(f"/v1/channels/news/publications/1/deliveries?{whose}")
                assert (answer.status, answer.code) == (503, "unavailable")

    run(scenario())

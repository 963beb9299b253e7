"""Who is in channels, over REST."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from core.streams.event import ClientInfo
from tests.helpers.cache import cache_server
from tests.helpers.loop import run
from tests.helpers.rest import Rest, rest_of
from tests.helpers.rosters import Crowd, crowd_of

NEWS = "/v1/channels/club:news/presence"
CLUB = "/v1/channel_namespaces/club"


@asynccontextmanager
async def rest_and_crowd(database_url: str) -> AsyncIterator[tuple[Rest, Crowd]]:
    """Give a REST replica, and another with clients."""
    async with (
        cache_server() as server,
        crowd_of(server) as crowd,
        rest_of(database_url, cache_url=server.url) as api,
    ):
        await api.call("PUT", CLUB, {"presence": True})
        await api.until(200, "GET", NEWS)
        yield api, crowd


async def enter(api: Rest, crowd: Crowd, *clients: str, channel: str = "club:news", user: str = "") -> None:
    organization_id = api.organization.organization_id
    await asyncio.gather(
        *(crowd.enter(client, channel, user=user, organization_id=organization_id) for client in clients)
    )


def test_members_are_shown_with_what_is_known_of_them(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_and_crowd(database_url) as (api, crowd):
            info = ClientInfo("alice", "c1", b'{"name": "Alice"}', b'{"seat": [1]}')
            await crowd.roster.enter(api.organization.organization_id, "club:news", info)
            await enter(api, crowd, "c2", user="bob")
            answer = await api.get(NEWS)
            assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")
            assert answer.body == {
                "object": "list",
                "url": NEWS,
                "data": [
                    {
                        "object": "member",
                        "client": "c1",
                        "user": "alice",
                        "info": {"name": "Alice"},
                        "chan_info": {"seat": [1]},
                    },
                    {"object": "member", "client": "c2", "user": "bob"},
                ],
                "has_more": False,
                "next_cursor": None,
                "previous_cursor": None,
            }

    run(scenario())


def test_members_are_paged_through(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_and_crowd(database_url) as (api, crowd):
            await enter(api, crowd, *(f"c{number}" for number in range(7)))
            path, seen, sizes = f"{NEWS}?limit=3", [], []
            while path:
                page = await api.get(path)
                seen += [member["client"] for member in page.body["data"]]
                sizes.append(len(page.body["data"]))
                path = f"{NEWS}?limit=3&cursor={page.body['next_cursor']}" if page.body["has_more"] else ""
            assert seen == [f"c{number}" for number in range(7)]
            assert sizes == [3, 3, 1]
            cursor = (await api.get(f"{NEWS}?limit=3")).body["next_cursor"]
            foreign = await api.get(f"/v1/channels/club:other/presence?cursor={cursor}")
            assert (foreign.status, foreign.code) == (400, "cursor_mismatch")

    run(scenario())


def test_stats_count_clients_and_users(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_and_crowd(database_url) as (api, crowd):
            await enter(api, crowd, "c1", "c2", user="alice")
            await enter(api, crowd, "c3", user="bob")
            stats = {"object": "presence_stats", "channel": "club:news", "clients": 3, "users": 2}
            assert (await api.get(f"{NEWS}/stats")).body == stats
            empty = {"object": "presence_stats", "channel": "club:olds", "clients": 0, "users": 0}
            assert (await api.get("/v1/channels/club:olds/presence/stats")).body == empty

    run(scenario())


def test_occupied_channels_are_found_by_pattern(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_and_crowd(database_url) as (api, crowd):
            for channel in ("club:news", "room:1", "room:2"):
                await enter(api, crowd, "c1", "c2", channel=channel)

            async def names(query: str) -> list[str]:
                return [entry["name"] for entry in (await api.get(f"/v1/channels{query}")).body["data"]]

            assert await names("") == ["club:news", "room:1", "room:2"]
            assert await names("?pattern=room:*") == ["room:1", "room:2"]
            first = (await api.get("/v1/channels?pattern=room:*&limit=1")).body
            assert first["data"] == [{"object": "channel", "name": "room:1", "clients": 2}]
            assert await names(f"?pattern=room:*&limit=1&cursor={first['next_cursor']}") == ["room:2"]
            answer = await api.get(f"/v1/channels?pattern={'x' * 256}")
            assert (answer.status, answer.body["errors"][0]["parameter"]) == (422, "pattern")

    run(scenario())


def test_where_presence_is_off_or_the_channel_unknown_nothing_is_shown(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_and_crowd(database_url) as (api, crowd):
            await enter(api, crowd, "c1", channel="quiet:1")
            for path in ("/v1/channels/quiet:1/presence", "/v1/channels/quiet:1/presence/stats"):
                answer = await api.get(path)
                assert (answer.status, answer.code) == (404, "not_available")
                assert "/v1/channel_namespaces/quiet" in answer.body["detail"]
                narrow = await api.key_with("events:read")
                assert (await api.call("GET", path, key=narrow)).status == 403
            answer = await api.get("/v1/channels/quiet/presence")
            assert 'PATCH /v1/channel_namespaces/_ with {"presence": true}' in answer.body["detail"]
            answer = await api.get("/v1/channels/tidings:occupancy/presence")
            assert answer.body["detail"] == "The system's own channels have no presence."
            answer = await api.get(f"/v1/channels/{'x' * 256}/presence")
            assert (answer.status, answer.body["errors"][0]["parameter"]) == (422, "channel")

    run(scenario())


def test_without_redis_presence_is_unavailable_and_nothing_else(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            await api.call("PUT", CLUB, {"presence": True})
            await api.until(503, "GET", NEWS)
            answers: list[Any] = [await api.get(path) for path in (NEWS, f"{NEWS}/stats", "/v1/channels")]
            assert [(answer.status, answer.code) for answer in answers] == [(503, "unavailable")] * 3
            assert (await api.get("/v1/channels/news/publications")).status == 200
            assert (await api.get("/readyz")).status == 200

    run(scenario())

"""`history`, `history_remove`, `presence`, `presence_stats` and `channels`."""

from typing import Any

from tests.helpers.cache import cache_server
from tests.helpers.loop import run
from tests.helpers.rosters import crowd_of
from tests.helpers.server_api import ServerApi, server_api_of

NEWEST_TWO = {"history": "window", "history_size": 2, "history_ttl_s": 600}


async def filled(api: ServerApi, channel: str, count: int = 5) -> str:
    """Publish 1, 2, 3 … and return the epoch."""
    epoch = ""
    for number in range(1, count + 1):
        epoch = (await api.result("publish", channel=channel, data=number)).get("epoch", "")
    return epoch


WINDOW: list[tuple[dict[str, Any], list[int]]] = [
    ({}, []),
    ({"limit": 0}, []),
    ({"limit": 10}, [4, 5]),
    ({"limit": -1}, [4, 5]),
    ({"limit": -7}, [4, 5]),
    ({"limit": 1}, [4]),
    ({"limit": 10, "reverse": True}, [5, 4]),
    ({"limit": 1, "reverse": True}, [5]),
    ({"limit": 10, "since": {"offset": 1}}, [4, 5]),
    ({"limit": 10, "since": {"offset": 4}}, [5]),
    ({"limit": 10, "since": {"offset": 5}}, []),
    ({"limit": 10, "since": {"offset": 9}}, []),
    ({"limit": 10, "since": {}}, [4, 5]),
    ({"limit": 10, "since": {"offset": 5}, "reverse": True}, [4]),
    ({"limit": 10, "since": {"offset": 4}, "reverse": True}, []),
    ({"limit": 10, "since": {"offset": 9}, "reverse": True}, [5, 4]),
]


def test_a_window_shows_its_newest(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url, {"chat": NEWEST_TWO}) as api:
            epoch = await filled(api, "chat:a")
            for asked, offsets in WINDOW:
                page = await api.result("history", channel="chat:a", **asked)
                publications = [{"data": offset, "offset": offset} for offset in offsets]
                assert page == {"publications": publications, "epoch": epoch, "offset": 5}, asked
                if "since" in asked:
                    since = asked["since"] | {"epoch": epoch}
                    assert await api.result("history", channel="chat:a", **(asked | {"since": since})) == page

    run(scenario())


def test_positions_that_mean_nothing_are_refused(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url, {"chat": NEWEST_TWO, "off": {}}) as api:
            assert await api.error("history", channel="chat:a", since={"offset": 1, "epoch": "_"}) == 112
            assert await api.error("history", channel="chat:a", since={"offset": 0}, reverse=True) == 107
            assert await api.error("history", limit=1) == 107
            assert await api.error("history", channel="nobody:a") == 102
            assert await api.error("history", channel="off:a") == 108
            assert await api.error("history_remove", channel="off:a") == 108

    run(scenario())


def test_a_channel_without_publications_stands_at_nothing(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url, {"chat": NEWEST_TWO}) as api:
            page = await api.result("history", channel="chat:never", limit=10)
            assert (page["publications"], page["offset"]) == ([], 0)
            assert page["epoch"]
            assert await api.result("history_remove", channel="chat:never") == {}

    run(scenario())


def test_a_long_window_is_shown_at_once_and_the_whole_log_by_pages(database_url: str) -> None:
    async def scenario() -> None:
        window = {"history": "window", "history_size": 1_500, "history_ttl_s": 600}
        async with server_api_of(database_url, {"chat": window, "_": {"history": "whole"}}) as api:
            for _ in range(2):
                commands = [{"publish": {"channel": c, "data": 1}} for c in ("chat:a", "a")] * 600
                await api.post("/api/batch", {"commands": commands, "parallel": True})
            page = await api.result("history", channel="chat:a", limit=-1)
            assert [entry["offset"] for entry in page["publications"]] == list(range(1, 1_201))
            page = await api.result("history", channel="a", limit=-1)
            assert [entry["offset"] for entry in page["publications"]] == list(range(1, 1_001))
            assert page["offset"] == 1_200

    run(scenario())


def test_a_removed_history_is_empty_and_counts_on(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url, {"chat": NEWEST_TWO}) as api:
            epoch = await filled(api, "chat:a", 3)
            assert await api.result("history_remove", channel="chat:a") == {}
            assert await api.result("history", channel="chat:a", limit=9) == {
                "publications": [], "epoch": epoch, "offset": 3,
            }  # fmt: skip
            await api.result("publish", channel="chat:a", data=4)
            page = await api.result("history", channel="chat:a", limit=9)
            assert page["publications"] == [{"data": 4, "offset": 4}]
            assert len((await api.rest.get("/v1/channels/chat:a/publications")).body["data"]) == 4

    run(scenario())


def test_who_is_there_is_shown_by_channel(database_url: str) -> None:
    async def scenario() -> None:
        async with (
            cache_server() as server,
            crowd_of(server) as crowd,
            server_api_of(database_url, {"chat": {"presence": True}, "off": {}}, cache_url=server.url) as api,
        ):
            org = api.rest.organization.organization_id
            await crowd.enter("c1", "chat:a", user="alice", organization_id=org)
            await crowd.enter("c2", "chat:a", user="alice", organization_id=org)
            await crowd.enter("c3", "off:b", user="bob", organization_id=org)
            await crowd.enter("c4", "chat:a", user="bob")  # of another organization
            found = await api.result("presence", channel="chat:a")
            assert found == {
                "presence": {
                    "c1": {"client": "c1", "user": "alice"}, "c2": {"client": "c2", "user": "alice"},
                }
            }  # fmt: skip
            assert await api.result("presence_stats", channel="chat:a") == {"num_clients": 2, "num_users": 1}
            assert await api.result("presence", channel="chat:empty") == {"presence": {}}
            assert await api.result("channels") == {
                "channels": {"chat:a": {"num_clients": 2}, "off:b": {"num_clients": 1}}
            }
            assert await api.result("channels", pattern="chat:*") == {
                "channels": {"chat:a": {"num_clients": 2}}
            }
            assert await api.error("presence", channel="off:b") == 108
            assert await api.error("presence_stats", channel="nobody:b") == 102
            assert await api.error("presence") == 107

    run(scenario())


def test_presence_that_cannot_be_read_is_an_error_that_passes(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url, {"chat": {"presence": True}}) as api:
            assert await api.error("presence", channel="chat:a") == 100
            assert await api.error("channels") == 100

    run(scenario())

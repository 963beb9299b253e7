"""Connections over REST: those of a user, and what became of each."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from adapters.clock import SystemClock
from adapters.redis.journeys import Entry, JourneyWriter
from core.channels.filter import FilterNode
from core.connections.journey import Came, Ended, Left, Paged, Refused, Step, Subscribed, WentLive
from core.instants import Instant, format_instant
from settings import Journeys
from tests.helpers.cache import cache_of, cache_server
from tests.helpers.loop import run
from tests.helpers.rest import Rest, rest_of

SECOND = 1_000_000


class Notes:
    """A REST replica, and one that tells of clients."""

    def __init__(self, api: Rest, writer: JourneyWriter) -> None:
        self.api = api
        self.began_at = SystemClock().now()
        self._writer = writer

    def at(self, seconds: float) -> Instant:
        return Instant(self.began_at + round(seconds * SECOND))

    def time(self, seconds: float) -> str:
        return format_instant(self.at(seconds))

    async def tell(self, client: str, user: str, *steps: Step, is_retold: bool = False) -> None:
        came = Came(self.at(0), client, user, "websocket", "n1", "n1.0", is_retold)
        organization_id = self.api.organization.organization_id
        entry = Entry(organization_id, user, client, begins=True, steps=(came, *steps))
        assert await self._writer.write([entry]) == [True]
        await self._writer.tell("n1.0", self.at(1))

    async def of(self, path: str) -> Any:
        answer = await self.api.get(f"/v1/connections{path}")
        assert answer.status == 200, answer.raw
        return answer.body


@asynccontextmanager
async def notes_of(database_url: str) -> AsyncIterator[Notes]:
    async with (
        cache_server() as server,
        cache_of(server) as cache,
        rest_of(database_url, cache_url=server.url) as api,
    ):
        writer = JourneyWriter(cache.line(), Journeys())
        try:
            yield Notes(api, writer)
        finally:
            await writer.close()


def test_a_connection_is_shown_with_every_step(database_url: str) -> None:
    async def scenario() -> None:
        async with notes_of(database_url) as notes:
            red = FilterNode(key="colour", cmp="eq", val="red")
            steps: list[Step] = [
                Subscribed(notes.at(0.1), "news", "one", 4, 6, was_recovering=True, recovered=True),
                Paged(notes.at(0.2), "news", 9),
                WentLive(notes.at(0.3), "news", 10),
                Subscribed(notes.at(0.4), "b", "one", 0, 0, max_rate=2.0, has_filter=True, filter=red),
                Refused(notes.at(0.5), "$c", 103),
                Left(notes.at(0.6), "news", 12, 2000),
                Ended(notes.at(0.7), 3008, "slow", {"b": 7}),
            ]
            await notes.tell("c1", "ann", *steps)
            shown = await notes.of("/c1")
            told = shown.pop("steps")
            assert shown == {
                "object": "connection",
                "client": "c1",
                "user": "ann",
                "transport": "websocket",
                "node": "n1",
                "status": "disconnected",
                "connected_at": notes.time(0),
                "known_since": notes.time(0),
                "told_until": notes.time(1),
                "channels": ["news", "b"],
                "disconnected_at": notes.time(0.7),
                "code": 3008,
                "reason": "slow",
                "is_complete": True,
            }
            assert [step["step"] for step in told] == [
                *("connected", "subscribed", "page_sent", "live"),
                *("subscribed", "refused", "unsubscribed", "disconnected"),
            ]
            assert told[0] == {"step": "connected", "at": notes.time(0), "is_retold": False}
            assert told[2] == {"step": "page_sent", "at": notes.time(0.2), "channel": "news", "sent_up_to": 9}
            assert (told[1]["began_behind"], told[1]["sent_up_to"], told[3]["sent_up_to"]) == (4, 6, 10)
            assert (told[4]["filter"]["val"], "filter" in told[1]) == ("red", False)
            assert (told[-2]["sent_up_to"], told[-1]["sent_up_to"]) == (12, {"b": 7})

    run(scenario())


def test_what_is_not_known_is_not_claimed(database_url: str) -> None:
    async def scenario() -> None:
        async with notes_of(database_url) as notes:
            await notes.tell("c1", "ann", is_retold=True)
            shown = await notes.of("/c1")
            assert (shown["connected_at"], shown["known_since"]) == (None, notes.time(0))
            assert (shown["status"], shown["is_complete"]) == ("connected", False)
            assert "disconnected_at" not in shown
            for client in ("c2", "%20", "x" * 4_000, "%7B%7D"):
                answer = await notes.api.get(f"/v1/connections/{client}")
                assert (answer.status, answer.code) == (404, "not_found")

    run(scenario())


def test_the_connections_of_a_user_are_listed_newest_first(database_url: str) -> None:
    async def scenario() -> None:
        async with notes_of(database_url) as notes:
            for number in range(5):
                await notes.tell(f"c{number}", "ann")
            await notes.tell("d1", "")
            path, seen = "?user=ann&limit=2", []
            while path:
                page = await notes.of(path)
                seen += [[one["client"] for one in page["data"]]]
                cursor = page["next_cursor"]
                path = f"?user=ann&limit=2&cursor={cursor}" if page["has_more"] else ""
            assert seen == [["c4", "c3"], ["c2", "c1"], ["c0"]]
            assert [one["client"] for one in (await notes.of("?user="))["data"]] == ["d1"]
            assert (await notes.of("?user=eve"))["data"] == []
            foreign = (await notes.of("?user=ann&limit=2"))["next_cursor"]
            answer = await notes.api.get(f"/v1/connections?user=eve&cursor={foreign}")
            assert (answer.status, answer.code) == (400, "cursor_mismatch")

    run(scenario())


def test_who_may_ask_and_how(database_url: str) -> None:
    async def scenario() -> None:
        async with notes_of(database_url) as notes:
            await notes.tell("c1", "ann")
            answer = await notes.api.get("/v1/connections")
            assert (answer.status, answer.body["errors"][0]["parameter"]) == (422, "user")
            narrow = await notes.api.key_with("events:read")
            reader = await notes.api.key_with("channels:read")
            _, foreign = await notes.api.another()
            for path in ("/v1/connections?user=ann", "/v1/connections/c1"):
                asked = [(await notes.api.call("GET", path, key=key)).status for key in (narrow, reader)]
                assert asked == [403, 200]
            listed = await notes.api.call("GET", "/v1/connections?user=ann", key=foreign)
            assert listed.body["data"] == []
            assert (await notes.api.call("GET", "/v1/connections/c1", key=foreign)).status == 404

    run(scenario())


def test_without_redis_it_is_unavailable(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            for path in ("/v1/connections?user=ann", "/v1/connections/c1"):
                answer = await api.get(path)
                assert (answer.status, answer.code) == (503, "unavailable")

    run(scenario())

"""The organization's log over SSE, against a real owner and a real database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import aiohttp
import orjson

from adapters.postgres.streams import LogReader
from core.auth.scopes import ALL
from core.streams.event import EVENT_BYTES, Head
from gateway.realtime.event_stream import Events
from tests.helpers.loop import run
from tests.helpers.memory_log import ORG, MemoryLog
from tests.helpers.owners import publish
from tests.helpers.realtime import ANSWER_S, Realtimes, realtime_of
from tests.helpers.replica import MemoryReplica, turns


class Stream:
    """One stream that is read event by event."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer
        self.headers = answer.headers

    async def next(self) -> tuple[str, Any]:
        """Return id and data of the next event; comments are passed over."""
        id_, data = "", b""
        async with asyncio.timeout(ANSWER_S):
            while line := await self._answer.content.readline():
                if line.startswith(b"id: "):
                    id_ = line[4:].strip().decode()
                elif line.startswith(b"data: "):
                    data += line[6:].strip()
                elif line == b"\n" and data:
                    return id_, orjson.loads(data)
        raise AssertionError("the stream has ended")

    async def numbers(self, count: int) -> list[int]:
        """Return the `seq` of the next events."""
        return [(await self.next())[1]["seq"] for _ in range(count)]


@asynccontextmanager
async def stream(
    system: Realtimes, query: str = "", *, key: str = "", **headers: str
) -> AsyncIterator[Stream]:
    sent = {
        "Authorization": f"Bearer {key or system.key}",
        **{n.replace("_", "-"): v for n, v in headers.items()},
    }
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{system.streams_url}/v1/events/stream{query}", headers=sent) as answer,
    ):
        assert answer.status == 200, await answer.text()
        yield Stream(answer)


async def refusal(system: Realtimes, query: str = "", **headers: str) -> tuple[int, str]:
    sent = {"Authorization": f"Bearer {system.key}", **{n.replace("_", "-"): v for n, v in headers.items()}}
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{system.streams_url}/v1/events/stream{query}", headers=sent) as answer,
    ):
        return answer.status, (await answer.json(content_type=None))["code"]


async def write(system: Realtimes, count: int) -> None:
    await asyncio.gather(
        *(system.owner.submit(publish(system.organization.organization_id, "news")) for _ in range(count))
    )


def test_a_stream_goes_on_from_a_position_and_then_live(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system:
            await write(system, 1_200)  # more than a page, and more than memory of a fresh replica holds
            async with stream(system, last_event_id="0") as all_of_it:
                assert await all_of_it.numbers(1_200) == list(range(1, 1_201))
                await write(system, 2)
                id_, event = await all_of_it.next()
                assert (event["seq"], event["type"]) == (1_201, "publication.created")
                assert id_ == f"{event['epoch']}:1201"
                assert all_of_it.headers["Content-Type"] == "text/event-stream; charset=utf-8"
            async with stream(system, f"?after={id_}") as resumed:
                assert await resumed.numbers(1) == [1_202]

    run(scenario())


def test_without_a_position_a_stream_begins_now(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system:
            await write(system, 3)
            async with stream(system) as live:
                await write(system, 1)
                assert await live.numbers(1) == [4]

    run(scenario())


def test_types_choose_what_is_shown(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system:
            await write(system, 3)
            async with stream(system, "?types=room.*,publication.created", last_event_id="1") as chosen:
                assert await chosen.numbers(2) == [2, 3]

    run(scenario())


def test_what_cannot_be_streamed_is_refused(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system:
            await write(system, 1)
            assert await refusal(system, last_event_id="another:1") == (409, "epoch_changed")
            assert await refusal(system, last_event_id="7") == (409, "epoch_changed")
            assert await refusal(system, "?x=1") == (400, "unknown_parameter")
            assert await refusal(system, "?after=a:b") == (422, "validation_failed")
            assert await refusal(system, authorization="Bearer nonsense") == (401, "credential_invalid")

    run(scenario())


def test_a_key_without_the_scope_and_another_organization_see_nothing(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system:
            _, narrow = await system.store.create_key(system.organization, "narrow", ["channels:read"])
            assert await refusal(system, authorization=f"Bearer {narrow}") == (403, "permission_denied")
            other = await system.store.create_organization("other", "test")
            _, foreign = await system.store.create_key(other, "other", sorted(ALL))
            await write(system, 3)
            async with stream(system, key=foreign, last_event_id="0") as theirs:
                await write(system, 1)
                await system.owner.submit(publish(other.organization_id, "news", b'"theirs"'))
                assert (await theirs.next())[1]["data"]["object"]["data"] == "theirs"

    run(scenario())


class Reading:
    """One reader of a log in memory, which memory of the replica has lost but for the newest event."""

    def __init__(self, *, recent_bytes_max: int = 1, bytes_max: int = 1_000) -> None:
        self.log = MemoryLog()
        self.replica = MemoryReplica(self.log, recent_bytes_max=recent_bytes_max)
        self.feed = self.replica.parts.hub.join(ORG)
        self.events = Events(self.feed, cast("LogReader", self.log), (), bytes_max)

    async def answered(self, awaited: Any) -> Any:
        """Return what is answered when the log answers."""
        asking = asyncio.ensure_future(awaited)
        await turns(2)
        self.log.gate.open_all()
        return await asking


def test_what_is_past_its_retention_before_it_was_read_is_not_left_out_silently() -> None:
    async def scenario(expired: int) -> None:
        reading = Reading()
        await reading.answered(reading.events.begin(None))
        for _ in range(4):
            reading.log.publish("news")
        reading.log.expired = expired
        assert await reading.answered(reading.events.next()) == b""
        assert (
            reading.events.is_over
        )  # else it would go on behind the hole, or ask again at once and for ever

    for expired in (2, 4):
        run(scenario(expired))


def test_a_page_has_a_limit_in_bytes_wherever_it_comes_from() -> None:
    async def scenario(recent_bytes_max: int, bytes_max: int) -> None:
        reading = Reading(recent_bytes_max=recent_bytes_max, bytes_max=bytes_max)
        await reading.answered(reading.events.begin(None))
        for _ in range(5):
            reading.log.publish("news")
        pages = []
        while page := await reading.answered(reading.events.next()):
            pages.append(page.count(b"data: "))
        assert pages == [2, 2, 1]

    run(scenario(1, 2))  # the log in memory counts a byte for each
    run(scenario(1_000_000, EVENT_BYTES + 2))


def test_a_page_of_another_log_is_not_shown_under_the_positions_of_this_one() -> None:
    async def scenario() -> None:
        reading = Reading()
        await reading.answered(reading.events.begin(None))
        for _ in range(3):
            reading.log.publish("news")
        page = asyncio.ensure_future(reading.events.next())
        await turns(2)
        reading.feed.on_head(Head(ORG, "epochtwo", 3))
        reading.log.gate.open_all()
        assert await page == b""
        assert reading.events.is_over

    run(scenario())

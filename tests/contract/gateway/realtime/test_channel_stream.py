"""One channel over plain SSE, against a real owner and a real database: from a position on, and then live."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from core.auth.scopes import ALL
from tests.helpers.log import database_at, make_days
from tests.helpers.loop import run
from tests.helpers.owners import publish
from tests.helpers.realtime import Realtimes, realtime_of
from tests.helpers.streams import Answer, Raw, ask, raw, request_of

PATH = "/v1/channels/news/stream"


def port_of(system: Realtimes) -> int:
    return int(system.streams_url.rpartition(":")[2])


class Reader:
    """A reader of one stream."""

    def __init__(self, answer: Raw) -> None:
        self.answer = answer
        self._lines: list[str] = []

    async def next(self) -> tuple[str, Any]:
        """Return id and data of the next event."""
        while True:
            while len(self._lines) < 3:
                self._lines += (await self.answer.part()).decode().split("\n")[:-1]
            if self._lines[0].startswith(":"):
                del self._lines[:2]
                continue
            (id_, data, end), self._lines = self._lines[:3], self._lines[3:]
            assert (id_[:4], data[:6], end) == ("id: ", "data: ", "")
            return id_[4:], orjson.loads(data[6:])

    async def offsets(self, count: int) -> list[int]:
        """Return the offsets of the next publications."""
        return [(await self.next())[1]["offset"] for _ in range(count)]


@asynccontextmanager
async def reading(
    system: Realtimes, query: str = "", *, key: str = "", path: str = PATH, **headers: str
) -> AsyncIterator[Reader]:
    sent = {"authorization": f"Bearer {key or system.key}", **headers}
    async with raw(port_of(system), request_of("GET", path + query, **sent)) as answer:
        head = await answer.head()
        assert head.startswith("HTTP/1.1 200 "), head
        assert "content-type: text/event-stream; charset=utf-8" in head
        yield Reader(answer)


async def refusal(system: Realtimes, query: str = "", *, path: str = PATH, **headers: str) -> Answer:
    sent = {"authorization": f"Bearer {system.key}", **headers}
    return await ask(port_of(system), "GET", path + query, **sent)


async def write(system: Realtimes, count: int, channel: str = "news", data: bytes = b"{}") -> None:
    organization_id = system.organization.organization_id
    await asyncio.gather(
        *(system.owner.submit(publish(organization_id, channel, data)) for _ in range(count))
    )


def test_a_stream_goes_on_from_a_position_and_then_live(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url, history_max=100) as system:
            await write(system, 450)  # several pages
            await write(system, 3, "other")
            async with reading(system, last_event_id="0") as whole:
                assert await whole.offsets(450) == list(range(1, 451))
                await write(system, 3, "other")
                await write(system, 2)
                id_, shown = await whole.next()
                assert (shown["object"], shown["channel"], shown["offset"]) == ("publication", "news", 451)
                assert id_ == f"{shown['epoch']}:451"
            async with reading(system, f"?after={id_}") as resumed:
                assert await resumed.offsets(1) == [452]
            # Where a reader was counts before the URL that it began with.
            async with reading(system, "?after=0", last_event_id=id_) as resumed:
                assert await resumed.offsets(1) == [452]

    run(scenario())


def test_without_a_position_a_stream_begins_now_in_a_channel_that_nobody_used_as_well(
    database_url: str,
) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system:
            await write(system, 3)
            async with (
                reading(system) as live,
                reading(system, path="/v1/channels/ns%3Aroom%2F7/stream") as quiet,
            ):
                await write(system, 2)
                assert await live.offsets(2) == [4, 5]
                await write(system, 1, "ns:room/7")
                assert (await quiet.next())[1]["channel"] == "ns:room/7"

    run(scenario())


def test_nothing_is_lost_or_repeated_while_others_write(database_url: str) -> None:
    async def scenario() -> None:
        # So few are noted that a reader falls behind again and again.
        async with realtime_of(database_url, history_max=7, noted_events_max=3) as system:
            await write(system, 40)
            async with reading(system, last_event_id="0") as reader:
                writing = asyncio.ensure_future(write_slowly(system, 200))
                assert await reader.offsets(240) == list(range(1, 241))
                await writing

    async def write_slowly(system: Realtimes, count: int) -> None:
        for _ in range(count // 10):
            await write(system, 10)

    run(scenario())


def test_payloads_are_shown_as_everywhere_in_rest(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system, reading(system) as reader:
            await write(system, 1, data=b'{"a":\n 1}')
            await write(system, 1, data=b"\xff")
            assert (await reader.next())[1]["data"] == {"a": 1}
            assert (await reader.next())[1]["b64data"] == "/w=="

    run(scenario())


def test_what_cannot_be_streamed_is_refused(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system:
            await write(system, 1)
            bad = await refusal(system, last_event_id="another:1")
            assert (bad.status, bad.code) == (409, "epoch_changed")
            assert orjson.loads(bad.body)["readable"]["last"].endswith(":1")
            for query, headers, status, code in (
                ("", {"last_event_id": "7"}, 409, "epoch_changed"),
                ("", {"last_event_id": "x:y"}, 400, "header_invalid"),
                ("?after=x:y", {}, 422, "validation_failed"),
                ("?types=a", {}, 400, "unknown_parameter"),
                ("?ticket=x", {}, 400, "unknown_parameter"),
                ("?access_token=x", {}, 400, "credential_in_url"),
                ("", {"tidings_version": "2020-01-01"}, 400, "version_unknown"),
                ("", {"authorization": "Bearer nonsense"}, 401, "credential_invalid"),
                ("", {"authorization": ""}, 401, "unauthenticated"),
            ):
                refused = await refusal(system, query, **headers)
                assert (refused.status, refused.code) == (status, code), query
            for path, status, code in (
                (f"/v1/channels/{'x' * 256}/stream", 422, "validation_failed"),
                ("/v1/channels/a%/stream", 400, "malformed_request"),
                ("/v1/channels/%ff/stream", 400, "malformed_request"),
                ("/v1/channels/a%c3%a9/stream", 422, "validation_failed"),
            ):
                refused = await refusal(system, path=path)
                assert (refused.status, refused.code) == (status, code), path

    run(scenario())


def test_what_is_past_its_retention_is_told_so(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system:
            await write(system, 3)
            await make_days(database_url, 40)
            async with database_at(database_url, 1) as database:
                await database.execute('UPDATE channel_entries SET day = day - 40 WHERE "offset" <= 2')
            gone = await refusal(system, last_event_id="1")
            assert (gone.status, gone.code) == (410, "history_expired")
            async with reading(system, last_event_id="2") as reader:
                assert await reader.offsets(1) == [3]

    run(scenario())


@pytest.mark.parametrize("query", ["", "?after=0"])
def test_a_key_without_the_scope_and_another_organization_see_nothing(database_url: str, query: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system:
            _, narrow = await system.store.create_key(system.organization, "narrow", ["events:read"])
            refused = await refusal(system, query, authorization=f"Bearer {narrow}")
            assert (refused.status, refused.code) == (403, "permission_denied")
            other = await system.store.create_organization("other", "test")
            _, foreign = await system.store.create_key(other, "other", sorted(ALL))
            await write(system, 2)
            async with reading(system, query, key=foreign) as theirs:
                await write(system, 1)
                await system.owner.submit(publish(other.organization_id, "news", b'"theirs"'))
                assert (await theirs.next())[1]["data"] == "theirs"

    run(scenario())


def test_the_methods_that_exist_are_told(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system:
            key = {"authorization": f"Bearer {system.key}"}
            head = await ask(port_of(system), "HEAD", PATH, **key)
            assert (head.status, head.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
            assert (await ask(port_of(system), "HEAD", PATH + "?after=9", **key)).status == 409
            refused = await ask(port_of(system), "POST", PATH, **key)
            assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD, OPTIONS")

    run(scenario())


def test_readers_are_let_go_when_the_replica_ends(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system, reading(system) as reader:
            await write(system, 1)
            assert await reader.offsets(1) == [1]
            await system.server.close()
            assert await reader.answer.part() == b""

    run(scenario())

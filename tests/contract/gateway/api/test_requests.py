"""What a request brings besides its body: a trace, an id of its own, conditions, and one meaning."""

import asyncio
from pathlib import Path

import pytest
import structlog

from adapters.postgres.streams import LogReader
from core.ids import decode
from tests.helpers.log import database_at
from tests.helpers.loop import run
from tests.helpers.rest import Rest, rest_of

STRICT = """{"title": "thing", "type": "object", "properties": {"v": {}},
    "x-tidings": {"collection": "things", "id_prefix": "thg", "require_if_match": true}}"""
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


async def status_of(api: Rest, raw: bytes) -> bytes:
    """Send bytes as they are and return the first line of the answer, b"" where there is none."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(api.url.rpartition(":")[2]))
    try:
        writer.write(raw)
        async with asyncio.timeout(5):
            return await reader.readline()
    finally:
        writer.close()
        await writer.wait_closed()


def test_a_type_that_demands_a_condition_changes_nothing_without(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "thing.json").write_text(STRICT)

    async def scenario() -> None:
        async with rest_of(database_url, schemas=tmp_path) as api:
            path = (await api.post("/v1/things", {"v": 1})).headers["location"]
            for method, body in (("PUT", {"v": 2}), ("PATCH", {"v": 2}), ("DELETE", None)):
                refused = await api.call(method, path, body)
                assert (refused.status, refused.code) == (428, "precondition_required")
            assert (await api.get(path)).headers["etag"] == '"r1"'
            for method, body, tag in (
                ("PUT", {"v": 2}, '"r1"'),
                ("PATCH", {"v": 3}, "*"),
                ("DELETE", None, '"r3"'),
            ):
                assert (await api.call(method, path, body, if_match=tag)).status == 200

    run(scenario())


@pytest.mark.parametrize(
    ("parent", "kept"),
    [
        (PARENT, TRACE),
        (PARENT.upper(), ""),
        (f"ff{PARENT[2:]}", ""),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", ""),
    ],
    ids=["valid", "upper case", "version", "zeros"],
)
def test_an_event_keeps_the_trace_of_its_request(database_url: str, parent: str, kept: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            made = await api.post("/v1/rooms", {"name": "a"}, traceparent=parent)
            event_id = decode("evt", made.headers["tidings-position"].split('"')[1])
            async with database_at(database_url, 1) as database:
                reader = LogReader(database, retention_days=30)
                event = await reader.event(api.organization.organization_id, event_id)
            assert event is not None
            assert event.trace_id.hex() == kept

    run(scenario())


def test_an_id_of_the_clients_own_is_logged_and_not_told_back(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url, concurrency_max=0) as api:
            for sent, logged in (
                ("mine-1", "mine-1"),
                ("x" * 128, "x" * 128),
                ("x" * 129, None),
                ("a b", None),
            ):
                with structlog.testing.capture_logs() as logs:
                    answer = await api.get("/v1/rooms", x_request_id=sent)
                assert answer.status == 503
                assert sent not in answer.raw.decode()
                assert sent not in answer.headers.values()
                (line,) = [entry for entry in logs if entry["event"] == "request.refused"]
                assert line.get("client_request_id") == logged
                assert line["request_id"] == answer.headers["request-id"]

    run(scenario())


def test_a_request_of_two_meanings_is_refused(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            start = b"POST /v1/rooms HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\n" % api.key.encode()
            for broken in (
                b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
                b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
                b"X-A: a\rb\r\nContent-Length: 0\r\n\r\n",
                b"X-A: a\r\n b\r\nContent-Length: 2\r\n\r\n{}",
            ):
                assert b" 400 " in await status_of(api, start + broken), broken
            assert (await api.get("/v1/events")).body["data"] == []

    run(scenario())

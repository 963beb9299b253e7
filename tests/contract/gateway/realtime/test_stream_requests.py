"""What is asked of the stream of events besides events: methods, versions, positions that are none."""

import asyncio
from typing import Any

import aiohttp
import pytest
from yarl import URL

from core.errors import Code
from tests.helpers.loop import run
from tests.helpers.realtime import Realtimes, realtime_of

PATH = "/v1/events/stream"


async def ask(
    system: Realtimes, query: str = "", *, method: str = "GET", **headers: str
) -> tuple[int, Any, bytes]:
    """Return status, headers and, of an answer that ends, the body."""
    sent = {"authorization": f"Bearer {system.key}", **{n.replace("_", "-"): v for n, v in headers.items()}}
    url = URL(f"{system.streams_url}{PATH}{query}", encoded=True)
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url, headers={n: v for n, v in sent.items() if v}) as answer,
    ):
        streams = answer.headers["Content-Type"].startswith("text/event-stream")
        body = b"" if streams and method == "GET" else await answer.read()
        return answer.status, answer.headers, body


@pytest.mark.parametrize(
    ("query", "headers", "status", "code", "member"),
    [
        ("?after=x:y", {}, 422, Code.VALIDATION_FAILED, b'"parameter":"after"'),
        ("", {"last_event_id": "x:y"}, 400, Code.HEADER_INVALID, b'"header":"Last-Event-ID"'),
        ("?types=%ff", {}, 400, Code.MALFORMED_REQUEST, b""),
        ("?types=a&types=b", {}, 400, Code.UNKNOWN_PARAMETER, b'"parameter":"types"'),
        ("?limit=1", {}, 400, Code.UNKNOWN_PARAMETER, b'"parameter":"limit"'),
        ("?after=%00", {}, 400, Code.MALFORMED_REQUEST, b""),
        ("?access_token=x", {"authorization": ""}, 400, Code.CREDENTIAL_IN_URL, b""),
        ("", {"tidings_version": "2020-01-01"}, 400, Code.VERSION_UNKNOWN, b'["2026-11-22"]'),
        ("", {"authorization": ""}, 401, Code.UNAUTHENTICATED, b""),
    ],
)
def test_what_is_not_in_order_is_refused_as_everywhere(
    database_url: str, query: str, headers: dict[str, str], status: int, code: Code, member: bytes
) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system:
            answered, told, body = await ask(system, query, **headers)
            assert (answered, told["Content-Type"]) == (status, "application/problem+json"), body
            assert b'"code":"%b"' % code.value.encode() in body
            assert member in body
            assert told["Request-Id"].encode() in body
            assert told["Tidings-Version"] == "2026-11-22"

    run(scenario())


def test_bytes_in_the_query_that_are_no_text_are_refused(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system:
            port = int(system.streams_url.rpartition(":")[2])
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            head = f"Host: x\r\nAuthorization: Bearer {system.key}\r\nConnection: close\r\n\r\n"
            writer.write(b"GET /v1/events/stream?types=\xff HTTP/1.1\r\n" + head.encode())
            answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 400 ")
            writer.close()
            await writer.wait_closed()

    run(scenario())


def test_the_methods_that_exist_are_told(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system:
            for method in ("POST", "DELETE", "TRACE"):
                status, headers, body = await ask(system, method=method)
                assert (status, headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
                assert b'"method_not_allowed"' in body
            status, headers, body = await ask(system, method="HEAD")
            assert (status, headers["Content-Type"], body) == (200, "text/event-stream; charset=utf-8", b"")
            assert (await ask(system, "?after=9", method="HEAD"))[0] == 409
            sent = {"method": "GET", "tidings_version": "2026-11-22"}
            status, headers, _ = await ask(system, **sent)
            assert (status, headers["Tidings-Version"]) == (200, "2026-11-22")
            async with (
                aiohttp.ClientSession() as session,
                session.options(f"{system.streams_url}{PATH}") as answer,
            ):
                assert (answer.status, answer.headers["Allow"]) == (204, "GET, HEAD, OPTIONS")

    run(scenario())

"""How `/api` answers over HTTP: in what order it looks, and how it tells of errors."""

import gzip
from typing import Any

from tests.helpers.loop import run
from tests.helpers.server_api import KEY, server_api_of


def test_a_method_that_there_is_not_comes_before_everything_else(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url) as api:
            for path in ("/api/map_publish", "/api/shared_poll_publish", "/api/nothing", "/api/publish/x"):
                answer = await api.rest.call("GET", path, key="")
                assert (answer.status, answer.raw) == (404, b"404 page not found\n"), path
                assert answer.headers["content-type"] == "text/plain; charset=utf-8"

    run(scenario())


def test_only_post_is_served(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url) as api:
            for method in ("GET", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH", "LOCK"):
                answer = await api.rest.call(method, "/api/publish", key="")
                assert (answer.status, answer.headers["allow"]) == (405, "POST"), method

    run(scenario())


def test_what_cannot_be_read_is_a_bad_request(database_url: str) -> None:
    unreadable = [
        b"", b"{", b"[]", b"1", b'{"channel":1}', b'{"data":"\xff"}', b'{"data":' + b"[" * 100_000,
    ]  # fmt: skip

    async def scenario() -> None:
        async with server_api_of(database_url) as api:
            for body in unreadable:
                answer = await api.post("/api/publish", body)
                assert (answer.status, answer.raw) == (400, b"Bad Request\n"), body[:20]

    run(scenario())


def test_a_query_of_too_many_parameters_is_a_bad_request(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url) as api:
            query = "&".join("a=1" for _ in range(200))
            answer = await api.post(f"/api/info?{query}", {})
            assert (answer.status, answer.raw) == (400, b"Bad Request\n")

    run(scenario())


def test_a_wrong_key_is_looked_at_before_the_body_and_answered_with_nothing(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url) as api:
            answer = await api.post("/api/publish", b"{", x_api_key="another")
            assert (answer.status, answer.raw) == (401, b"")

    run(scenario())


def test_the_type_of_a_body_means_nothing(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url) as api:
            for content_type in ("application/json", "text/plain", "application/x-www-form-urlencoded", "x"):
                answer = await api.post(
                    "/api/publish", {"channel": "a", "data": 1}, content_type=content_type
                )
                assert answer.status == 200
                assert answer.headers["content-type"] == "application/json"

    run(scenario())


def test_a_compressed_body_is_read(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url) as api:
            body = gzip.compress(b'{"channel":"a","data":{}}')
            assert (await api.post("/api/publish", body, content_encoding="gzip")).body["result"][
                "offset"
            ] == 1

    run(scenario())


def test_a_body_that_is_too_large_is_not_read(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url, body_bytes_max=100) as api:
            answer = await api.post("/api/publish", {"channel": "a", "data": "x" * 200})
            assert (answer.status, answer.raw) == (413, b"Body too large\n")

    run(scenario())


async def told(api: Any, request: dict[str, Any], **headers: str) -> tuple[int, Any]:
    answer = await api.post("/api/history", request, **headers)
    return answer.status, answer.body


def test_errors_are_told_by_the_status_where_that_is_asked_for(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url, {"chat": {"history": "whole"}, "_": {}}) as api:
            by_status = {"x_centrifugo_error_mode": "transport", "x_api_key": KEY}
            bad = {"code": 107, "message": "bad request"}
            stale = {"channel": "chat:a", "since": {"offset": 1, "epoch": "old"}}
            assert await told(api, {}) == (200, {"error": bad})
            assert await told(api, {}, **by_status) == (400, bad)
            assert await told(api, {"channel": "no:a"}, **by_status) == (
                404, {"code": 102, "message": "unknown channel"},
            )  # fmt: skip
            assert await told(api, {"channel": "a"}, **by_status) == (
                400, {"code": 108, "message": "not available"},
            )  # fmt: skip
            assert await told(api, stale, **by_status) == (
                416, {"code": 112, "message": "unrecoverable position"},
            )  # fmt: skip
            answer = await api.post("/api/rpc", {"method": "x"}, **by_status)
            assert (answer.status, answer.body) == (404, {"code": 104, "message": "not found"})
            answer = await api.post("/api/publish", {"channel": "a", "data": 1}, **by_status)
            assert (answer.status, answer.body) == (200, {"result": {}})

    run(scenario())


def test_an_organization_may_want_all_errors_told_that_way(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url) as api:
            await api.put(errors_by_status=True)
            assert (await told(api, {}))[0] == 400

    run(scenario())


def test_a_replica_that_is_full_says_so_as_an_error_that_passes(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url, concurrency_max=0) as api:
            answer = await api.post("/api/publish", {"channel": "a", "data": 1})
            assert (answer.status, answer.body["error"]["code"]) == (200, 111)
            answer = await api.post(
                "/api/publish", {"channel": "a", "data": 1}, x_centrifugo_error_mode="transport"
            )
            assert (answer.status, answer.body["code"]) == (429, 111)

    run(scenario())


def test_calls_are_counted_by_their_method(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url) as api:
            await api.post("/api/publish", {"channel": "a", "data": 1})
            await api.post("/api/nothing")
            figures = (await api.rest.get("/metrics")).raw.decode()
            assert 'route="/api/publish",status="200"' in figures
            assert 'route="/api/{method}",status="404"' in figures

    run(scenario())

"""Every limit of a request holds at the limit and refuses one above."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.loop import run
from tests.helpers.rest import Answer, Rest, rest_of

SCHEMA = """{"title": "thing", "type": "object", "properties": {"v": {}},
    "x-tidings": {"collection": "things", "id_prefix": "thg"}}"""
KEY = "tdg_live_frltGemFCz2wyaPn8EXmNdxHNVLMlv3tiuti"


async def raw(api: Rest, request: bytes) -> bytes:
    """Send bytes as they are, and return the answer's until it ends or nothing comes for a while."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(api.url.rpartition(":")[2]))
    writer.write(request)
    answer = b""
    try:
        async with asyncio.timeout(2):
            while chunk := await reader.read(65_536):
                answer += chunk
                if b"Connection: close" not in request and answer.endswith(b"}"):
                    break
    except TimeoutError:
        pass
    writer.close()
    return answer


def refused(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.code


@pytest.mark.parametrize(("size", "status"), [(8_192, 200), (8_193, 414)])
@pytest.mark.parametrize("with_query", [False, True])
def test_a_url_has_8_kibibytes_at_most(
    database_url: str, size: int, status: int, *, with_query: bool
) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            start = "/v1/events?after=" if with_query else "/v1/channels/"
            url = start + "x" * (size - len(start))
            answer = await api.get(url)
            if status == 414:
                assert refused(answer) == (414, "uri_too_long")
                assert answer.headers["connection"] == "close"
            else:
                assert answer.status in (404, 422)

    run(scenario())


def test_headers_have_15_kibibytes_and_100_lines_at_most(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            most = 100 - len(("host", "authorization", "user-agent"))
            for count, status in ((most, 200), (most + 1, 431)):
                others = {f"x_{number}": "1" for number in range(count)}
                # What the edge adds is not the client's.
                answer = await api.get("/v1/rooms", **others, user_agent="x", x_forwarded_for="127.0.0.1")
                assert answer.status == status, answer.raw
                if status == 431:
                    assert refused(answer) == (431, "headers_too_large")
                    assert answer.headers["connection"] == "close"
            host = api.url.removeprefix("http://")
            rest = f"host: {host}\r\nauthorization: Bearer {api.key}\r\nuser-agent: x\r\nx-a: \r\n"
            room = 15_360 - len(rest)
            for size, status in ((room, 200), (room + 1, 431)):
                answer = await api.get("/v1/rooms", x_a="x" * size, user_agent="x")
                assert answer.status == status, answer.raw

    run(scenario())


def test_a_method_that_nobody_knows_is_answered_with_those_there_are(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            for method in ("TRACE", "PROPFIND", "LOCK"):
                answer = await api.call(method, "/v1/rooms", key="")
                assert refused(answer) == (405, "method_not_allowed")
                assert answer.headers["allow"] == "GET, POST, HEAD, OPTIONS"
                assert refused(await api.call(method, "/v1/nothing")) == (404, "route_not_found")

    run(scenario())


@pytest.mark.parametrize("path", ["/v1/rooms", "/v1/events", "/v1/rooms/ext:a", "/healthz"])
@pytest.mark.parametrize(
    "query", ["access_token=x", "API_KEY=x", f"name={KEY}", f"name={KEY.replace('_', '%5F')}"]
)
def test_a_credential_in_the_url_is_told_before_anybody_is_asked_for_one(
    database_url: str, path: str, query: str
) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            for key in ("", None):
                answer = await api.call("GET", f"{path}?{query}", key=key)
                assert refused(answer) == (400, "credential_in_url")
                assert KEY.encode() not in answer.raw

    run(scenario())


@pytest.mark.parametrize(("size", "status"), [(65_536, 200), (65_537, 413)])
def test_a_document_has_64_kibibytes_at_most(
    database_url: str, tmp_path: Path, size: int, status: int
) -> None:
    (tmp_path / "thing.json").write_text(SCHEMA)

    async def scenario() -> None:
        async with rest_of(database_url, schemas=tmp_path) as api:
            document = {"v": "x" * (size - len('{"v":""}'))}
            made = await api.call("PUT", "/v1/things/ext:a", {"v": 1, "metadata": {"k": "v"}})
            assert (await api.call("PUT", "/v1/things/ext:a", document)).status == status
            # What a patch makes of a document counts, and not the patch.
            half = {"v": {"a": "x" * 30_000, "b": "x" * (size - 30_000 - len('{"v":{"a":"","b":""}}'))}}
            path = made.headers["location"]
            await api.call("PUT", path, {"v": {"a": half["v"]["a"]}})
            assert (await api.call("PATCH", path, {"v": {"b": half["v"]["b"]}})).status == status

    run(scenario())


def rooms(count: int) -> dict[str, Any]:
    return {"items": [{"name": "r"}] * count}


def publications(count: int) -> dict[str, Any]:
    return {"items": [{"channel": "a", "data": 1}] * count}


def to_channels(count: int) -> dict[str, Any]:
    return {"items": [{"channels": [f"c{number}" for number in range(count)], "data": 1}]}


@pytest.mark.parametrize(
    ("path", "most", "over", "pointer"),
    [
        ("/v1/rooms/batch", rooms(500), rooms(501), "#/items"),
        ("/v1/publish", publications(1_000), publications(1_001), "#/items"),
        ("/v1/rooms/batch", rooms(1), rooms(0), "#/items"),
    ],
)
def test_a_batch_has_so_many_items_and_no_more(
    database_url: str, path: str, most: dict[str, Any], over: dict[str, Any], pointer: str
) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            answer = await api.post(path, most)
            assert (answer.status, answer.body["has_errors"]) == (200, False)
            answer = await api.post(path, over)
            assert (answer.status, answer.body["errors"][0]["pointer"]) == (422, pointer)

    run(scenario())


def test_a_publication_goes_to_a_thousand_channels_and_no_more(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            answer = (await api.post("/v1/publish", to_channels(1_000))).body
            assert (len(answer["results"]), answer["has_errors"]) == (1_000, False)
            assert {result["offset"] for result in answer["results"]} == {1}
            (result,) = (await api.post("/v1/publish", to_channels(1_001))).body["results"]
            assert (result["status"], result["error"]["errors"][0]["pointer"]) == (422, "#/channels")

    run(scenario())


@pytest.mark.parametrize(
    ("path", "most"),
    [("/v1/rooms", 100), ("/v1/events", 1_000), ("/v1/channels/a/publications", 1_000)],
)
def test_a_page_has_so_many_entries_and_no_more(database_url: str, path: str, most: int) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            for limit, status in ((1, 200), (most, 200), (most + 1, 422), (0, 422)):
                answer = await api.get(f"{path}?limit={limit}")
                assert answer.status == status
                if status == 422:
                    assert answer.body["errors"][0]["parameter"] == "limit"

    run(scenario())


def test_an_idempotency_key_has_255_characters_and_stands_once(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            assert (await api.post("/v1/rooms", {"name": "a"}, idempotency_key="k" * 255)).status == 201
            answer = await api.post("/v1/rooms", {"name": "a"}, idempotency_key="k" * 256)
            assert refused(answer) == (400, "idempotency_key_invalid")
            item = {"name": "a", "idempotency_key": "k" * 256}
            (result,) = (await api.post("/v1/rooms/batch", {"items": [item]})).body["results"]
            assert (result["status"], result["error"]["code"]) == (400, "idempotency_key_invalid")
            head = f"POST /v1/rooms HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {api.key}\r\n"
            twice = f"{head}Idempotency-Key: a\r\nIdempotency-Key: a\r\nContent-Length: 2\r\n\r\n{{}}"
            answer_to_it = await raw(api, twice.encode())
            assert b" 400 " in answer_to_it
            assert b"idempotency_key_invalid" in answer_to_it

    run(scenario())


@pytest.mark.parametrize(
    ("tags", "status"),
    [
        ({f"t{number}": "" for number in range(50)}, 201),
        ({f"t{number}": "" for number in range(51)}, 422),
        ({"k" * 40: "v" * 500}, 201),
        ({"k" * 41: ""}, 422),
        ({"k": "v" * 501}, 422),
    ],
    ids=range(5),
)
def test_tags_and_metadata_are_few_and_short(database_url: str, tags: dict[str, str], status: int) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            for path, body in (
                ("/v1/channels/a/publications", {"data": 1, "tags": tags}),
                ("/v1/rooms", {"name": "a", "metadata": tags}),
            ):
                assert (await api.post(path, body)).status == status

    run(scenario())

"""What every request goes through: who asks, which media, how large, and what a framework would let pass."""

import asyncio
import gzip
import re
import sys
from typing import Any

import pytest

from core.errors import REGISTRY
from tests.helpers.loop import run
from tests.helpers.rest import Answer, rest_of

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PACK = {"gzip": gzip.compress, "zstd": zstd.compress}
ROOM = {"name": "Lobby"}
KEY = "tdg_test_frltGemFCz2wyaPn8EXmNdxHNVLMlv3tiuti"
"""Well-formed, and nobody's."""
MEDIA = "media_type_unsupported"
TYPES = {"capacity_reduced": "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"}


def is_problem(answer: Answer, status: int, code: str) -> None:
    """Check that an answer is a whole problem document of this code."""
    assert (answer.status, answer.code) == (status, code), answer.raw
    body = answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert body["status"] == status
    page = f"http://localhost:8000/problems/{code}"
    assert (body["type"], body["doc_url"]) == (TYPES.get(code, page), page)
    assert body["request_id"] == answer.headers["request-id"]
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", body["instance"])
    assert body["title"]
    assert body["detail"]
    assert body["retry"] in ("never", "later", "after")


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "code"),
    [
        ("GET", "/v1/nothing", None, {}, 404, "route_not_found"),
        ("GET", "/v1/rooms/", None, {}, 404, "route_not_found"),
        ("GET", "//v1/rooms", None, {}, 404, "route_not_found"),
        ("GET", "/v1/rooms/x/y", None, {}, 404, "route_not_found"),
        ("PATCH", "/v1/rooms", {"name": "x"}, {}, 405, "method_not_allowed"),
        ("TRACE", "/v1/rooms", None, {}, 405, "method_not_allowed"),
        ("GET", "/v1/rooms/%zz", None, {}, 400, "malformed_request"),
        ("GET", "/v1/rooms/%ff", None, {}, 400, "malformed_request"),
        ("GET", "/v1/rooms?x=1", None, {}, 400, "unknown_parameter"),
        ("GET", "/v1/rooms?limit=1&limit=1", None, {}, 400, "unknown_parameter"),
        ("GET", "/v1/events?api_key=tdg_live_1", None, {}, 400, "credential_in_url"),
        ("GET", f"/v1/rooms?name={KEY}", None, {}, 400, "credential_in_url"),
        ("GET", "/v1/rooms?name=" + "x" * 8_200, None, {}, 414, "uri_too_long"),
        ("GET", "/v1/rooms", None, {"accept": "text/html"}, 406, "not_acceptable"),
        ("GET", "/v1/rooms", None, {"tidings_version": "2025-06-01"}, 400, "version_unknown"),
        ("POST", "/v1/rooms", ROOM, {"content_type": "text/plain"}, 415, MEDIA),
        ("POST", "/v1/rooms", ROOM, {"content_type": "application/json; charset=latin-1"}, 415, MEDIA),
        ("POST", "/v1/rooms", ROOM, {"content_type": "application/merge-patch+json"}, 415, MEDIA),
        ("POST", "/v1/rooms", ROOM, {"content_encoding": "br"}, 415, MEDIA),
        ("POST", "/v1/rooms", b"", {}, 400, "malformed_request"),
        ("POST", "/v1/rooms", b"{", {}, 400, "malformed_request"),
        ("POST", "/v1/rooms", b"[]", {}, 400, "malformed_request"),
        ("POST", "/v1/rooms", b'"x"', {}, 400, "malformed_request"),
        ("POST", "/v1/rooms", b'{"name":"\xff"}', {}, 400, "malformed_request"),
        ("POST", "/v1/rooms", b'{"name":NaN}', {}, 400, "malformed_request"),
        ("POST", "/v1/rooms", b'{"name":9007199254740993}', {}, 400, "malformed_request"),
        ("POST", "/v1/rooms", b'{"name":' + b"[" * 33 + b"]" * 33 + b"}", {}, 400, "malformed_request"),
        ("POST", "/v1/rooms", b'{"name":' + b"[" * 100_000 + b"]" * 100_000, {}, 400, "malformed_request"),
        ("POST", "/v1/rooms", ROOM, {"idempotency_key": 'a"b'}, 400, "idempotency_key_invalid"),
        ("POST", "/v1/rooms", ROOM, {"idempotency_key": "x" * 256}, 400, "idempotency_key_invalid"),
        ("PUT", "/v1/rooms/ext:a", ROOM, {"if_none_match": '"r1"'}, 400, "header_invalid"),
    ],
)  # fmt: skip
def test_what_is_not_in_order_is_refused_with_a_problem(
    database_url: str, method: str, path: str, body: Any, headers: dict[str, str], status: int, code: str
) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            is_problem(await api.call(method, path, body, **headers), status, code)

    run(scenario())


def test_a_problem_names_the_parameter_and_the_methods_that_exist(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            assert (await api.get("/v1/rooms?colour=red")).body["parameter"] == "colour"
            refused = await api.call("DELETE", "/v1/rooms")
            assert refused.headers["allow"] == "GET, POST, HEAD, OPTIONS"
            options = await api.call("OPTIONS", "/v1/rooms", key="")
            assert (options.status, options.headers["allow"], options.raw) == (
                204,
                "GET, POST, HEAD, OPTIONS",
                b"",
            )
            unknown = await api.get("/v1/rooms", tidings_version="2020-01-01")
            assert unknown.body["supported_versions"] == ["2026-11-22"]
            assert (await api.get("/v1/rooms", tidings_version="2026-11-22")).status == 200

    run(scenario())


def test_credentials_are_checked_before_anything_else_and_never_shown(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            missing = await api.call("GET", "/v1/rooms?x=1", key="")
            is_problem(missing, 401, "unauthenticated")
            assert missing.headers["www-authenticate"] == 'Bearer realm="tidings"'
            wrong = api.key[:-1] + ("0" if api.key[-1] != "0" else "1")
            for header in (f"Bearer {wrong}", f"Basic {api.key}", "Bearer", api.key, f"Bearer {api.key} x"):
                answer = await api.call("GET", "/v1/rooms", key="", authorization=header)
                is_problem(answer, 401, "credential_invalid")
                assert answer.headers["www-authenticate"] == 'Bearer realm="tidings", error="invalid_token"'
                assert wrong.encode() not in answer.raw
                is_bearer = header.startswith("Bearer ")
                assert ("Authorization: Bearer" in answer.body["detail"]) is not is_bearer, header
            unknown = "tdg_test_frltGemFCz2wyaPn8EXmNdxHNVLMlv3tiuti"
            is_problem(await api.call("GET", "/v1/rooms", key=unknown), 401, "credential_invalid")
            assert (
                await api.call("GET", "/v1/rooms", key="", authorization=f"bearer  {api.key}")
            ).status == 200

    run(scenario())


def test_a_key_reaches_as_far_as_its_scopes(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            narrow = await api.key_with("resources.room:write", "channels:read")
            assert (await api.call("POST", "/v1/rooms", ROOM, key=narrow)).status == 201
            assert (await api.call("GET", "/v1/rooms", key=narrow)).status == 200
            assert (await api.call("GET", "/v1/channels/a/publications", key=narrow)).status == 200
            for method, path, body, scope in (
                ("GET", "/v1/messages", None, "resources.message:read"),
                ("POST", "/v1/messages", {"x": 1}, "resources.message:write"),
                ("GET", "/v1/events", None, "events:read"),
                ("POST", "/v1/channels/a/publications", {"data": 1}, "channels:write"),
                ("POST", "/v1/publish", {"items": []}, "channels:write"),
            ):
                refused = await api.call(method, path, body, key=narrow)
                is_problem(refused, 403, "permission_denied")
                assert refused.body["required_scope"] == scope

    run(scenario())


def test_a_revoked_key_ends_where_it_was_never_seen(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            key_id, text = await api.store.create_key(api.organization, "short", ["events:read"])
            await api.store.revoke_key(api.organization.organization_id, key_id)
            is_problem(await api.call("GET", "/v1/events", key=text), 401, "credential_invalid")

    run(scenario())


@pytest.mark.parametrize("size", [1_048_576, 1_048_577])
@pytest.mark.parametrize("encoding", ["", *PACK])
def test_a_body_has_a_mebibyte_at_most_however_it_is_packed(
    database_url: str, size: int, encoding: str
) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            body = b'{"name":"a"' + b" " * (size - 12) + b"}"
            headers = {"content_encoding": encoding} if encoding else {}
            packed = PACK[encoding](body) if encoding else body
            answer = await api.call("POST", "/v1/rooms", packed, **headers)
            if size > 1_048_576:
                is_problem(answer, 413, "body_too_large")
                assert answer.headers["connection"] == "close"
            else:
                assert answer.status == 201

    run(scenario())


@pytest.mark.parametrize("encoding", PACK)
def test_a_packed_body_that_is_broken_is_refused(database_url: str, encoding: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            packed = PACK[encoding](b'{"name":"a"}')
            for body in (b"not packed", packed[:-3], packed + b"x", packed + packed):
                answer = await api.call("POST", "/v1/rooms", body, content_encoding=encoding)
                is_problem(answer, 400, "malformed_request")
            assert (await api.call("POST", "/v1/rooms", packed, content_encoding=encoding)).status == 201
            for other in ("br", f"{encoding}, {encoding}", "deflate"):
                answer = await api.call("POST", "/v1/rooms", packed, content_encoding=other)
                is_problem(answer, 415, "media_type_unsupported")

    run(scenario())


def test_a_window_that_no_decoder_must_hold_is_refused(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            parameter = zstd.CompressionParameter
            huge = {parameter.window_log: 27, parameter.content_size_flag: 0}
            packer = zstd.ZstdCompressor(options=huge)
            body = packer.compress(b'{"name":"a"}') + packer.flush()
            answer = await api.call("POST", "/v1/rooms", body, content_encoding="zstd")
            is_problem(answer, 400, "malformed_request")

    run(scenario())


@pytest.mark.parametrize("over", [False, True])
def test_a_document_has_64_kibibytes_at_most(database_url: str, *, over: bool) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            data = "x" * (65_536 - len('""') + over)
            answer = await api.post("/v1/channels/a/publications", {"data": data})
            assert answer.status == (413 if over else 201)

    run(scenario())


def test_a_body_that_stops_coming_is_given_up(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url, body_s=0.2) as api:
            port = int(api.url.rpartition(":")[2])
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            head = f"POST /v1/rooms HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {api.key}\r\n"
            writer.write(f"{head}Content-Type: application/json\r\nContent-Length: 20\r\n\r\n{{".encode())
            assert b"408" in await reader.readline()
            writer.close()
            await writer.wait_closed()

    run(scenario())


def test_anybody_may_ask_how_the_installation_is(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            assert (await api.call("GET", "/healthz", key="")).raw == b"ok"
            assert (await api.call("GET", "/readyz", key="")).body == {"status": "ready"}
            await api.get("/v1/rooms")
            figures = (await api.call("GET", "/metrics", key="")).raw.decode()
            assert (
                'tidings_requests_answered_total{method="GET",route="/v1/rooms",status="200"} 1.0' in figures
            )
            for code in REGISTRY:
                page = await api.call("GET", f"/problems/{code.value}", key="")
                assert (page.status, page.body["code"]) == (200, code.value)
                assert page.headers["cache-control"] == "public, max-age=300"
            is_problem(await api.call("GET", "/problems/nonsense", key=""), 404, "not_found")

    run(scenario())


def test_every_answer_carries_what_keeps_browsers_out(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            for answer in (
                await api.get("/v1/rooms"),
                await api.get("/v1/nothing"),
                await api.get("/healthz"),
            ):
                assert answer.headers["x-content-type-options"] == "nosniff"
                assert answer.headers["referrer-policy"] == "no-referrer"
                assert (
                    answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
                )
                assert "server" not in answer.headers
            vary = "Accept, Accept-Encoding, Authorization, Cookie, Origin, Tidings-Version"
            assert (await api.get("/v1/rooms")).headers["vary"] == vary

    run(scenario())


def test_past_its_concurrency_a_replica_says_when_to_come_back(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url, concurrency_max=1) as api:
            answers = await asyncio.gather(*(api.get("/v1/rooms") for _ in range(20)))
            refused = [answer for answer in answers if answer.status != 200]
            assert refused
            for answer in refused:
                is_problem(answer, 503, "capacity_reduced")
                assert answer.headers["retry-after"] == "1"

    run(scenario())

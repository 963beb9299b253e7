"""The streams port as a whole: what it serves, to which pages, and what it refuses."""

from tests.helpers.loop import run
from tests.helpers.realtime import Realtimes, realtime_of
from tests.helpers.streams import ask, raw, request_of

CONNECTIONS = {
    "/connection/sse": "GET, POST, OPTIONS",
    "/connection/uni_sse": "GET, POST, OPTIONS",
    "/connection/http_stream": "POST, OPTIONS",
    "/connection/uni_http_stream": "POST, OPTIONS",
    "/emulation": "POST, OPTIONS",
}
LOGS = ("/v1/events/stream", "/v1/channels/news/stream")
PAGE, STRANGER = "https://app.example", "https://evil.example"


def port_of(system: Realtimes) -> int:
    return int(system.streams_url.rpartition(":")[2])


def test_the_port_serves_these_paths_and_no_others(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system:
            port = port_of(system)
            assert (await ask(port, "GET", "/healthz")).body == b"ok"
            for path, allow in CONNECTIONS.items():
                for spelled in (path, path + "/"):
                    told = await ask(port, "OPTIONS", spelled)
                    assert (told.status, told.headers["allow"], told.body) == (204, allow, b"")
            for path in LOGS:
                told = await ask(port, "OPTIONS", path)
                assert (told.status, told.headers["allow"]) == (204, "GET, HEAD, OPTIONS")
            for path in (
                "/", "/nothing", "/connection/websocket", "/v1/events", "/v1/events/stream/", "/emulation/x",
                "/v1/channels/stream", "/v1/channels//stream", "/v1/channels/a/b/stream",
                "/v1/channels/news/stream/", "/v1/channels/news/publications",
            ):  # fmt: skip
                refused = await ask(port, "GET", path)
                assert (refused.status, refused.code) == (404, "route_not_found"), path
                assert refused.headers["content-type"] == "application/problem+json"
                assert refused.headers["request-id"].encode() in refused.body

    run(scenario())


def test_a_trusted_page_may_ask_first_and_read_every_answer(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url, origins=PAGE) as system:
            port = port_of(system)
            asked = {
                "access_control_request_method": "POST",
                "access_control_request_headers": "content-type",
            }
            for path, methods in CONNECTIONS.items():
                told = await ask(port, "OPTIONS", path, origin=PAGE, **asked)
                assert told.status == 204
                assert told.headers["access-control-allow-origin"] == PAGE
                assert told.headers["access-control-allow-credentials"] == "true"
                assert told.headers["access-control-allow-methods"] == methods
                assert told.headers["access-control-allow-headers"] == "content-type"
                assert told.headers["access-control-max-age"] == "300"
                assert told.headers["vary"] == "Origin"
                refused = await ask(port, "POST", path, b"x" * 65_537, origin=PAGE)
                assert (refused.status, refused.headers["access-control-allow-origin"]) == (413, PAGE)

    run(scenario())


def test_another_page_is_served_but_may_not_read_it(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url, origins=PAGE) as system:
            port = port_of(system)
            for path in CONNECTIONS:
                told = await ask(port, "OPTIONS", path, origin=STRANGER)
                assert told.status == 204
                assert told.headers["vary"] == "Origin"
                assert not any(name.startswith("access-control") for name in told.headers)
            request = request_of("GET", "/connection/uni_sse", origin=STRANGER)
            async with raw(port, request) as answer:
                head = await answer.head()
                assert " 200 " in head
                assert "access-control" not in head

    run(scenario())


def test_the_log_is_for_no_page(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url, origins="*") as system:
            for path in LOGS:
                headers = {"origin": PAGE, "authorization": f"Bearer {system.key}"}
                for method in ("HEAD", "OPTIONS"):
                    told = await ask(port_of(system), method, path, **headers)
                    assert told.status in (200, 204)
                    assert not any(name.startswith("access-control") for name in told.headers)

    run(scenario())


def test_a_replica_holds_as_many_connections_as_it_may(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url, connections_max=1) as system:
            port = port_of(system)
            key = {"authorization": f"Bearer {system.key}"}
            async with raw(port, request_of("POST", "/connection/http_stream", b"{}", **key)) as first:
                await first.head()
                assert system.server.sockets in (0, 1)
            async with raw(port, request_of("GET", LOGS[0], **key)) as reader:
                await reader.head()
                refused = await ask(port, "GET", LOGS[1], **key)
                assert (refused.status, refused.code) == (503, "capacity_reduced")
                assert refused.headers["retry-after"] == "1"

    run(scenario())

"""The edge in front of a server: what it answers by itself is a whole problem document."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from adapters.embedded.haproxy import haproxy
from core.errors import REGISTRY, Code
from tests.helpers.eventually import eventually
from tests.helpers.loop import run
from tests.helpers.running import free_ports

ROOT = Path(__file__).parents[4]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back over a connection, and whether it was closed then."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def problem(self) -> dict[str, Any]:
        document: dict[str, Any] = orjson.loads(self.body)
        return document


class Backend:
    """A server that remembers the heads it got."""

    def __init__(self, answer: bytes | None) -> None:
        self.answer = answer
        self.heads: list[bytes] = []
        self.ports: list[int] = []
        self.left = 0
        """How many connections were closed by the edge, but for those that it looks after health with."""
        self._writers: set[asyncio.StreamWriter] = set()

    async def end(self) -> None:
        """Close what is still open."""
        for writer in tuple(self._writers):
            writer.close()
        await asyncio.sleep(0.01)

    def write(self, part: bytes) -> None:
        """Send a part of an answer on every connection that is open."""
        for writer in self._writers:
            writer.write(part)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        is_asked = False
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if b"/healthz" in head:
                    writer.write(OK)
                    continue
                is_asked = True
                self.heads.append(head)
                self.ports.append(writer.get_extra_info("sockname")[1])
                if self.answer is not None:
                    writer.write(self.answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.left += is_asked
        except asyncio.CancelledError:
            pass
        finally:
            self._writers.discard(writer)
            writer.close()


class Edge:
    """A running edge."""

    def __init__(self, port: int, backend: Backend) -> None:
        self.port = port
        self.backend = backend

    async def send(self, raw: bytes) -> Answer:
        """Send bytes as they are and return the one answer to them."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(raw)
            async with asyncio.timeout(10):
                head = await reader.readuntil(b"\r\n\r\n")
                first, *lines = head.decode("latin-1").split("\r\n")
                pairs = (line.partition(": ") for line in lines if line)
                headers = {name.lower(): value for name, _, value in pairs}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
            return Answer(int(first.split()[1]), headers, body)
        finally:
            writer.close()
            await writer.wait_closed()

    async def get(self, path: str = "/v1/rooms", method: str = "GET", **headers: str) -> Answer:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return await self.send(f"{method} {path} HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())


@asynccontextmanager
async def edge_of(
    folder: Path, answer: bytes | None = OK, *, replace: tuple[str, str] = ("", "")
) -> AsyncIterator[Edge]:
    """Give an edge whose three backends are one server; `answer` None: it never answers."""
    backend = Backend(answer)
    first = free_ports()
    servers = [await asyncio.start_server(backend, "127.0.0.1", first + at) for at in (10, 11, 12)]
    edge_dir = folder / "edge"
    edge_dir.mkdir()
    (edge_dir / "errors").symlink_to(ROOT / "edge/errors")
    (edge_dir / "haproxy.cfg").write_text((ROOT / "edge/haproxy.cfg").read_text().replace(*replace))
    program = haproxy(
        edge_dir=edge_dir,
        run_dir=folder,
        log_dir=folder,
        host="127.0.0.1",
        port=first,
        api_port=first + 10,
        websocket_port=first + 11,
        streams_port=first + 12,
        descriptors=2_000,
        origin="https://edge.example",
    )
    program.start()
    edge = Edge(first, backend)
    try:
        await _until_listening(first)
        yield edge
    finally:
        await program.stop()
        for server in servers:
            server.close()
        await backend.end()


async def _until_listening(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            await writer.wait_closed()
            return


def is_problem(answer: Answer, code: Code, *, status: int = 0) -> None:
    """Check that an answer is a whole problem of this code."""
    assert answer.status == (status or REGISTRY[code].status), answer
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    problem, row = answer.problem, REGISTRY[code]
    assert (problem["code"], problem["status"], problem["title"]) == (code.value, answer.status, row.title)
    assert problem["retry"] == row.retry
    assert problem["type"] == problem["doc_url"] == f"https://edge.example/problems/{code.value}"
    assert problem["detail"]
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", problem["instance"])
    assert re.fullmatch(r"req_[0-9a-hjkmnp-tv-z]{26}", problem["request_id"])
    assert problem["request_id"] == answer.headers["request-id"]


def test_what_the_edge_refuses_is_told_by_a_problem(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with edge_of(tmp_path) as edge:
            url = "/v1/rooms?" + "x" * (8_192 - len("/v1/rooms?"))
            assert (await edge.get(url)).status == 200
            is_problem(await edge.get(url + "x"), Code.URI_TOO_LONG)
            lines = {f"x-{number}": "1" for number in range(99)}
            assert (await edge.get(**lines)).status == 200
            is_problem(await edge.get(**lines, one_more="1"), Code.HEADERS_TOO_LARGE)
            room = 15_360 - len("host: x\r\nx-a: \r\n")
            assert (await edge.get(**{"x-a": "x" * room})).status == 200
            assert (await edge.get(url, **{"x-a": "x" * room})).status == 200
            is_problem(await edge.get(**{"x-a": "x" * (room + 1)}), Code.HEADERS_TOO_LARGE)
            for method in ("TRACE", "PROPFIND", "FETCH"):
                refused = await edge.get(method=method)
                is_problem(refused, Code.METHOD_NOT_ALLOWED)
                assert refused.headers["allow"] == "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
            is_problem(await edge.get("/-/reload"), Code.ROUTE_NOT_FOUND)
            assert len(edge.backend.heads) == 4

    run(scenario())


@pytest.mark.parametrize(
    ("method", "code"),
    [("GET", Code.DEADLINE_EXCEEDED), ("POST", Code.OUTCOME_UNKNOWN), ("DELETE", Code.OUTCOME_UNKNOWN)],
)
def test_a_write_whose_answer_does_not_come_is_not_said_to_have_failed(
    tmp_path: Path, method: str, code: Code
) -> None:
    """It said deadline_exceeded, which means that nothing was written; it may have been."""

    async def scenario() -> None:
        late = ("timeout server 65s", "timeout server 1s")
        async with edge_of(tmp_path, None, replace=late) as edge:
            is_problem(await edge.get(method=method), code)
            assert len(edge.backend.heads) == 1

    run(scenario())


@pytest.mark.parametrize(("method", "code"), [("GET", Code.BAD_GATEWAY), ("POST", Code.OUTCOME_UNKNOWN)])
def test_a_write_whose_server_died_is_not_said_to_have_failed(
    tmp_path: Path, method: str, code: Code
) -> None:
    """It said bad_gateway, whatever the server had written before it died."""

    async def scenario() -> None:
        async with edge_of(tmp_path, b"HTTP/1.1 broken") as edge:
            is_problem(await edge.get(method=method), code)

    run(scenario())


def test_a_deadline_of_the_api_itself_stays_what_it_is(tmp_path: Path) -> None:
    async def scenario() -> None:
        answer = b"HTTP/1.1 504 x\r\nTidings-Version: 2026-11-22\r\nContent-Length: 2\r\n\r\nno"
        async with edge_of(tmp_path, answer) as edge:
            refused = await edge.get(method="POST")
            assert (refused.status, refused.body) == (504, b"no")

    run(scenario())


def test_a_request_of_two_meanings_reaches_nobody_with_both(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with edge_of(tmp_path) as edge:
            start = b"POST /v1/rooms HTTP/1.1\r\nHost: x\r\n"
            both = start + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            answer = await edge.send(both)
            # RFC 9112 6.3: the length is dropped, and the connection not used again.
            assert (answer.status, answer.headers["connection"]) == (200, "close")
            (head, *_) = edge.backend.heads
            assert b"transfer-encoding: chunked" in head
            assert b"content-length" not in head
            edge.backend.heads.clear()
            folded = b"GET /v1/rooms HTTP/1.1\r\nHost: x\r\nX-A: a\r\n b\r\n\r\n"
            assert (await edge.send(folded)).status == 200  # RFC 9112 5.2: a fold is made spaces
            assert re.search(rb"x-a: a +b\r\n", edge.backend.heads[0])
            edge.backend.heads.clear()
            for broken in (
                start + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
                start + b"X-A: a\rb\r\nContent-Length: 0\r\n\r\n",
                start + b"X-A : a\r\nContent-Length: 0\r\n\r\n",
                b"GARBAGE\r\n\r\n",
            ):
                assert (await edge.send(broken)).status == 400
            assert not edge.backend.heads

    run(scenario())


def test_a_server_that_is_not_there_or_talks_nonsense_is_told_of(tmp_path: Path) -> None:
    async def scenario() -> None:
        nobody = ("server api 127.0.0.1:$api_port", "server api 127.0.0.1:1")
        (tmp_path / "a").mkdir()
        async with edge_of(tmp_path / "a", replace=nobody) as edge:
            refused = await edge.get()
            is_problem(refused, Code.UNAVAILABLE)
            assert refused.headers["retry-after"] == "1"
        (tmp_path / "b").mkdir()
        async with edge_of(tmp_path / "b", b"nonsense\r\n\r\n") as edge:
            is_problem(await edge.get(), Code.BAD_GATEWAY)

    run(scenario())


API, SOCKETS, STREAMS = 10, 11, 12
ROUTES = {
    "/connection/websocket": SOCKETS,
    "/connection/websocket?format=protobuf": SOCKETS,
    "/connection/uni_websocket": SOCKETS,
    "/connection/sse?cf_connect=%7B%7D": STREAMS,
    "/connection/http_stream": STREAMS,
    "/connection/uni_sse": STREAMS,
    "/connection/uni_http_stream": STREAMS,
    "/emulation": STREAMS,
    "/v1/events/stream?after=0": STREAMS,
    "/v1/channels/news/stream": STREAMS,
    "/v1/channels/a%2Fb:c/stream?after=0": STREAMS,
    "/v1/channels/news/publications": API,
    "/v1/channels/stream/publications": API,
    "/v1/events": API,
    "/v1/streams": API,
    "/api": API,
    "/api/publish": API,
    "/emulations": API,
    "/connections": API,
    "/": API,
}


def test_each_path_leads_to_those_who_serve_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with edge_of(tmp_path) as edge:
            for path in ROUTES:
                assert (await edge.get(path)).status == 200
            found = {path: port - edge.port for path, port in zip(ROUTES, edge.backend.ports, strict=True)}
            assert found == ROUTES

    run(scenario())


def test_an_upgrade_passes_as_the_one_token_and_an_empty_protocol_as_it_is(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with edge_of(tmp_path) as edge:
            firefox = {
                "Connection": "keep-alive, Upgrade",
                "Upgrade": "websocket",
                "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
                "Sec-WebSocket-Protocol": "",
            }
            for path in ("/connection/websocket", "/connection/uni_websocket"):
                assert (await edge.get(path, **firefox)).status == 200
            for head in edge.backend.heads:
                assert b"connection: upgrade\r\n" in head.lower()
                assert b"sec-websocket-protocol: \r\n" in head.lower()
            assert {port - edge.port for port in edge.backend.ports} == {SOCKETS}

    run(scenario())


WORDS = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nwrong"
PROBLEM = WORDS.replace(b"text/plain", b"application/problem+json").replace(b"wrong", b"{}   ")


@pytest.mark.parametrize("path", ["/v1/rooms", "/connection/sse", "/connection/websocket"])
def test_where_a_client_comes_from_is_said_by_the_edge_alone(tmp_path: Path, path: str) -> None:
    async def scenario() -> None:
        async with edge_of(tmp_path) as front:
            await front.get(
                path,
                **{
                    "X-Forwarded-For": "192.0.2.1",
                    "x-forwarded-host": "192.0.2.2",
                    "X-Forwarded-Proto": "192.0.2.3",
                    "Forwarded": "for=192.0.2.4",
                    "X-Real-IP": "192.0.2.5",
                },
            )
            head = front.backend.heads[-1].lower()
            assert b"192.0.2." not in head
            assert b"x-forwarded-for: 127.0.0.1\r\n" in head
            assert b"x-real-ip: 127.0.0.1\r\n" in head

    run(scenario())


def test_what_can_never_be_a_socket_is_told_by_a_problem(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with edge_of(tmp_path, WORDS) as edge:
            for method in ("POST", "PUT", "OPTIONS"):
                refused = await edge.get("/connection/websocket", method=method)
                is_problem(refused, Code.METHOD_NOT_ALLOWED)
                assert refused.headers["allow"] == "GET"
            assert not edge.backend.heads
            is_problem(await edge.get("/connection/websocket"), Code.MALFORMED_REQUEST)
            is_problem(await edge.send(b"GET /connection/websocket HTTP/1.0\r\n\r\n"), Code.MALFORMED_REQUEST)
            assert (await edge.get("/v1/rooms")).body == b"wrong", "others speak for themselves"
            edge.backend.answer = PROBLEM
            assert (await edge.get("/connection/websocket")).body == b"{}   "

    run(scenario())


OPEN = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
STREAM_REQUESTS = [
    b"GET /connection/sse?cf_connect=%7B%7D HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /v1/channels/news/stream HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /connection/http_stream HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
]


@pytest.mark.parametrize("request_", STREAM_REQUESTS, ids=lambda raw: raw.split(b" ")[1].decode())
def test_a_stream_passes_part_by_part_and_is_given_up_at_once(tmp_path: Path, request_: bytes) -> None:
    """Without abortonclose the server's side stays open, and who left is counted as present."""

    async def scenario() -> None:
        async with edge_of(tmp_path, OPEN) as edge:
            reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
            writer.write(request_)
            async with asyncio.timeout(10):
                head = await reader.readuntil(b"\r\n\r\n")
                assert b"content-encoding" not in head.lower()
                for part in (b"\r\n", b"data: {}\n\n", "data: €\n\n".encode(), b"x" * 70_000):
                    edge.backend.write(b"%x\r\n%b\r\n" % (len(part), part))
                    size = int(await reader.readline(), 16)
                    got = await reader.readexactly(size + 2)
                    while len(got) < len(part) + 2:  # what is large may come in several chunks
                        size = int(await reader.readline(), 16)
                        got = got[:-2] + await reader.readexactly(size + 2)
                    assert got == part + b"\r\n"
            left = edge.backend.left
            writer.close()
            assert await eventually(lambda: edge.backend.left > left, within_s=1)

    run(scenario())


def test_a_command_whose_server_died_is_not_sent_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with edge_of(tmp_path, b"") as edge:
            reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
            writer.write(b"POST /emulation HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
            async with asyncio.timeout(10):
                assert await eventually(lambda: bool(edge.backend.heads), within_s=5)
                await edge.backend.end()
                assert b" 503 " in await reader.readline()
            assert len(edge.backend.heads) == 1
            writer.close()

    run(scenario())

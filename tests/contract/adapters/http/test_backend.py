"""Calls to backends: what arrives there, what comes back, and what happens when nothing of use does."""

import asyncio
import hmac
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from adapters.entropy import SystemEntropy
from adapters.http.backend import OPTIONS_S, Backends, endpoint_of
from core.connections.backend import (
    Caller,
    ConnectAnswer,
    ConnectEvent,
    RefreshAnswer,
    RefreshEvent,
    RpcAnswer,
    RpcEvent,
)
from core.connections.backend_options import BackendOptions, Endpoints
from core.connections.frames import ErrorReply
from core.errors import Code, TidingsError
from core.instants import Instant
from core.webhooks.signature import read_secret, show_secret
from settings import Backend
from tests.helpers.eventually import eventually
from tests.helpers.loop import run
from tests.helpers.ports import free_port

ORG, OTHER = b"o" * 16, b"x" * 16
SECRET = show_secret(bytes(range(32)))
CALLER = Caller(
    "c1",
    "websocket",
    user="u1",
    headers={"cookie": "session=1", "authorization": "real"},
    emulated={"Authorization": "made up", "X-Locale": "de", "webhook-id": "made up"},
)
RPC = RpcEvent(CALLER, "price", b'{"id":12}')
CONNECT = ConnectEvent(CALLER)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class HandClock:
    """A clock that somebody moves."""

    def __init__(self) -> None:
        self.at_s = 1_000.0

    def now(self) -> Instant:
        return Instant(1_731_705_121_500_000)

    def monotonic(self) -> float:
        return self.at_s

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError


@dataclass
class Scene:
    """A backend, who calls it, and what it has seen."""

    backends: Backends
    origin: str
    clock: HandClock
    options: dict[bytes, BackendOptions] = field(default_factory=dict)
    seen: list[web.Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    peers: list[object] = field(default_factory=list)
    reads: list[bytes] = field(default_factory=list)

    def set(self, organization_id: bytes = ORG, **options: object) -> None:
        """Give an organization options, its endpoints being this backend."""
        endpoints = Endpoints(rpc=f"{self.origin}/rpc", connect=f"{self.origin}/connect")
        values = {"endpoints": endpoints, "timeout_ms": 5_000, "secret": SECRET, **options}
        self.options[organization_id] = BackendOptions(**values)  # type: ignore[arg-type]  # as given

    async def fails(self, event: RpcEvent | ConnectEvent | RefreshEvent = RPC) -> Code:
        with pytest.raises(TidingsError) as refused:
            await self.backends.call(ORG, event)
        return refused.value.code


@asynccontextmanager
async def scene(handler: Handler, *, private: bool = True, **settings: float) -> AsyncIterator[Scene]:
    clock, port = HandClock(), free_port()

    async def find(organization_id: bytes) -> BackendOptions | None:
        found.reads.append(organization_id)
        await asyncio.sleep(0)
        return found.options.get(organization_id)

    async def serve(request: web.Request) -> web.StreamResponse:
        found.seen.append(request)
        assert request.transport is not None
        found.peers.append(request.transport.get_extra_info("peername"))
        found.bodies.append(await request.read())
        return await handler(request)

    backends = Backends(find, Backend(private=private, **settings), clock, SystemEntropy())  # type: ignore[arg-type]
    found = Scene(backends, f"http://127.0.0.1:{port}", clock)
    found.set()
    runner = web.ServerRunner(web.Server(serve), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield found
    finally:
        await backends.close()
        await runner.cleanup()


def answering(body: str | bytes, status: int = 200) -> Handler:
    async def handler(_: web.Request) -> web.Response:
        raw = body.encode() if isinstance(body, str) else body
        return web.Response(status=status, body=raw)

    return handler


GOOD = answering('{"result":{"data":{"price":1.50}}}')


def test_a_call_is_a_post_of_json_and_its_answer_is_returned() -> None:
    async def work() -> None:
        async with scene(GOOD) as found:
            assert await found.backends.call(ORG, RPC) == RpcAnswer(b'{"price":1.50}')
            (request,) = found.seen
            assert (request.method, request.path) == ("POST", "/rpc")
            assert request.headers["Content-Type"] == "application/json"
            (body,) = found.bodies
            assert body == (
                b'{"client":"c1","transport":"websocket","protocol":"json","encoding":"json",'
                b'"user":"u1","method":"price","data":{"id":12}}'
            )

    run(work())


def test_a_call_is_signed_over_the_bytes_that_are_sent() -> None:
    async def work() -> None:
        async with scene(GOOD) as found:
            await found.backends.call(ORG, RPC)
            head = found.seen[0].headers
            assert head["webhook-id"].startswith("call_")
            assert head["webhook-timestamp"] == "1731705121"
            signed = f"{head['webhook-id']}.1731705121.".encode() + found.bodies[0]
            digest = hmac.digest(read_secret(SECRET), signed, "sha256")
            assert head["webhook-signature"] == f"v1,{b64encode(digest).decode()}"
            assert len(b64decode(head["webhook-signature"][3:])) == 32

    run(work())


def test_without_a_secret_a_call_is_not_signed() -> None:
    async def work() -> None:
        async with scene(GOOD) as found:
            found.set(secret="")
            await found.backends.call(ORG, RPC)
            assert "webhook-signature" not in found.seen[0].headers

    run(work())


def test_only_chosen_headers_are_passed_on_and_none_of_a_clients_making_wins() -> None:
    async def work() -> None:
        async with scene(GOOD) as found:
            found.set(
                http_headers=("Authorization",),
                emulated_headers=("authorization", "X-Locale"),
                static_headers={"X-Key": "k"},
            )
            await found.backends.call(ORG, RPC)
            head = found.seen[0].headers
            assert (head["authorization"], head["x-locale"], head["x-key"]) == ("real", "de", "k")
            assert "cookie" not in head
            assert head["webhook-id"] != "made up"

    run(work())


def test_refusals_of_the_backend_are_answers() -> None:
    async def work() -> None:
        async with scene(answering('{"error":{"code":1000,"message":"no"}}')) as found:
            assert await found.backends.call(ORG, RPC) == ErrorReply(1000, "no")

    run(work())


def test_an_event_without_endpoint_is_not_available() -> None:
    async def work() -> None:
        async with scene(GOOD) as found:
            assert await found.fails(RefreshEvent(CALLER)) is Code.NOT_AVAILABLE
            found.options.clear()
            found.clock.at_s += OPTIONS_S
            assert await found.fails() is Code.NOT_AVAILABLE
            assert found.seen == []

    run(work())


@pytest.mark.parametrize("status", [201, 204, 302, 400, 403, 500, 502])
def test_any_status_but_200_is_an_unavailable_backend(status: int) -> None:
    async def work() -> None:
        async with scene(answering('{"result":{"user":"root"}}', status)) as found:
            assert await found.fails(CONNECT) is Code.UNAVAILABLE

    run(work())


def test_redirects_are_not_followed() -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": "/connect"})

    async def work() -> None:
        async with scene(handler) as found:
            assert await found.fails() is Code.UNAVAILABLE
            assert len(found.seen) == 1

    run(work())


@pytest.mark.parametrize("body", ["", "[]", "<html>", '{"result":[]}', b"\x1f\x8b\x08 no gzip is unpacked"])
def test_what_is_no_answer_is_an_unavailable_backend(body: str | bytes) -> None:
    async def work() -> None:
        async with scene(answering(body)) as found:
            assert await found.fails() is Code.UNAVAILABLE

    run(work())


def test_an_answer_is_read_up_to_its_limit() -> None:
    async def work() -> None:
        body = '{"result":{"data":"' + "x" * 100 + '"}}'
        async with scene(answering(body), answer_bytes_max=len(body)) as found:
            assert await found.backends.call(ORG, RPC) == RpcAnswer(b'"' + b"x" * 100 + b'"')
        async with scene(answering(body), answer_bytes_max=len(body) - 1) as found:
            assert await found.fails() is Code.UNAVAILABLE

    run(work())


def test_a_backend_that_hangs_costs_its_timeout() -> None:
    async def handler(_: web.Request) -> web.Response:
        await asyncio.sleep(3_600)
        raise AssertionError

    async def work() -> None:
        async with scene(handler) as found:
            found.set(timeout_ms=50)
            began = asyncio.get_running_loop().time()
            assert await found.fails() is Code.UNAVAILABLE
            assert 0.04 < asyncio.get_running_loop().time() - began < 2.0

    run(work())


def test_nobody_at_the_address_is_an_unavailable_backend() -> None:
    async def work() -> None:
        async with scene(GOOD) as found:
            nobody = (
                f"127.0.0.1:{free_port()}",
                "nowhere.invalid",
                "a..example.com",
                f"{'a' * 64}.example.com",
            )
            for host in nobody:
                found.set(endpoints=Endpoints(rpc=f"http://{host}/"))
                found.clock.at_s += OPTIONS_S
                assert await found.fails() is Code.UNAVAILABLE

    run(work())


def test_after_failures_in_a_row_the_backend_is_left_alone_and_then_tried_by_one() -> None:
    status = 500

    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=status, text='{"result":{}}')

    async def work() -> None:
        nonlocal status
        async with scene(handler, failures_max=3, pause_s=10) as found:
            for _ in range(5):
                assert await found.fails() is Code.UNAVAILABLE
            assert len(found.seen) == 3
            assert await found.fails(CONNECT) is Code.UNAVAILABLE  # its URL is another
            assert len(found.seen) == 4
            found.clock.at_s += 10
            status = 200
            assert await found.backends.call(ORG, RPC) == RpcAnswer()
            assert await found.backends.call(ORG, RPC) == RpcAnswer()

    run(work())


def test_a_backend_that_dislikes_requests_is_not_left_alone() -> None:
    async def work() -> None:
        async with scene(answering("", 400), failures_max=1) as found:
            for _ in range(3):
                assert await found.fails() is Code.UNAVAILABLE
            assert len(found.seen) == 3

    run(work())


def test_another_organization_is_not_left_alone_with_it() -> None:
    async def work() -> None:
        async with scene(answering("", 500), failures_max=1) as found:
            found.set(OTHER)
            await found.fails()
            with pytest.raises(TidingsError):
                await found.backends.call(OTHER, RPC)
            assert len(found.seen) == 2

    run(work())


def test_organizations_share_no_connection() -> None:
    async def work() -> None:
        async with scene(GOOD) as found:
            found.set(OTHER)
            for organization_id in (ORG, ORG, OTHER):
                await found.backends.call(organization_id, RPC)
            first, again, other = found.peers
            assert first == again != other

    run(work())


def test_too_many_unanswered_calls_of_an_organization_are_refused_at_once() -> None:
    leave = asyncio.Event()

    async def handler(_: web.Request) -> web.Response:
        await leave.wait()
        return web.Response(text='{"result":{}}')

    async def work() -> None:
        async with scene(handler, calls_max=2, connections_max=1) as found:
            found.set(OTHER)
            calls = [asyncio.ensure_future(found.backends.call(ORG, RPC)) for _ in range(2)]
            assert await eventually(lambda: len(found.seen) == 1, within_s=5.0)
            assert await found.fails() is Code.UNAVAILABLE
            elsewhere = asyncio.ensure_future(found.backends.call(OTHER, RPC))
            assert await eventually(lambda: len(found.seen) == 2, within_s=5.0)
            leave.set()
            assert await asyncio.gather(*calls, elsewhere) == [RpcAnswer()] * 3
            assert await found.backends.call(ORG, RPC) == RpcAnswer()

    run(work())


def test_options_are_read_once_a_second_for_all_who_call() -> None:
    async def work() -> None:
        async with scene(answering('{"result":{"user":"u"}}')) as found:
            assert (
                await asyncio.gather(*(found.backends.call(ORG, CONNECT) for _ in range(20)))
                == [ConnectAnswer("u")] * 20
            )
            assert found.reads == [ORG]
            found.set(timeout_ms=77)
            assert (await found.backends.options(ORG)).timeout_ms == 5_000
            found.clock.at_s += OPTIONS_S
            assert (await found.backends.options(ORG)).timeout_ms == 77
            assert (await found.backends.options(OTHER)).url_of("connect") == ""

    run(work())


def test_only_so_many_organizations_keep_connections_and_the_busy_are_among_them() -> None:
    leave = asyncio.Event()

    async def handler(request: web.Request) -> web.Response:
        if request.path == "/connect":
            await leave.wait()
        return web.Response(text='{"result":{"user":"u"}}')

    async def work() -> None:
        async with scene(handler, organizations_max=2) as found:
            many = [bytes([number]) * 16 for number in range(4)]
            for organization_id in many:
                found.set(organization_id)
            busy = asyncio.ensure_future(found.backends.call(many[0], CONNECT))
            assert await eventually(lambda: len(found.seen) == 1, within_s=5.0)
            for organization_id in many[1:]:
                await found.backends.call(organization_id, RPC)
            held = asyncio.ensure_future(found.backends.call(many[3], CONNECT))
            assert await eventually(lambda: len(found.seen) == 5, within_s=5.0)
            assert await found.fails() is Code.UNAVAILABLE
            leave.set()
            assert await asyncio.gather(busy, held) == [ConnectAnswer("u")] * 2

    run(work())


def test_private_addresses_are_not_called_unless_the_installation_allows_it() -> None:
    async def work() -> None:
        async with scene(GOOD, private=False) as found:
            port = found.origin.rpartition(":")[2]
            for host in ("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "127.1"):
                found.set(endpoints=Endpoints(rpc=f"https://{host}:{port}/rpc"))
                found.clock.at_s += OPTIONS_S
                assert await found.fails() is Code.UNAVAILABLE
            found.set()
            found.clock.at_s += OPTIONS_S
            assert await found.fails() is Code.UNAVAILABLE
            assert found.seen == []

    run(work())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "/path",
        "https:///path",
        "ftp://b.example.com/",
        "http://b.example.com/",
        "https://user@b.example.com/",
        "https://:word@b.example.com/",
        "https://b.example.com/#part",
        "https://b.example.com:0/",
        "https://b.example.com:25/",
        "https://b.example.com:80/",
        "https://b.example.com:99999/",
        "https://b.example.com:x/",
        "https://[::1/",
        "grpc://b.example.com:9000",
    ],
)
def test_no_call_goes_to_such_a_url(text: str) -> None:
    assert endpoint_of(text, Backend()) is None


@pytest.mark.parametrize("text", ["https://b.example.com", "https://b.example.com:8443/a?b=c"])
def test_calls_go_to_https(text: str) -> None:
    found = endpoint_of(text, Backend())
    assert found is not None
    assert str(found).rstrip("/") == text


def test_plain_http_is_for_private_backends() -> None:
    private = Backend(private=True)
    assert endpoint_of("http://b.example.com/", private) is not None
    assert endpoint_of("http://b.example.com:3000/", private) is not None
    assert endpoint_of("http://b.example.com:443/", private) is None


def test_a_call_that_is_given_up_leaves_nothing_behind() -> None:
    async def handler(_: web.Request) -> web.Response:
        await asyncio.sleep(3_600)
        raise AssertionError

    async def work() -> None:
        async with scene(handler, calls_max=1) as found:
            found.set(timeout_ms=30_000)
            call = asyncio.ensure_future(found.backends.call(ORG, RPC))
            assert await eventually(lambda: len(found.seen) == 1, within_s=5.0)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            again = asyncio.ensure_future(found.backends.call(ORG, RPC))
            assert await eventually(lambda: len(found.seen) == 2, within_s=5.0)
            again.cancel()

    run(work())


def test_an_expired_connection_is_prolonged_by_its_backend() -> None:
    async def work() -> None:
        async with scene(answering('{"result":{"expire_at":9}}')) as found:
            found.set(endpoints=Endpoints(refresh=f"{found.origin}/refresh"))
            answer = await found.backends.call(ORG, RefreshEvent(CALLER))
            assert answer == RefreshAnswer(Instant(9_000_000))

    run(work())

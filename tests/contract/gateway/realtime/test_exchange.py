"""One request and its answer over a real connection: limits of a body, and readers that leave or stall."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from core.errors import Code, TidingsError
from gateway.realtime.exchange import Exchange, LeftError
from tests.helpers.eventually import eventually
from tests.helpers.loop import run
from tests.helpers.streams import raw, served

POST = b"POST /a%2Fb?c=d HTTP/1.1\r\nHost: x\r\n"
LIMIT = 1_000


class Reading:
    """An application that reads a body and answers how that went."""

    def __init__(self, within_s: float = 5.0) -> None:
        self.within_s = within_s
        self.heard: list[bytes | Code | None] = []

    async def __call__(self, exchange: Exchange) -> None:
        try:
            self.heard.append(await exchange.body(LIMIT, self.within_s))
        except TidingsError as error:
            self.heard.append(error.code)
        except LeftError:
            self.heard.append(None)
            return
        await exchange.begin(204, {})
        await exchange.end()


@pytest.mark.parametrize(
    ("sent", "heard"),
    [
        (b"Content-Length: 0\r\n\r\n", b""),
        (b"\r\n", b""),
        (b"Content-Length: 1000\r\n\r\n" + b"x" * 1_000, b"x" * 1_000),
        (b"Content-Length: 1001\r\n\r\n", Code.BODY_TOO_LARGE),
        (b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", b"abc"),
        (
            b"Transfer-Encoding: chunked\r\n\r\n" + (b"1f4\r\n%b\r\n" % (b"x" * 500)) * 2 + b"0\r\n\r\n",
            b"x" * 1_000,
        ),
        (
            b"Transfer-Encoding: chunked\r\n\r\n" + (b"1f4\r\n%b\r\n" % (b"x" * 500)) * 2 + b"1\r\nx\r\n",
            Code.BODY_TOO_LARGE,
        ),
    ],
    ids=["empty", "none", "at the limit", "announced above it", "parts", "parts at it", "parts above it"],
)
def test_a_body_is_read_up_to_its_limit_and_not_further(sent: bytes, heard: bytes | Code) -> None:
    async def scenario() -> None:
        reading = Reading()
        async with served(reading) as port, raw(port, POST, sent) as client:
            assert " 204 " in await client.head()
        assert reading.heard == [heard]

    run(scenario())


def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    async def scenario() -> None:
        reading = Reading(within_s=0.05)
        async with served(reading) as port, raw(port, POST, b"Content-Length: 2\r\n\r\nx") as client:
            assert " 204 " in await client.head()
        assert reading.heard == [Code.REQUEST_TIMEOUT]

    run(scenario())


def test_who_leaves_before_his_request_is_whole_gets_no_answer() -> None:
    async def scenario() -> None:
        reading = Reading()
        async with served(reading) as port:
            async with raw(port, POST, b"Content-Length: 2\r\n\r\nx"):
                pass
            assert await eventually(lambda: reading.heard == [None], within_s=5)

    run(scenario())


async def told(serve: Callable[[Exchange], Awaitable[None]], sent: bytes) -> str:
    """Return the head of the answer to one request."""
    async with served(serve) as port, raw(port, sent) as client:
        return await client.head()


def test_what_a_request_says_is_read_once() -> None:
    async def scenario() -> None:
        seen: list[Exchange] = []

        async def serve(exchange: Exchange) -> None:
            seen.append(exchange)
            exchange.shared = {"Vary": "Origin"}
            await exchange.begin(200, {"X-One": "1"})
            await exchange.end(b"")

        head = await told(serve, POST + b"X-A: 1\r\nX-Forwarded-For: 192.0.2.7\r\nx-a: 2\r\n\r\n")
        (exchange,) = seen
        assert (exchange.method, exchange.path, exchange.query) == ("POST", "/a%2Fb", b"c=d")
        assert exchange.headers["x-a"] == "1, 2"
        assert exchange.address == "192.0.2.7"
        for line in ("x-one: 1", "vary: Origin", "request-id: req_test", "tidings-version: 2026-11-22"):
            assert line in head
        await told(serve, POST + b"\r\n")
        assert seen[1].address == "127.0.0.1"

    run(scenario())


def test_the_answer_to_head_has_no_body() -> None:
    async def scenario() -> None:
        async def serve(exchange: Exchange) -> None:
            await exchange.begin(200, {"Content-Length": "2"})
            await exchange.end(b"ab")

        request = b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        async with served(serve) as port, raw(port, request) as client:
            await client.head()
            assert await client.rest() == b""

    run(scenario())


def test_a_reader_who_takes_nothing_is_cut_off() -> None:
    async def scenario() -> None:
        left = asyncio.Event()

        async def serve(exchange: Exchange) -> None:
            await exchange.begin(200, {})
            while not exchange.transport.is_closing():
                await exchange.send(b"x" * 1_000_000)
            while (await exchange.receive())["type"] != "http.disconnect":
                pass
            await exchange.end()  # says nothing to anybody
            left.set()

        request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        async with served(serve, stalled_s=0.05) as port, raw(port, request) as client:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await asyncio.wait_for(left.wait(), 5)

    run(scenario())


def test_an_answer_that_is_cut_is_not_taken_for_a_whole_one() -> None:
    async def scenario() -> None:
        async def serve(exchange: Exchange) -> None:
            await exchange.begin(200, {})
            await exchange.send(b"ab")
            await exchange.cut()

        async with served(serve) as port, raw(port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") as client:
            await client.head()
            try:
                rest = await client.rest()
            except ConnectionResetError:
                rest = b""
            assert not rest.endswith(b"0\r\n\r\n")

    run(scenario())

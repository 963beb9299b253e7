"""An answer is bounded as a whole, wherever in it somebody puts what never ends."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import aiohttp
import pytest
import uvloop

from adapters.http.connections import BESIDES_BYTES, Connector
from adapters.http.resolver import Resolver, Threads
from tests.helpers.loop import run

BODY_BYTES_MAX = 1_000
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


class Answering:
    """A server that says the same to everybody, once or for ever."""

    def __init__(self, begins: bytes, goes_on: bytes = b"") -> None:
        self._begins = begins
        self._goes_on = goes_on
        self.said_bytes = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n{}"):
                writer.write(self._begins)
                while self._goes_on and not writer.is_closing():
                    writer.write(self._goes_on)
                    self.said_bytes += len(self._goes_on)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def asked(server: Answering, times: int = 1) -> list[bytes]:
    """Return what it answered, over one connection."""
    threads = Threads()
    listening = await asyncio.start_server(server, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
    connector = Connector(Resolver(threads), body_bytes_max=BODY_BYTES_MAX, private=True, limit=1)
    timeout = aiohttp.ClientTimeout(total=5)
    try:
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            answers = []
            for _ in range(times):
                async with session.post(url, data=b"{}") as answer:
                    answers.append(await answer.read())
            return answers
    finally:
        threads.close()
        listening.close()


@pytest.mark.parametrize(
    ("begins", "goes_on"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
        (OK + b"X: ", b"x" * 1_000),
        (CHUNKED + b"1;", b"x" * 1_000),
        (CHUNKED, b"1\r\nx\r\n" * 100),
        (CHUNKED + b"0\r\n", b"X: y\r\n" * 100),
    ],
    ids=["interim", "head", "extension", "body", "trailer"],
)
@pytest.mark.parametrize("runs", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_what_never_ends_ends_the_connection(
    runs: Callable[[Coroutine[Any, Any, None]], None], begins: bytes, goes_on: bytes
) -> None:
    async def scenario() -> None:
        server = Answering(begins, goes_on)
        with pytest.raises(aiohttp.ClientError):
            await asked(server)
        in_the_kernel = 8_000_000
        assert server.said_bytes < BESIDES_BYTES + in_the_kernel

    runs(scenario())


def test_the_bound_is_of_each_answer_and_not_of_the_connection() -> None:
    async def scenario() -> None:
        body = b"x" * BODY_BYTES_MAX
        whole = OK + b"Content-Length: %d\r\n\r\n" % len(body) + body
        answers = await asked(Answering(whole), times=BESIDES_BYTES // BODY_BYTES_MAX + 10)
        assert set(answers) == {body}

    run(scenario())

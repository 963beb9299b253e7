"""The server of the streams port around any application, and requests whose bytes stand in the test."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.realtime.exchange import Exchange, Receive, Scope, Send
from gateway.realtime.streams_server import StreamsServer
from tests.helpers.ports import listener

Application = Callable[[Scope, Receive, Send], Awaitable[None]]


@asynccontextmanager
async def serving(application: Application) -> AsyncIterator[int]:
    """Give the port of a server of this application."""
    bound = listener()
    server = StreamsServer(application)
    running = asyncio.ensure_future(server.serve(sockets=[bound]))
    try:
        yield bound.getsockname()[1]
    finally:
        server.should_exit = True
        await running


@asynccontextmanager
async def served(
    serve: Callable[[Exchange], Awaitable[None]], *, stalled_s: float = 5.0
) -> AsyncIterator[int]:
    """Give the port of a server whose every request is an exchange for `serve`."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await serve(Exchange(scope, receive, send, "req_test", stalled_s))

    async with serving(application) as port:
        yield port


class Raw:
    """One connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def head(self) -> str:
        """Return the head of the next answer."""
        async with asyncio.timeout(5):
            return (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")

    async def part(self) -> bytes:
        """Return the next part of a chunked body; b"" is its end."""
        async with asyncio.timeout(5):
            size = int(await self.reader.readline(), 16)
            return (await self.reader.readexactly(size + 2))[:-2]

    async def rest(self) -> bytes:
        """Return what comes until the connection ends."""
        async with asyncio.timeout(5):
            return await self.reader.read()


@asynccontextmanager
async def raw(port: int, *sent: bytes) -> AsyncIterator[Raw]:
    """Give a connection on which this was sent already."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**22)
    writer.write(b"".join(sent))
    try:
        yield Raw(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):  # it was cut off
            await writer.wait_closed()


def request_of(method: str, target: str, body: bytes = b"", **headers: str) -> bytes:
    """Return a whole request; `_` in the names of headers are hyphens."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    length = f"Content-Length: {len(body)}\r\n" if body or method == "POST" else ""
    return f"{method} {target} HTTP/1.1\r\nHost: x\r\n{length}{lines}\r\n".encode() + body


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """Return the code of a problem."""
        code: str = orjson.loads(self.body)["code"]
        return code


async def ask(port: int, method: str, target: str, body: bytes = b"", **headers: str) -> Answer:
    """Send one request and return its answer, which has to end."""
    async with raw(port, request_of(method, target, body, connection="close", **headers)) as client:
        first, *lines = (await client.head()).strip().split("\r\n")
        told = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        chunks = []
        if told.get("transfer-encoding") == "chunked":
            while chunk := await client.part():
                chunks.append(chunk)
        return Answer(int(first.split()[1]), told, b"".join(chunks))


class Talk:
    """A connection over HTTP in JSON: what is heard comes on one answer, what is said goes by calls."""

    def __init__(self, port: int, answer: Raw) -> None:
        self.answer = answer
        self.session = self.node = ""
        self._port = port
        self._lines: list[bytes] = []

    async def hear(self) -> dict[str, Any]:
        """Return the next message that is no ping; {} is the end of the answer."""
        while not self._lines:
            part = await self.answer.part()
            if not part:
                return {}
            self._lines += filter(None, part.replace(b"data: ", b"").split(b"\n"))
        message: dict[str, Any] = orjson.loads(self._lines.pop(0).strip() or b"{}")
        return message or await self.hear()

    async def connected(self) -> dict[str, Any]:
        """Return the reply to connect, and remember where calls go."""
        reply: dict[str, Any] = (await self.hear())["connect"]
        self.session, self.node = reply["session"], reply["node"]
        return reply

    async def say(self, *commands: dict[str, Any]) -> int:
        """Send commands by one call, and return its status."""
        data = "\n".join(orjson.dumps(command).decode() for command in commands)
        body = orjson.dumps({"session": self.session, "node": self.node, "data": data})
        return (await ask(self._port, "POST", "/emulation", body)).status

    async def ask(self, command: dict[str, Any]) -> dict[str, Any]:
        """Send one command by a call and return what is heard next."""
        assert await self.say(command) == 204
        return await self.hear()


@asynccontextmanager
async def talk(
    port: int, token: str, path: str = "/connection/http_stream", **headers: str
) -> AsyncIterator[Talk]:
    """Give a connection whose connect was sent."""
    command = orjson.dumps({"id": 1, "connect": {"token": token}})
    async with raw(port, request_of("POST", path, command, **headers)) as answer:
        await answer.head()
        yield Talk(port, answer)

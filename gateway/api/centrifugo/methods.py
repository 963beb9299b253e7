"""The methods there are, one call of one, a batch of them, and the former form of both."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import structlog

from core.errors import Code, TidingsError
from gateway.api.centrifugo import requests
from gateway.api.centrifugo.answers import UNKNOWN_METHOD, code_of, failed, succeeded
from gateway.api.centrifugo.caller import Caller
from gateway.api.centrifugo.nodes import Nodes
from gateway.api.centrifugo.ordering import Ordering
from gateway.api.centrifugo.publishing import PARALLEL_MAX, Publishing
from gateway.api.centrifugo.reading import Reading

COMMANDS_MAX: Final = 10_000
"""In one batch, or in one body of the former form."""
READ_BYTES_MAX: Final = 67_108_864
"""What one request may read all in all; what would be more is to be asked for by itself."""
BATCH: Final = "batch"
_READ: Final = frozenset({"history", "presence", "presence_stats", "channels", "info"})

Handle = Callable[[Caller, Any], Awaitable[bytes]]


class UnreadableError(Exception):
    """The request can't be read."""


@dataclass(frozen=True, slots=True)
class Method:
    """One method: what reads its request, and what makes a bare result of it."""

    read: requests.Reader[Any]
    handle: Handle
    reads: bool


class Readings:
    """What the commands of one request read: one after the other, until it is enough."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._left = READ_BYTES_MAX

    async def read(self, handle: Handle, caller: Caller, request: Any) -> bytes:
        """Return the result of one more.

        Raises:
            TidingsError: `rate_limited`, the others have read enough.
        """
        async with self._turn:
            if self._left <= 0:
                raise TidingsError(Code.RATE_LIMITED)
            result = await handle(caller, request)
            self._left -= len(result)
            return result


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one command: a bare result, or else the code of its error."""

    result: bytes
    code: int = 0

    @property
    def answer(self) -> bytes:
        """The answer that holds it."""
        return failed(self.code) if self.code else succeeded(self.result)


class Methods:
    """Runs commands by the names of their methods."""

    def __init__(self, publishing: Publishing, reading: Reading, ordering: Ordering, nodes: Nodes) -> None:
        self._log = structlog.get_logger()
        self._read_batch = requests.reader_of(requests.Batch)
        self._read_line = requests.reader_of(requests.LegacyCommand)
        handles: dict[str, tuple[type[requests.Request], Handle]] = {
            "publish": (requests.Publish, publishing.publish),
            "broadcast": (requests.Broadcast, publishing.broadcast),
            "subscribe": (requests.Subscribe, ordering.subscribe),
            "unsubscribe": (requests.Unsubscribe, ordering.unsubscribe),
            "disconnect": (requests.Disconnect, ordering.disconnect),
            "refresh": (requests.Refresh, ordering.refresh),
            "presence": (requests.InChannel, reading.presence),
            "presence_stats": (requests.InChannel, reading.presence_stats),
            "history": (requests.History, reading.history),
            "history_remove": (requests.InChannel, reading.history_remove),
            "channels": (requests.Channels, reading.channels),
            "info": (requests.Info, nodes.info),
            "rpc": (requests.Rpc, _rpc),
        }
        self._methods = {
            name: Method(requests.reader_of(kind), handle, name in _READ)
            for name, (kind, handle) in handles.items()
        }

    def has(self, name: str) -> bool:
        """Say whether there is such a method."""
        return name in self._methods or name == BATCH

    async def call(self, caller: Caller, name: str, body: bytes) -> Done:
        """Run one command of a method that there is, but no batch.

        Raises:
            UnreadableError: the body is no such command.
        """
        method = self._methods[name]
        return await self._run(caller, method, _read(method.read, body), Readings())

    async def batch(self, caller: Caller, body: bytes) -> bytes:
        """Run several commands, one after the other or at once, and return the whole answer.

        Raises:
            UnreadableError: the body is no batch. Nothing of it was run then.
        """
        batch = _read(self._read_batch, body)
        commands = [self._member(command) for command in batch.commands or []]
        if len(commands) > COMMANDS_MAX:
            raise UnreadableError
        readings, room = Readings(), asyncio.Semaphore(PARALLEL_MAX if batch.parallel else 1)

        async def reply(command: tuple[str, Method | None, Any]) -> bytes:
            async with room:
                return await self._reply(caller, readings, *command)

        replies = await asyncio.gather(*map(reply, commands))
        return b'{"replies":[%b]}' % b",".join(replies)

    async def lines(self, caller: Caller, body: bytes) -> bytes:
        """Run the commands of the former form, one a line, and return an answer a line.

        Raises:
            UnreadableError: a line is no command. Nothing was run then.
        """
        lines = [line for line in body.split(b"\n") if line.strip()]
        if not 0 < len(lines) <= COMMANDS_MAX:
            raise UnreadableError
        commands = [_read(self._read_line, line) for line in lines]
        read = [self._request(command.method or "", command.params) for command in commands]
        answers, readings = [], Readings()
        for command, (method, request) in zip(commands, read, strict=True):
            done = await self._run(caller, method, request, readings)
            answers.append(_named(done.answer, command.id))
        return b"\n".join(answers)

    def _member(self, command: dict[str, msgspec.Raw]) -> tuple[str, Method | None, Any]:
        name, raw = next(iter(command.items()), ("", requests.NOTHING))
        return name, *self._request(name, raw)

    def _request(self, name: str, raw: msgspec.Raw) -> tuple[Method | None, Any]:
        method = self._methods.get(name)
        return (None, None) if method is None else (method, _read(method.read, bytes(raw) or b"null"))

    async def _reply(
        self, caller: Caller, readings: Readings, name: str, method: Method | None, request: Any
    ) -> bytes:
        done = await self._run(caller, method, request, readings)
        return done.answer if done.code else b'{"%b":%b}' % (name.encode(), done.result)

    async def _run(self, caller: Caller, method: Method | None, request: Any, readings: Readings) -> Done:
        if method is None:
            return Done(b"", UNKNOWN_METHOD)
        try:
            if method.reads:
                return Done(await readings.read(method.handle, caller, request))
            return Done(await method.handle(caller, request))
        except TidingsError as error:
            return Done(b"", code_of(error))
        except Exception as error:  # noqa: BLE001 (the last line: one command's failure is not that of a batch)
            self._log.error("api.failed", exc_info=error)
            return Done(b"", code_of(TidingsError(Code.INTERNAL)))


async def _rpc(_caller: Caller, _request: requests.Rpc) -> bytes:
    raise TidingsError(Code.NOT_FOUND, "The server was extended by no method.")


def _read(read: requests.Reader[requests.R], raw: bytes) -> requests.R:
    try:
        return read(raw)
    except (msgspec.DecodeError, RecursionError):
        raise UnreadableError from None


def _named(answer: bytes, id_: int | None) -> bytes:
    return b'{"id":%d,%b' % (id_, answer[1:]) if id_ else answer

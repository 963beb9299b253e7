"""An answer that shows a source: how it begins, waits and ends, and for whom it does not go on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from adapters.clock import SystemClock
from adapters.postgres.auth import StoredKey
from core.errors import Code, TidingsError
from core.instants import Instant
from core.streams.position import Position
from gateway.auth import Authenticator
from gateway.realtime.exchange import Exchange
from gateway.realtime.plain_stream import PlainStreams, event_of, position_asked
from settings import Api
from tests.helpers.eventually import eventually
from tests.helpers.loop import run
from tests.helpers.memory_log import ORG, MemoryLog
from tests.helpers.replica import MemoryReplica, Store
from tests.helpers.streams import ask, raw, request_of, served

KEY = "tdg_test_frltGemFCz2wyaPn8EXmNdxHNVLMlv3tiuti"  # of the contract: opens nothing anywhere


class OneKey(Store):
    """The store of an installation with one key."""

    def __init__(self) -> None:
        super().__init__()
        self.is_active = True
        self.expires_at: Instant | None = None

    async def find_key(self, _digest: bytes) -> StoredKey:
        return StoredKey(ORG, bytes(16), "test", frozenset({"events:read"}), self.expires_at, None)

    async def is_active_key(self, _organization_id: bytes, _api_key_id: bytes) -> bool:
        return self.is_active


class Letters:
    """A source of letters, one at a time."""

    def __init__(self) -> None:
        self.is_over = self.is_closed = False
        self.refusal: Code | None = None
        self.letters: list[bytes | Code] = []
        self.asked: Position | None = None
        self._more = asyncio.Event()

    def write(self, letter: bytes | Code) -> None:
        self.letters.append(letter)
        self._more.set()

    def end(self) -> None:
        self.is_over = True
        self._more.set()

    async def begin(self, asked: Position | None) -> None:
        self.asked = asked
        if self.refusal is not None:
            raise TidingsError(self.refusal)

    async def next(self) -> bytes | None:
        letter = self.letters.pop(0) if self.letters else None
        if isinstance(letter, Code):
            raise TidingsError(letter)
        return letter

    async def changed(self) -> None:
        await self._more.wait()
        self._more.clear()

    def close(self) -> None:
        self.is_closed = True


class Served:
    """Plain streams, each of which shows the same letters."""

    def __init__(self, **limits: Any) -> None:
        self.source, self.store = Letters(), OneKey()
        self.replica = MemoryReplica(MemoryLog(), store=self.store, **limits).parts
        self.replica.clock = SystemClock()
        self.replica.authenticator = Authenticator(cast("Any", self.store), self.replica.clock, Api())
        self.streams = PlainStreams(self.replica)
        self.refused: list[Code] = []
        self.port = 0

    async def __call__(self, exchange: Exchange) -> None:
        try:
            principal = await self.streams.caller(exchange, "events:read")
            asked = position_asked(exchange, {})
            await self.streams.serve(exchange, principal, self.source, asked)
        except TidingsError as error:
            self.refused.append(error.code)
            if exchange.has_begun:
                await exchange.cut()
            else:
                await exchange.begin(error.row.status, {})
                await exchange.end()


@asynccontextmanager
async def letters(**limits: Any) -> AsyncIterator[Served]:
    system = Served(**limits)
    async with served(system) as port:
        system.port = port
        yield system


def request(method: str = "GET", **headers: str) -> bytes:
    return request_of(method, "/", **{"authorization": f"Bearer {KEY}", **headers})


def test_what_the_source_has_is_shown_and_then_what_comes_until_it_is_over() -> None:
    async def scenario() -> None:
        async with letters() as system, raw(system.port, request(last_event_id="e:7")) as reader:
            assert "content-type: text/event-stream; charset=utf-8" in await reader.head()
            assert await reader.part() == b": tidings\n\n"
            for letter in (b"a", b"b"):
                system.source.write(letter)
                assert await reader.part() == letter
            system.source.write(b"")  # read, and not to be shown
            system.source.end()
            assert await reader.part() == b""
            assert system.source.asked == Position("e", 7)
            assert system.source.is_closed

    run(scenario())


def test_a_source_is_closed_when_its_reader_leaves() -> None:
    async def scenario() -> None:
        async with letters() as system:
            async with raw(system.port, request()) as reader:
                await reader.head()
            assert await eventually(lambda: system.source.is_closed, within_s=1)

    run(scenario())


def test_a_source_that_refuses_or_fails_is_closed_as_well() -> None:
    async def scenario() -> None:
        async with letters() as system:
            system.source.refusal = Code.EPOCH_CHANGED
            assert (await ask(system.port, "GET", "/", authorization=f"Bearer {KEY}")).status == 409
            assert system.source.is_closed
        async with letters() as system, raw(system.port, request()) as reader:
            await reader.head()
            system.source.write(Code.UNAVAILABLE)
            (rest,) = await asyncio.gather(reader.rest(), return_exceptions=True)
            assert isinstance(rest, ConnectionError) or not cast("bytes", rest).endswith(b"\r\n0\r\n\r\n")
            assert system.source.is_closed

    run(scenario())


def test_only_a_key_with_the_scope_is_let_in() -> None:
    async def scenario() -> None:
        async with letters() as system:
            for headers in ({}, {"authorization": "Bearer x"}, {"authorization": f"Basic {KEY}"}):
                assert (await ask(system.port, "GET", "/", **headers)).status == 401
            assert not system.source.is_closed

    run(scenario())


def test_a_reader_whose_key_was_taken_back_is_let_go() -> None:
    async def scenario() -> None:
        async with letters() as system, raw(system.port, request()) as reader:
            await reader.head()
            await reader.part()
            system.store.is_active = False
            assert await reader.part() == b""

    run(scenario())


def test_a_reader_whose_standing_can_not_be_read_once_is_looked_at_again_and_so_are_all_others() -> None:
    async def scenario() -> None:
        async with letters() as system, raw(system.port, request()) as reader:
            await reader.head()
            await reader.part()
            stored, looks = system.store.is_active_key, 0

            async def is_active_key(organization_id: bytes, api_key_id: bytes) -> bool:
                nonlocal looks
                looks += 1
                if looks == 1:
                    raise ValueError  # what only a newer release can read
                return await stored(organization_id, api_key_id)

            system.store.is_active_key = is_active_key  # type: ignore[method-assign]  # what is stored changes
            assert await eventually(lambda: looks > 1, within_s=5)
            system.store.is_active = False
            assert await reader.part() == b""

    run(scenario())


def test_a_reader_whose_key_expires_is_let_go() -> None:
    async def scenario() -> None:
        async with letters() as system:
            system.store.expires_at = Instant(SystemClock().now() + 300_000)
            async with raw(system.port, request()) as reader:
                await reader.head()
                await reader.part()
                assert await reader.part() == b""
            assert (await ask(system.port, "GET", "/", authorization=f"Bearer {KEY}")).status == 401

    run(scenario())


def test_a_replica_has_so_many_readers_and_lets_all_of_them_go() -> None:
    async def scenario() -> None:
        async with letters(connections_max=1) as system, raw(system.port, request()) as reader:
            await reader.head()
            await reader.part()
            assert (await ask(system.port, "GET", "/", authorization=f"Bearer {KEY}")).status == 503
            system.streams.end()
            assert await reader.part() == b""

    run(scenario())


@pytest.mark.parametrize(
    "limit",
    [
        {"address_connects_burst": 1, "address_connects_per_s": 0.1},
        {"address_connections_max": 1},
        {"organization_connects_burst": 1, "organization_connects_per_s": 0.1},
        {"organization_connections_max": 1},
    ],
)
def test_readers_of_one_address_or_organization_are_limited_like_clients(limit: dict[str, float]) -> None:
    async def scenario() -> None:
        async with letters(**limit) as system:
            async with raw(system.port, request()) as reader:
                await reader.head()
                assert (await ask(system.port, "GET", "/", authorization=f"Bearer {KEY}")).status == 429
            admission = system.replica.admission
            if "connections_max" in "".join(limit):  # what is held is let go with its reader
                assert await eventually(
                    lambda: not (admission.admit_address("127.0.0.1") or admission.admit_connect(ORG)),
                    within_s=5,
                )

    run(scenario())


@pytest.mark.parametrize("data", [b'{"a":1}', b'{"a":\r\n1}'])
def test_an_event_has_its_position_and_one_line_of_data(data: bytes) -> None:
    assert event_of(Position("e", 7), data) == b'id: e:7\ndata: {"a":1}\n\n'

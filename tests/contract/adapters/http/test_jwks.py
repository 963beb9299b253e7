"""Key sets: asked for as rarely as can be, and never at the price of a good token."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from adapters.http.jwks import KeySets
from core.auth.jwt import Jwt
from core.errors import TidingsError
from settings import Tokens
from tests.helpers.eventually import eventually
from tests.helpers.hand_clock import HandClock
from tests.helpers.loop import run
from tests.helpers.ports import free_port
from tests.helpers.tokens import jwk_of, key_set, private_key

A, B = (jwk_of(private_key("ES256", number), kid=name) for number, name in enumerate("ab"))


def naming(key_id: str) -> Jwt:
    return Jwt("ES256", key_id, b"", b"", b"")


@dataclass
class Provider:
    """An identity provider; `answer` is what it publishes, None: it breaks the connection."""

    url: str
    answer: bytes | None = key_set(A)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    requests: int = 0
    open_for_all: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        await self.open_for_all.wait()
        if self.answer is None:
            assert request.transport is not None
            request.transport.abort()
        return web.Response(status=self.status, body=self.answer or b"", headers=self.headers)


@asynccontextmanager
async def provider() -> AsyncIterator[Provider]:
    one = Provider(f"http://127.0.0.1:{free_port()}/jwks.json")
    one.open_for_all.set()
    runner = web.ServerRunner(web.Server(one.serve))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(one.url.split(":")[2].split("/")[0])).start()
    try:
        yield one
    finally:
        one.open_for_all.set()
        await runner.cleanup()


Scenario = Callable[[Provider, KeySets, HandClock], Awaitable[None]]


def played(scenario: Scenario, **settings: float) -> None:
    async def work() -> None:
        clock = HandClock()
        key_sets = KeySets(Tokens(**{"jwks_private": True, **settings}), clock)
        async with provider() as one:
            try:
                await scenario(one, key_sets, clock)
            finally:
                await key_sets.close()

    run(work())


async def unavailable(key_sets: KeySets, url: str, token: Jwt) -> None:
    with pytest.raises(TidingsError) as caught:
        await key_sets.key_set(url, token)
    assert (caught.value.code.value, caught.value.row.realtime) == ("unavailable", 100)


def test_a_set_is_fetched_once_and_believed_for_a_while() -> None:
    async def scenario(one: Provider, key_sets: KeySets, clock: HandClock) -> None:
        for _ in range(3):
            assert (await key_sets.key_set(one.url, naming("a"))).find(naming("a")) is not None
        assert one.requests == 1
        clock.seconds += 601
        one.answer = key_set(B)
        assert (await key_sets.key_set(one.url, naming("a"))).find(naming("a")) is None
        assert one.requests == 2

    played(scenario)


def test_all_who_wait_share_one_request() -> None:
    async def scenario(one: Provider, key_sets: KeySets, _: HandClock) -> None:
        one.open_for_all.clear()
        waiting = [asyncio.ensure_future(key_sets.key_set(one.url, naming("a"))) for _ in range(50)]
        assert await eventually(lambda: one.requests > 0, within_s=5)
        waiting.pop().cancel()  # whoever leaves takes nothing from the others
        one.open_for_all.set()
        assert all(found.find(naming("a")) for found in await asyncio.gather(*waiting))
        assert one.requests == 1

    played(scenario)


def test_a_key_that_is_new_is_found_at_once_and_unknown_ones_are_asked_for_once_a_minute() -> None:
    async def scenario(one: Provider, key_sets: KeySets, clock: HandClock) -> None:
        await key_sets.key_set(one.url, naming("a"))
        one.answer = key_set(A, B)
        clock.seconds += 61
        assert (await key_sets.key_set(one.url, naming("b"))).find(naming("b")) is not None
        for number in range(20):
            await unavailable(key_sets, one.url, naming(f"forged {number}"))
        assert one.requests == 2
        assert (await key_sets.key_set(one.url, naming("a"))).find(naming("a")) is not None
        clock.seconds += 60
        assert (await key_sets.key_set(one.url, naming("forged"))).find(naming("forged")) is None
        assert one.requests == 3

    played(scenario)


def test_a_provider_that_is_away_is_no_fault_of_the_token() -> None:
    async def scenario(one: Provider, key_sets: KeySets, clock: HandClock) -> None:
        one.answer = None
        await unavailable(key_sets, one.url, naming("a"))
        requests = one.requests
        await unavailable(key_sets, one.url, naming("a"))
        assert one.requests == requests
        one.answer = key_set(A)
        clock.seconds += 1
        assert (await key_sets.key_set(one.url, naming("a"))).find(naming("a")) is not None
        one.answer = None
        clock.seconds += 3_500
        assert (await key_sets.key_set(one.url, naming("a"))).find(naming("a")) is not None
        await unavailable(key_sets, one.url, naming("b"))
        clock.seconds += 101
        await unavailable(key_sets, one.url, naming("a"))

    played(scenario)


@pytest.mark.parametrize(
    ("answer", "status", "headers"),
    [
        (b"<html>", 200, {}),
        (b"{}", 200, {}),
        (key_set(A), 500, {}),
        (key_set(A), 404, {}),
        (b"", 302, {"location": "/jwks.json"}),
        (key_set(A), 206, {}),
        (key_set(A) + b" " * 300_000, 200, {}),
        (b"\x1f\x8b\x08", 200, {"content-encoding": "gzip"}),
    ],
    ids=["no JSON", "no set", "broken", "missing", "moved", "a part", "too long", "packed"],
)
def test_what_is_no_key_set_is_not_used(answer: bytes, status: int, headers: dict[str, str]) -> None:
    async def scenario(one: Provider, key_sets: KeySets, _: HandClock) -> None:
        one.answer, one.status, one.headers = answer, status, headers
        await unavailable(key_sets, one.url, naming("a"))
        assert one.requests == 1

    played(scenario)


def test_a_provider_that_hangs_is_given_up() -> None:
    async def scenario(one: Provider, key_sets: KeySets, _: HandClock) -> None:
        one.open_for_all.clear()
        await unavailable(key_sets, one.url, naming("a"))

    played(scenario, jwks_s=0.2)


def test_private_addresses_and_plain_http_are_not_called_unless_the_operator_allows() -> None:
    async def scenario(one: Provider, key_sets: KeySets, _: HandClock) -> None:
        port = one.url.split(":")[2]
        for host in ("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"):
            await unavailable(key_sets, f"https://{host}:{port}", naming("a"))
        await unavailable(key_sets, one.url, naming("a"))
        assert one.requests == 0

    played(scenario, jwks_private=False)


def test_only_so_many_sets_are_kept() -> None:
    async def scenario(one: Provider, key_sets: KeySets, _: HandClock) -> None:
        for query in ("?1", "?2", "?3", "?3", "?1"):
            await key_sets.key_set(one.url + query, naming("a"))
        assert one.requests == 4

    played(scenario, jwks_sets_max=2)

"""An answer that stays open and the calls that go with it: what happens at each of their limits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import orjson
import pytest

from gateway.realtime import downstream
from gateway.realtime.client import Client
from gateway.realtime.origins import Origins
from gateway.realtime.streams import Streams
from tests.helpers.eventually import eventually
from tests.helpers.loop import run
from tests.helpers.memory_log import MemoryLog
from tests.helpers.replica import OTHER_ORG, MemoryReplica, token_of
from tests.helpers.streams import Talk, ask, raw, request_of, serving, talk

SUBSCRIBE = {"id": 2, "subscribe": {"channel": "a"}}
HISTORY = {"id": 3, "history": {"channel": "a"}}
MESSAGE = b'{"push":{"channel":"a","pub":{"data":"%b"}}}'


class Nowhere:
    """No other replica."""

    async def deliver(self, _node: str, _session: str, _data: bytes) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Held:
    """A replica whose log answers when the test says so."""

    log: MemoryLog
    replica: MemoryReplica
    port: int

    def client(self) -> Client:
        """Return the only client."""
        (client,) = self.replica.clients.all()
        return client


@asynccontextmanager
async def held(**limits: Any) -> AsyncIterator[Held]:
    log = MemoryLog()
    replica = MemoryReplica(log, **limits)
    streams = Streams(replica.parts, cast("Any", log), Nowhere(), Origins("", ""), "")
    async with serving(streams) as port:
        yield Held(log, replica, port)


async def begun(ann: Talk) -> None:
    """Connect, and subscribe as far as to the log, which does not answer."""
    await ann.connected()
    assert await ann.say(SUBSCRIBE) == 204


def test_calls_wait_while_too_much_is_unanswered_and_go_on_in_order() -> None:
    async def scenario() -> None:
        async with held(pending_commands_max=1) as system, talk(system.port, "") as ann:
            await begun(ann)
            calls = [asyncio.ensure_future(ann.say({**HISTORY, "id": id_})) for id_ in (3, 4, 5)]
            await asyncio.sleep(0.05)
            assert not any(call.done() for call in calls)
            heard = []
            while len(heard) < 4:
                system.log.gate.open_all()
                try:
                    async with asyncio.timeout(0.05):
                        heard.append((await ann.hear())["id"])
                except TimeoutError:
                    continue
            assert heard == [2, 3, 4, 5]
            assert await asyncio.gather(*calls) == [204, 204, 204]

    run(scenario())


def test_a_call_does_not_wait_for_ever() -> None:
    async def scenario() -> None:
        async with held(pending_commands_max=1, upstream_wait_s=0.05) as system, talk(system.port, "") as ann:
            await begun(ann)
            assert await ann.say(HISTORY) == 503

    run(scenario())


def test_only_so_many_calls_of_a_session_wait() -> None:
    async def scenario() -> None:
        async with held(pending_commands_max=1, upstream_calls_max=2) as system, talk(system.port, "") as ann:
            await begun(ann)
            waiting = [asyncio.ensure_future(ann.say(HISTORY)) for _ in range(2)]
            await asyncio.sleep(0.05)
            assert await ann.say(HISTORY) == 503
            for call in waiting:
                assert not call.done()
            system.client().end(3001)  # they are told now that nobody will take them
            assert await asyncio.gather(*waiting) == [404, 404]

    run(scenario())


def test_only_so_many_calls_of_an_organization_wait_and_those_of_others_besides(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(downstream, "WAITING_MAX", 1)

    async def scenario() -> None:
        async with (
            held(pending_commands_max=1) as system,
            talk(system.port, "") as ann,
            talk(system.port, "") as bob,
            talk(system.port, token_of("eve", OTHER_ORG)) as eve,
        ):
            for one in (ann, bob, eve):
                await begun(one)
            waiting = [asyncio.ensure_future(one.say(HISTORY)) for one in (ann, eve)]
            await asyncio.sleep(0.05)
            assert await bob.say(HISTORY) == 503
            assert not any(call.done() for call in waiting)
            for client in system.replica.clients.all():
                client.end(3001)
            assert await asyncio.gather(*waiting) == [404, 404]

    run(scenario())


def test_messages_that_belong_together_leave_in_one_part_and_a_part_has_a_limit() -> None:
    async def scenario() -> None:
        async with held(frame_bytes_max=100) as system, talk(system.port, "") as ann:
            await ann.connected()
            client, short = system.client(), [MESSAGE % b"x", MESSAGE % b"y"]
            for message in short:
                client.push([message])
                client.flush()  # two frames of one tick
            long = MESSAGE % (b"z" * 100)
            client.push([long, short[0]])
            client.flush()
            assert await ann.answer.part() == b"\n".join([*short, b""])
            assert await ann.answer.part() == long + b"\n"
            assert await ann.answer.part() == short[0] + b"\n"

    run(scenario())


async def fill(system: Held) -> int:
    """Push until the client is too slow, and return how many messages that were."""
    client, message = system.client(), MESSAGE % (b"x" * 65_536)
    for count in range(1_000):
        if client.connection.is_closed:
            return count
        client.push([message])
        client.flush()
        await asyncio.sleep(0)
    raise AssertionError("nobody was slow")


def test_a_slow_reader_is_told_so_in_whole_messages() -> None:
    async def scenario() -> None:
        async with held(outbox_bytes_max=300_000, flush_s=60.0) as system, talk(system.port, "") as ann:
            await ann.connected()
            pushed = await fill(system)
            heard = []
            while message := await ann.hear():
                heard.append(message["push"])
            assert len(heard) < pushed
            assert {len(push["pub"]["data"]) for push in heard[:-1]} == {65_536}
            assert heard[-1] == {"disconnect": {"code": 3008, "reason": "slow"}}
            assert len(system.replica.clients) == 0

    run(scenario())


def test_who_does_not_read_even_the_end_is_cut_off() -> None:
    async def scenario() -> None:
        limits = {"outbox_bytes_max": 300_000, "flush_s": 0.05, "address_connections_max": 1}
        async with held(**limits) as system, talk(system.port, "") as ann:
            await ann.connected()
            ann.answer.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await fill(system)
            async with asyncio.timeout(5):
                while not await may_open(system.port):  # noqa: ASYNC110 (seen from outside alone)
                    await asyncio.sleep(0.01)
            ann.answer.writer.transport.resume_reading()  # type: ignore[attr-defined]
            (rest,) = await asyncio.gather(ann.answer.rest(), return_exceptions=True)
            assert isinstance(rest, ConnectionError) or not cast("bytes", rest).endswith(b"\r\n0\r\n\r\n")

    run(scenario())


async def may_open(port: int) -> bool:
    """Say whether the only connection that the address may have is over."""
    async with raw(port, request_of("POST", "/connection/http_stream", b"{}")) as answer:
        return " 200 " in await answer.head()


def test_the_last_word_comes_before_the_end_and_3000_says_none() -> None:
    async def scenario() -> None:
        for code, said in ((3012, [{"disconnect": {"code": 3012, "reason": "no pong"}}]), (3000, [])):
            async with held() as system, talk(system.port, "") as ann:
                await ann.connected()
                client = system.client()
                client.push([MESSAGE % b"x"])
                client.end(code)
                client.end(code)  # once is enough
                assert (await ann.hear())["push"]["pub"]["data"] == "x"
                for push in said:
                    assert (await ann.hear())["push"] == push
                assert await ann.answer.part() == b""
                assert await eventually(lambda s=system: len(s.replica.clients) == 0, within_s=1)

    run(scenario())


def test_an_address_has_so_many_connections_until_they_end() -> None:
    async def scenario() -> None:
        async with held(address_connections_max=1) as system:
            connect = orjson.dumps({"id": 1, "connect": {}})
            request = request_of("POST", "/connection/http_stream", connect, x_forwarded_for="192.0.2.1")
            async with raw(system.port, request) as first:
                await first.head()
                await first.part()
                refused = await ask(
                    system.port, "POST", "/connection/sse", connect, x_forwarded_for="192.0.2.1"
                )
                assert refused.code == "concurrency_limited"
                async with talk(system.port, "", x_forwarded_for="192.0.2.2") as another:
                    await another.connected()
            assert await eventually(lambda: len(system.replica.clients) == 0, within_s=1)
            async with raw(system.port, request) as again:
                assert " 200 " in await again.head()

    run(scenario())


def test_a_replica_has_so_many_connections() -> None:
    async def scenario() -> None:
        async with held(connections_max=1) as system, talk(system.port, "") as ann:
            await ann.connected()
            refused = await ask(system.port, "POST", "/connection/sse", b"{}")
            assert (refused.status, refused.code) == (503, "capacity_reduced")
            assert await ann.say({"id": 2, "unsubscribe": {"channel": "a"}}) == 204

    run(scenario())

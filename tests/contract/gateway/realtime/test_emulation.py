"""Commands that come by calls: to a session here, to one elsewhere, and to one that is gone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import orjson

from adapters.clock import SystemClock
from adapters.redis.post import Post
from core.errors import Code, TidingsError
from gateway.realtime.origins import Origins
from gateway.realtime.streams import Streams
from tests.helpers.cache import Server, cache_of, cache_server
from tests.helpers.eventually import eventually
from tests.helpers.loop import run
from tests.helpers.memory_log import MemoryLog
from tests.helpers.realtime import Realtimes, realtime_of
from tests.helpers.replica import MemoryReplica
from tests.helpers.streams import ask, raw, request_of, serving, talk

PATH = "/emulation"


def port_of(system: Realtimes) -> int:
    return int(system.streams_url.rpartition(":")[2])


def call(session: str, node: str, data: str = "{}") -> bytes:
    return orjson.dumps({"session": session, "node": node, "data": data})


def test_commands_of_a_call_take_effect_in_order_and_their_replies_come_on_the_answer(
    database_url: str,
) -> None:
    async def scenario() -> None:
        async with (
            realtime_of(database_url) as system,
            talk(port_of(system), system.token("ann")) as ann,
        ):
            await ann.connected()
            commands: list[dict[str, Any]] = [
                {"id": 2, "subscribe": {"channel": "news"}},
                {"id": 3, "unsubscribe": {"channel": "news"}},
                {"id": 4, "subscribe": {"channel": "news"}},
                {"id": 5, "history": {"channel": "news"}},
            ]
            assert await ann.say(*commands) == 204
            assert [(await ann.hear())["id"] for _ in commands] == [2, 3, 4, 5]

    run(scenario())


def test_what_reaches_no_session_is_told_so(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system:
            port = port_of(system)
            async with talk(port, system.token("ann")) as ann:
                await ann.connected()
                node, session = ann.node, ann.session
                assert (await ask(port, "POST", PATH, call("0" * 32, node))).code == "not_found"
            assert await eventually(lambda: system.server.sockets == 0, within_s=1)
            assert (await ask(port, "POST", PATH, call(session, node))).status == 404

    run(scenario())


def test_what_is_no_call_is_refused(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url, body_s=0.1) as system:
            port = port_of(system)
            for body in (b"", b"{}", b"nonsense", call("", "n"), call("s", "n", "")):
                refused = await ask(port, "POST", PATH, body)
                assert (refused.status, refused.code) == (400, "malformed_request")
            assert (await ask(port, "POST", PATH, b"x" * 65_537)).code == "body_too_large"
            octets = {"content_type": "application/octet-stream"}
            assert (await ask(port, "POST", PATH, call("s", "n"), **octets)).status == 400
            for method in ("GET", "PUT"):
                refused = await ask(port, method, PATH)
                assert (refused.status, refused.headers["allow"]) == (405, "POST, OPTIONS")
            async with raw(port, request_of("POST", PATH, b"xx")[:-1]) as late:
                assert " 408 " in await late.head()

    run(scenario())


class Elsewhere:
    """The other replicas, of which one has one session."""

    def __init__(self) -> None:
        self.delivered: list[tuple[str, str, bytes]] = []

    async def deliver(self, node: str, session: str, data: bytes) -> bool:
        if node == "unreachable":
            raise TidingsError(Code.UNAVAILABLE)
        self.delivered.append((node, session, data))
        return session == "theirs"


def test_commands_for_another_replica_are_posted_to_it() -> None:
    async def scenario() -> None:
        post, log = Elsewhere(), cast("Any", MemoryLog())
        replica = MemoryReplica(log).parts
        async with serving(Streams(replica, log, post, Origins("", ""), "")) as port:
            assert (await ask(port, "POST", PATH, call("theirs", "n2", '{"id":7}'))).status == 204
            assert (await ask(port, "POST", PATH, call("gone", "n2"))).code == "not_found"
            assert (await ask(port, "POST", PATH, call("theirs", "unreachable"))).code == "unavailable"
            assert (await ask(port, "POST", PATH, call("theirs", replica.node))).code == "not_found"
        assert post.delivered == [("n2", "theirs", b'{"id":7}'), ("n2", "gone", b"{}")]

    run(scenario())


@asynccontextmanager
async def replica_at(server: Server, node: str) -> AsyncIterator[int]:
    """Give the port of a replica of that name."""
    log = cast("Any", MemoryLog())
    replica = MemoryReplica(log).parts
    replica.node = node
    async with cache_of(server) as cache:
        post = Post(cache, node, replica.settings, SystemClock())
        streams = Streams(replica, log, post, Origins("", ""), "")
        await post.open(streams.downstreams.deliver)
        async with serving(streams) as port:
            yield port
        await post.close()


def test_a_call_reaches_its_session_whichever_replica_it_comes_to() -> None:
    async def scenario() -> None:
        async with (
            cache_server() as server,
            replica_at(server, "n1") as port,
            replica_at(server, "n2") as other,
            talk(port, "") as ann,
        ):
            await ann.connected()
            unsubscribe = '{"id":2,"unsubscribe":{"channel":"a"}}'
            assert (await ask(other, "POST", PATH, call(ann.session, "n1", unsubscribe))).status == 204
            assert await ann.hear() == {"id": 2, "unsubscribe": {}}
            assert (await ask(other, "POST", PATH, call("0" * 32, "n1"))).code == "not_found"
            assert (await ask(other, "POST", PATH, call(ann.session, "n3"))).code == "not_found"

    run(scenario())

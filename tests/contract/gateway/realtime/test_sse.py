"""Connections over SSE, byte by byte: how they begin, what they hear, and how they end."""

from urllib.parse import quote

import orjson
import pytest

from tests.helpers.eventually import eventually
from tests.helpers.loop import run
from tests.helpers.owners import publish
from tests.helpers.realtime import Realtimes, realtime_of
from tests.helpers.streams import ask, raw, request_of, talk

PATH = "/connection/sse"
UNI = "/connection/uni_sse"


def port_of(system: Realtimes) -> int:
    return int(system.streams_url.rpartition(":")[2])


def connect(system: Realtimes) -> str:
    return orjson.dumps({"id": 1, "connect": {"token": system.token("ann")}}).decode()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_answer_begins_at_once_and_each_message_is_an_event(database_url: str, method: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system:
            command = connect(system)
            target = f"{PATH}?cf_protocol_version=v2&cf_connect={quote(command)}" if method == "GET" else PATH
            body = command.encode() if method == "POST" else b""
            async with raw(port_of(system), request_of(method, target, body)) as answer:
                head = await answer.head()
                for line in (
                    "HTTP/1.1 200 OK",
                    "content-type: text/event-stream; charset=utf-8",
                    "x-accel-buffering: no",
                    "cache-control: private, no-cache, no-store, must-revalidate, max-age=0",
                    "pragma: no-cache",
                ):
                    assert line in head
                assert await answer.part() == b"\r\n"
                event = await answer.part()
                assert event.startswith(b"data: {")
                assert event.endswith(b"}\n\n")
                reply = orjson.loads(event[6:])
                assert reply["id"] == 1
                assert len(reply["connect"]["session"]) == 32
                assert reply["connect"]["node"]

    run(scenario())


def test_what_is_published_and_pinged_comes_as_events(database_url: str) -> None:
    async def scenario() -> None:
        async with (
            realtime_of(database_url, ping_s=0.5) as system,
            talk(port_of(system), system.token("ann"), PATH) as ann,
        ):
            await ann.connected()
            assert (await ann.ask({"id": 2, "subscribe": {"channel": "news"}}))["id"] == 2
            await system.owner.submit(publish(system.organization.organization_id, "news", b'"hi"'))
            while (part := await ann.answer.part()) == b"data: {}\n\n":
                await ann.say({})
            assert part.startswith(b'data: {"push":{"channel":"news","pub":{')
            assert await ann.answer.part() == b"data: {}\n\n"

    run(scenario())


def test_the_end_is_said_before_the_answer_ends(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system:
            for token, code, reason in (
                ("nonsense", 3500, "invalid token"),
                ("tdg_x", 3500, "invalid token"),
            ):
                async with talk(port_of(system), token, PATH) as nobody:
                    end = {"code": code, "reason": reason}
                    assert (await nobody.hear())["push"]["disconnect"] == end
                    assert await nobody.hear() == {}
            async with raw(port_of(system), request_of("POST", PATH, b"{}{")) as answer:
                await answer.head()
                assert await answer.part() == b"\r\n"
                assert orjson.loads((await answer.part())[6:])["push"]["disconnect"]["code"] == 3501
                assert await answer.part() == b""

    run(scenario())


def test_what_opens_nothing_is_refused(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url, body_s=0.1) as system:
            port = port_of(system)
            assert (await ask(port, "GET", PATH)).status == 400
            assert (await ask(port, "GET", f"{PATH}?cf_connect=")).status == 400
            assert (await ask(port, "GET", f"{PATH}?cf_connect=%ff")).status == 400
            for method in ("PUT", "DELETE", "HEAD"):
                refused = await ask(port, method, PATH)
                assert (refused.status, refused.headers["allow"]) == (405, "GET, POST, OPTIONS")
            assert (await ask(port, "POST", PATH, b"x" * 65_537)).code == "body_too_large"
            late = request_of("POST", PATH, b"xx")[:-1]
            async with raw(port, late) as answer:
                assert " 408 " in await answer.head()
            assert system.server.sockets == 0

    run(scenario())


@pytest.mark.parametrize("path", [PATH, UNI])
def test_who_gives_the_answer_up_is_gone_at_once(database_url: str, path: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system:
            command = (
                connect(system) if path == PATH else orjson.dumps({"token": system.token("ann")}).decode()
            )
            target = f"{path}?cf_connect={quote(command)}"
            async with raw(port_of(system), request_of("GET", target)) as answer:
                await answer.head()
                await answer.part()
                await answer.part()
                assert system.server.sockets == 1
            assert await eventually(lambda: system.server.sockets == 0, within_s=1)

    run(scenario())


def test_without_commands_pushes_come_bare(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system:
            asked = quote(orjson.dumps({"token": system.token("ann", channels=["news"])}).decode())
            async with raw(port_of(system), request_of("GET", f"{UNI}?cf_connect={asked}")) as answer:
                assert "text/event-stream" in await answer.head()
                assert await answer.part() == b"\r\n"
                opened = orjson.loads((await answer.part())[6:])
                assert opened["connect"]["subs"].keys() == {"news"}
                await system.owner.submit(publish(system.organization.organization_id, "news", b'"hi"'))
                push = orjson.loads((await answer.part())[6:])
                assert (push["channel"], push["pub"]["data"]) == ("news", "hi")

    run(scenario())


def test_without_commands_nothing_need_be_said_and_nonsense_is_refused(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system:
            port = port_of(system)
            for request in (request_of("GET", UNI), request_of("POST", UNI, b"{}")):
                async with raw(port, request) as answer:
                    await answer.head()
                    assert await answer.part() == b"\r\n"
                    # Nobody is let in without a token here.
                    end = {"disconnect": {"code": 3501, "reason": "bad request"}}
                    assert orjson.loads((await answer.part())[6:]) == end
                    assert await answer.part() == b""
            for refused in (
                await ask(port, "GET", f"{UNI}?cf_connect=nonsense"),
                await ask(port, "POST", UNI, b"[]"),
                await ask(port, "POST", UNI),
            ):
                assert (refused.status, refused.code) == (400, "malformed_request")

    run(scenario())

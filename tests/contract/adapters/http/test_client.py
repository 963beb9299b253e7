"""The client of the terminal's commands, against servers that answer as they should not."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import WSCloseCode, web

from adapters.http.client import AnswerError, Client, UnreachableError
from tests.helpers.loop import run
from tests.helpers.ports import free_port

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def server(handler: Handler) -> AsyncIterator[str]:
    """Answer every request by `handler`; give the origin."""
    runner = web.ServerRunner(web.Server(handler))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port := free_port())
    await site.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


def answering(status: int, body: str) -> Handler:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=status, text=body)

    return handler


async def call(handler: Handler) -> Any:
    async with server(handler) as origin, Client(origin, "a key") as client:
        return await client.call("POST", "/v1/things?limit=1", {"a": 1}, **{"Tidings-Version": "1"})


def test_a_request_carries_the_credential_the_body_and_the_headers() -> None:
    async def echo(request: web.Request) -> web.Response:
        return web.json_response(
            [
                request.path_qs,
                request.headers["Authorization"],
                request.headers["Tidings-Version"],
                await request.json(),
            ]
        )

    assert run(call(echo)) == ["/v1/things?limit=1", "Bearer a key", "1", {"a": 1}]


def test_a_refusal_is_told_by_its_code_and_detail() -> None:
    problem = json.dumps({"code": "not_found", "detail": "There is none."})
    with pytest.raises(AnswerError, match=r"^not_found: There is none\.$"):
        run(call(answering(404, problem)))


@pytest.mark.parametrize("status", [200, 502])
def test_what_answers_no_json_is_not_taken_for_tidings(status: int) -> None:
    with pytest.raises(AnswerError, match=f"answers {status} and no JSON"):
        run(call(answering(status, "<h1>Hello</h1>")))


def test_nobody_there_is_told_apart_from_a_refusal() -> None:
    async def scenario() -> None:
        async with Client(f"http://127.0.0.1:{free_port()}", "a key") as client:
            with pytest.raises(UnreachableError, match="does not answer"):
                await client.call("GET", "/")
            with pytest.raises(UnreachableError, match="does not answer"):
                await anext(client.publications("news", {"epoch": None, "offset": 0}, lambda: None))

    run(scenario())


def speaking(lines: list[str], heard: list[dict[str, Any]], close: int = WSCloseCode.OK) -> Handler:
    """Answer a socket: hear both commands, say the lines, close."""

    async def handler(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        heard.extend([json.loads((await socket.receive()).data) for _ in range(2)])
        for line in lines:
            await socket.send_str(line)
        await socket.close(code=close)
        return socket

    return handler


def subscribed(**result: Any) -> str:
    return json.dumps({"id": 2, "subscribe": result})


def pushed(offset: int, channel: str = "news") -> str:
    return json.dumps({"push": {"channel": channel, "pub": {"offset": offset, "data": offset}}})


async def follow(
    handler: Handler, position: dict[str, Any], on_gap: Callable[[], None] = lambda: None
) -> list[int]:
    async with server(handler) as origin, Client(origin, "a key") as client:
        return [one["offset"] async for one in client.publications("news", position, on_gap)]


def test_from_now_on_asks_for_no_recovery_and_remembers_where_it_is() -> None:
    heard: list[dict[str, Any]] = []
    position: dict[str, Any] = {"epoch": None, "offset": 0}
    said = [subscribed(epoch="e", offset=4), "{}", pushed(5) + "\n" + pushed(6), pushed(9, "other")]
    assert run(follow(speaking(said, heard), position)) == [5, 6]
    assert heard == [
        {"id": 1, "connect": {"token": "a key"}},
        {"id": 2, "subscribe": {"channel": "news"}},
    ]
    assert position == {"epoch": "e", "offset": 6}


def test_the_next_call_goes_on_where_the_last_one_ended() -> None:
    heard: list[dict[str, Any]] = []
    position: dict[str, Any] = {"epoch": "e", "offset": 6}
    missed, gaps = [{"offset": 7, "data": 7}, {"offset": 8, "data": 8}], list[int]()
    said = [subscribed(epoch="e", offset=8, recovered=True, publications=missed), pushed(9)]
    assert run(follow(speaking(said, heard), position, lambda: gaps.append(1))) == [7, 8, 9]
    assert not gaps
    assert heard[1]["subscribe"] == {"channel": "news", "recover": True, "epoch": "e", "offset": 6}
    assert position == {"epoch": "e", "offset": 9}


@pytest.mark.parametrize("answer", [{"epoch": "f", "offset": 3}, {"epoch": "f"}])
def test_who_can_not_go_on_without_a_gap_is_told(answer: dict[str, Any]) -> None:
    position, gaps = {"epoch": "e", "offset": 6}, list[int]()
    said = [subscribed(was_recovering=True, **answer)]
    assert run(follow(speaking(said, []), position, lambda: gaps.append(1))) == []
    assert (gaps, position) == ([1], {"epoch": "f", "offset": answer.get("offset", 0)})
    run(follow(speaking(said, []), {"epoch": None, "offset": 0}, lambda: gaps.append(1)))
    assert gaps == [1]


def test_a_socket_that_must_not_come_back_is_a_refusal() -> None:
    with pytest.raises(AnswerError, match="3500"):
        run(follow(speaking([], [], close=3500), {"epoch": None, "offset": 0}))
    assert run(follow(speaking([], [], close=3001), {"epoch": None, "offset": 0})) == []


def test_a_refused_subscription_says_why() -> None:
    said = [json.dumps({"id": 2, "error": {"code": 103, "message": "permission denied"}})]
    with pytest.raises(AnswerError, match="103: permission denied"):
        run(follow(speaking(said, []), {"epoch": None, "offset": 0}))


def test_a_ping_is_answered() -> None:
    async def handler(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive()
        await socket.receive()
        await socket.send_str("{}")
        async with asyncio.timeout(5):
            assert (await socket.receive()).data == "{}"
        await socket.send_str(subscribed(epoch="e", offset=0))
        await socket.send_str(pushed(1))
        await socket.close()
        return socket

    assert run(follow(handler, {"epoch": None, "offset": 0})) == [1]

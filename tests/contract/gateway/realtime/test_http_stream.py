"""Connections over a streamed answer: JSON in lines, protobuf with lengths, and bare pushes."""

import orjson
import pytest

from core.connections.client_pb2 import Command, ConnectRequest, EmulationRequest, Reply, SubscribeRequest
from tests.helpers.loop import run
from tests.helpers.owners import publish
from tests.helpers.realtime import realtime_of
from tests.helpers.streams import Raw, ask, raw, request_of, talk

PATH = "/connection/http_stream"
UNI = "/connection/uni_http_stream"


def framed(command: Command) -> bytes:
    """Return a command behind its length, which is short here but for a token's."""
    body = command.SerializeToString()
    size, length = len(body), b""
    while size > 0x7F:
        length += bytes((size & 0x7F | 0x80,))
        size >>= 7
    return length + bytes((size,)) + body


async def replies(answer: Raw) -> list[Reply]:
    """Return the replies of the next part, all of them whole."""
    part, found = await answer.part(), []
    while part:
        size = shift = at = 0
        while True:
            size |= (part[at] & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if part[at - 1] < 0x80:
                break
        assert len(part) >= at + size
        found.append(Reply.FromString(part[at : at + size]))
        part = part[at + size :]
    return found


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


def test_json_comes_in_lines(database_url: str) -> None:
    async def scenario() -> None:
        async with (
            realtime_of(database_url) as system,
            talk(port_of(system.streams_url), system.token("ann")) as ann,
        ):
            reply = await ann.connected()
            assert len(reply["session"]) == 32
            assert await ann.say({"id": 2, "subscribe": {"channel": "news"}}) == 204
            line = await ann.answer.part()
            assert line.endswith(b"}\n")
            assert orjson.loads(line)["id"] == 2
            organization_id = system.organization.organization_id
            await system.owner.submit(publish(organization_id, "news", '"ü€"'.encode()))
            assert '"ü€"'.encode() in await ann.answer.part()

    run(scenario())


@pytest.mark.parametrize("media_type", ["application/json", "application/octet-stream; x=1", ""])
def test_json_is_spoken_but_to_those_who_send_octets(database_url: str, media_type: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system:
            command = orjson.dumps({"id": 1, "connect": {"token": system.token("ann")}})
            headers = {"content_type": media_type} if media_type else {}
            request = request_of("POST", PATH, command, **headers)
            async with raw(port_of(system.streams_url), request) as answer:
                head = await answer.head()
                for line in ("content-type: application/json\r\n", "x-accel-buffering: no"):
                    assert line in head
                assert orjson.loads(await answer.part())["id"] == 1

    run(scenario())


def test_octets_are_protobuf_in_both_directions(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system:
            port, octets = port_of(system.streams_url), {"content_type": "application/octet-stream"}
            command = framed(Command(id=1, connect=ConnectRequest(token=system.token("ann"))))
            async with raw(port, request_of("POST", PATH, command, **octets)) as answer:
                assert "content-type: application/octet-stream\r\n" in await answer.head()
                (connected,) = await replies(answer)
                assert connected.id == 1
                call = EmulationRequest(
                    session=connected.connect.session,
                    node=connected.connect.node,
                    data=framed(Command(id=2, subscribe=SubscribeRequest(channel="news"))),
                )
                told = await ask(port, "POST", "/emulation", call.SerializeToString(), **octets)
                assert told.status == 204
                (subscribed,) = await replies(answer)
                assert (subscribed.id, subscribed.HasField("subscribe")) == (2, True)
                organization_id = system.organization.organization_id
                await system.owner.submit(publish(organization_id, "news", b'"hi"'))
                (pushed,) = await replies(answer)
                assert (pushed.push.channel, pushed.push.pub.data) == ("news", b'"hi"')

    run(scenario())


def test_bytes_that_are_no_protobuf_end_the_connection(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system:
            request = request_of("POST", PATH, b"\xff\xff", content_type="application/octet-stream")
            async with raw(port_of(system.streams_url), request) as answer:
                await answer.head()
                (end,) = await replies(answer)
                assert end.push.disconnect.code == 3501
                assert await answer.part() == b""

    run(scenario())


def test_only_a_post_opens_a_stream(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system:
            port = port_of(system.streams_url)
            for path in (PATH, UNI):
                for method in ("GET", "HEAD", "PUT"):
                    refused = await ask(port, method, path)
                    assert (refused.status, refused.headers["allow"]) == (405, "POST, OPTIONS")
                assert (await ask(port, "POST", path, b"x" * 65_537)).status == 413

    run(scenario())


def test_without_commands_pushes_come_bare(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system:
            asked = orjson.dumps({"token": system.token("ann", channels=["news"])})
            port = port_of(system.streams_url)
            # Whatever it calls its body: nothing but JSON is spoken there.
            request = request_of("POST", UNI, asked, content_type="application/octet-stream")
            async with raw(port, request) as answer:
                assert "content-type: application/json\r\n" in await answer.head()
                assert orjson.loads(await answer.part())["connect"]["subs"].keys() == {"news"}
                await system.owner.submit(publish(system.organization.organization_id, "news", b'"hi"'))
                assert orjson.loads(await answer.part())["pub"]["data"] == "hi"
            assert (await ask(port, "POST", UNI, b"nonsense")).code == "malformed_request"

    run(scenario())

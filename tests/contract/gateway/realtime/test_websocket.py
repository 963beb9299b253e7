"""The Centrifuge protocol over a real socket, owner and database, and what this transport adds to it."""

import asyncio
import gc
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from urllib.parse import quote

import orjson
import pytest
from picows import WSUpgradeRequest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from adapters.embedded.postgres import EmbeddedPostgres
from core.auth.scopes import ALL
from core.connections import client_pb2 as pb
from core.connections.orders import ORDER, Disconnect, Who, encode_order
from core.ids import encode
from core.streams.command import Command, Publish
from gateway.realtime.compression import inflate
from gateway.realtime.websocket import LINGER_S
from tests.helpers.database import fresh_database
from tests.helpers.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Peer, close, frame
from tests.helpers.loop import run
from tests.helpers.organizations import make_organization
from tests.helpers.owners import publish
from tests.helpers.realtime import Realtimes, Speaker, realtime_of
from tests.helpers.sockets import in_a_thread, port_of


def test_a_publication_reaches_another_socket_with_its_offset(database_url: str) -> None:
    async def scenario() -> None:
        async with (
            realtime_of(database_url) as system,
            Speaker(system.url, system.key) as reader,
            Speaker(system.url, system.key) as writer,
        ):
            subscribed = (await reader.ask({"id": 2, "subscribe": {"channel": "news", "flag": 1}}))[
                "subscribe"
            ]
            assert subscribed["positioned"]
            assert subscribed["recoverable"]
            assert "offset" not in subscribed
            reply = await writer.ask({"id": 2, "publish": {"channel": "news", "data": {"n": 1}}})
            assert reply["publish"] == {"offset": 1, "epoch": subscribed["epoch"], "seq": 1}
            (publication,) = await reader.publications(1)
            assert (publication["data"], publication["offset"]) == ({"n": 1}, 1)
            assert publication["info"]["user"].startswith("key_")

    run(scenario())


def test_commands_pipelined_with_connect_are_served_in_order(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system, Speaker(system.url) as client:
            await client.say(
                {"id": 1, "connect": {"token": system.key}},
                {"id": 2, "subscribe": {"channel": "a"}},
                {"id": 3, "unsubscribe": {"channel": "a"}},
                {"id": 4, "subscribe": {"channel": "a"}},
                {"id": 5, "publish": {"channel": "a", "data": 1}},
            )
            heard = [await client.hear() for _ in range(6)]
            assert [line["id"] for line in heard if line.get("id", 9) <= 4] == [1, 2, 3, 4]
            assert not [line for line in heard if "error" in line]
            assert [line["push"]["pub"]["data"] for line in heard if "push" in line] == [1]

    run(scenario())


@pytest.mark.parametrize("missed", [0, 5, 300, 1_000])
def test_what_was_missed_is_recovered_in_order_and_then_the_live_stream(
    database_url: str, missed: int
) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system:
            organization_id = system.organization.organization_id
            await asyncio.gather(
                *(
                    system.owner.submit(publish(organization_id, "news", b"%d" % n))
                    for n in range(1, missed + 3)
                )
            )
            async with Speaker(system.url, system.key) as client:
                since = {"recover": True, "offset": 2, "epoch": ""}
                reply = await client.ask({"id": 2, "subscribe": {"channel": "news", **since}})
                result = reply["subscribe"]
                assert result["recovered"]
                assert result["offset"] == 2
                await system.owner.submit(publish(organization_id, "news", b"%d" % (missed + 3)))
                first = result.get("publications", [])
                heard = first + await client.publications(missed + 1 - len(first))
                assert [p["offset"] for p in heard] == list(range(3, missed + 4))
                assert [p["data"] for p in heard] == list(range(3, missed + 4))

    run(scenario())


def test_a_position_of_another_epoch_or_from_the_future_is_not_recovered(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system, Speaker(system.url, system.key) as client:
            await client.ask({"id": 2, "publish": {"channel": "news", "data": 1}})
            for number, since in enumerate(({"offset": 0, "epoch": "other"}, {"offset": 9, "epoch": ""})):
                ask = {"channel": "news", "recover": True, **since}
                reply = await client.ask({"id": 10 + number, "subscribe": ask})
                assert reply["subscribe"]["was_recovering"]
                assert "recovered" not in reply["subscribe"]
                assert reply["subscribe"]["offset"] == 1
                await client.ask({"id": 20 + number, "unsubscribe": {"channel": "news"}})
            strict = {"channel": "news", "recover": True, "offset": 9, "flag": 2}
            assert (await client.ask({"id": 30, "subscribe": strict}))["error"]["code"] == 112

    run(scenario())


def test_history_is_paged_and_counts_what_was_just_published(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system, Speaker(system.url, system.key) as client:
            for n in range(1, 4):
                await client.ask({"id": 10 + n, "publish": {"channel": "news", "data": n}})
            empty = (await client.ask({"id": 2, "history": {"channel": "news"}}))["history"]
            assert (empty["publications"], empty["offset"]) == ([], 3)
            page = {"channel": "news", "limit": 2, "since": {"offset": 1, "epoch": empty["epoch"]}}
            listed = (await client.ask({"id": 3, "history": page}))["history"]["publications"]
            assert [p["offset"] for p in listed] == [2, 3]
            newest = {"channel": "news", "limit": 2, "reverse": True}
            listed = (await client.ask({"id": 4, "history": newest}))["history"]["publications"]
            assert [p["offset"] for p in listed] == [3, 2]
            stale = {"channel": "news", "limit": 2, "since": {"offset": 1, "epoch": "other"}}
            assert (await client.ask({"id": 5, "history": stale}))["error"]["code"] == 112

    run(scenario())


def test_a_user_may_read_but_publishes_only_where_the_organization_lets_him(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system:
            async with Speaker(system.url, system.token("42")) as user:
                assert "subscribe" in await user.ask({"id": 2, "subscribe": {"channel": "room:1"}})
                refused = await user.ask({"id": 3, "publish": {"channel": "room:1", "data": 1}})
                assert refused["error"] == {"code": 103, "message": "permission denied"}
                assert (await user.ask({"id": 4, "subscribe": {"channel": "$room"}}))["error"]["code"] == 103
            await system.options(client_publish=True)
            reply: dict[str, object] = {}
            for _ in range(200):  # options are believed for a second
                async with Speaker(system.url, system.token("42")) as user:
                    reply = await user.ask({"id": 3, "publish": {"channel": "room:1", "data": 1}})
                if "publish" in reply:
                    break
                await asyncio.sleep(0.02)
            assert "publish" in reply

    run(scenario())


@pytest.mark.parametrize(
    ("connect_command", "code"),
    [
        ({"token": ""}, 3501),
        ({"token": "nonsense"}, 3500),
        ({"token": "tdg_test_frltGemFCz2wyaPn8EXmNdxHNVLMlv3tiuti"}, 3500),
    ],
    ids=["none", "no token", "unknown key"],
)
def test_a_connection_without_a_good_credential_is_closed(
    database_url: str, connect_command: dict[str, str], code: int
) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system, Speaker(system.url) as client:
            await client.say({"id": 1, "connect": connect_command})
            closed, reason = await client.closed()
            assert closed == code
            assert reason

    run(scenario())


def test_an_expired_token_is_answered_with_109(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system, Speaker(system.url) as client:
            token = system.token("42", exp=int(time.time()) - 1)
            reply = await client.ask({"id": 1, "connect": {"token": token}})
            assert reply["error"] == {"code": 109, "message": "token expired"}

    run(scenario())


@pytest.mark.parametrize(
    "frame",
    ["", "\n", "{", '{"id":1}', '{"id":2,"subscribe":{"channel":"a"}}', '{"id":1,"connect":{}}\n\n{}'],
)
def test_a_violation_of_the_protocol_ends_the_connection(database_url: str, frame: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system, Speaker(system.url) as client:
            await client.say_text(frame)
            assert (await client.closed())[0] == 3501

    run(scenario())


def test_a_message_over_the_limit_is_refused_with_1009(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system, Speaker(system.url, system.key) as client:
            await client.say_text('{"id":2,"publish":{"channel":"a","data":"' + "x" * 70_000 + '"}}')
            assert (await client.closed())[0] == 1009

    run(scenario())


def test_another_organization_hears_nothing(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system, Speaker(system.url, system.key) as client:
            stranger = await make_organization(database_url)
            await client.ask({"id": 2, "subscribe": {"channel": "news"}})
            await system.owner.submit(publish(stranger, "news", b'"secret"'))
            await client.ask({"id": 3, "publish": {"channel": "news", "data": "mine"}})
            assert [p["data"] for p in await client.publications(1)] == ["mine"]
            history = await client.ask({"id": 4, "history": {"channel": "news", "limit": 10}})
            assert [p["data"] for p in history["history"]["publications"]] == ["mine"]

    run(scenario())


def test_no_command_reaches_into_another_organization(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system:
            other = await system.store.create_organization("other", "test")
            _, foreign = await system.store.create_key(other, "other", sorted(ALL))
            async with Speaker(system.url, system.key) as ours, Speaker(system.url, foreign) as theirs:
                first, *_ = [
                    await ours.ask({"id": 9, "publish": {"channel": "news", "data": number}})
                    for number in range(3)
                ]
                position = first["publish"]
                # Recovery from our position: another log, so nothing is recovered, and nothing shown.
                recover = {"channel": "news", "recover": True, "epoch": position["epoch"], "offset": 1}
                subscribed = (await theirs.ask({"id": 2, "subscribe": recover}))["subscribe"]
                assert not subscribed.get("recovered")
                assert subscribed.get("publications", []) == []
                assert subscribed["epoch"] != position["epoch"]
                page = (await theirs.ask({"id": 3, "history": {"channel": "news", "limit": 10}}))["history"]
                assert (page.get("publications", []), page.get("offset", 0)) == ([], 0)
                since = {"channel": "news", "limit": 10, "since": {"epoch": position["epoch"], "offset": 0}}
                assert (await theirs.ask({"id": 4, "history": since}))["error"]["code"] == 112
                mine = await theirs.ask({"id": 5, "publish": {"channel": "news", "data": "theirs"}})
                assert mine["publish"]["offset"] == 1
                ours_again = await ours.ask({"id": 10, "history": {"channel": "news", "limit": 10}})
                assert [p["data"] for p in ours_again["history"]["publications"]] == [0, 1, 2]
            stolen = system.token("42", org=encode("org", other.organization_id))
            async with Speaker(system.url) as thief:
                await thief.say({"id": 1, "connect": {"token": stolen}})
                assert (await thief.closed())[0] == 3500

    run(scenario())


def test_a_reader_that_does_not_read_is_closed_and_the_others_go_on(database_url: str) -> None:
    async def scenario() -> None:
        async with (
            realtime_of(database_url, outbox_bytes_max=100_000) as system,
            Speaker(system.url, system.key) as quick,
        ):
            slow = await connect(system.url, max_queue=1, compression=None)
            await slow.send(
                f'{{"id":1,"connect":{{"token":"{system.key}"}}}}\n{{"id":2,"subscribe":{{"channel":"news"}}}}'
            )
            await quick.ask({"id": 2, "subscribe": {"channel": "news"}})
            payload = b'"%b"' % (b"x" * 50_000)
            organization_id = system.organization.organization_id
            sent_bytes = 0
            while system.server.sockets > 1:
                await system.owner.submit(publish(organization_id, "news", payload))
                await quick.publications(1)
                sent_bytes += len(payload)
                assert sent_bytes < 1_500_000  # by itself the kernel alone would take four million
            await asyncio.sleep(LINGER_S + 0.5)  # longer than others have to answer
            with suppress(ConnectionClosed):
                while True:
                    await slow.recv()
            assert (slow.close_code, slow.close_reason) == (3008, "slow")

    run(scenario())


def connect_command(key: str) -> bytes:
    return b'{"id":1,"connect":{"token":"%b"}}' % key.encode()


@pytest.fixture(scope="module")
def hasty(postgres: EmbeddedPostgres) -> Iterator[Realtimes]:
    """Give a replica that pings often."""
    with fresh_database(postgres) as url, in_a_thread(url, drain_s=0.0, ping_s=0.2, pong_s=0.15) as system:
        yield system


def test_native_pings_stand_in_for_those_of_the_protocol(hasty: Realtimes) -> None:
    with Peer(port_of(hasty)) as peer:
        peer.upgrade("/connection/websocket?cf_ws_frame_ping_pong=true")
        peer.send(frame(TEXT, connect_command(hasty.key)))
        assert b'"connect"' in peer.hear().payload
        for _ in range(4):
            ping = peer.hear()
            assert ping.opcode == PING
            peer.send(frame(PONG, ping.payload), frame(PONG))  # the second answers nothing
        (last, end) = peer.rest(answers=True)  # and now none is answered
        assert last.opcode == PING
        assert (end.opcode, end.code) == (CLOSE, 3012)


@pytest.mark.parametrize("says", ["in the query", "in a frame"])
def test_one_who_says_nothing_more_hears_bare_pushes(hasty: Realtimes, says: str) -> None:
    asked = orjson.dumps({"token": hasty.key})
    query = f"?cf_connect={quote(asked)}" if says == "in the query" else ""
    with Peer(port_of(hasty)) as peer:
        peer.upgrade("/connection/uni_websocket" + query)
        if not query:
            peer.send(frame(TEXT, asked))
        connected = orjson.loads(peer.hear().payload)["connect"]
        assert connected["client"]
        peer.send(frame(TEXT, b"is anybody there?"), frame(BINARY, b"\0"))  # nobody listens
        for _ in range(3):
            pings = [peer.hear(), peer.hear()]
            assert {one.opcode: one.payload for one in pings} == {TEXT: b"{}", PING: b""}
            peer.send(frame(PONG))
        heard = [one for one in peer.rest(answers=True) if one.opcode != TEXT]
        assert [one.opcode for one in heard] == [PING, CLOSE]
        assert heard[1].code == 3012


@pytest.mark.parametrize("asked", [b"", b"nonsense", b'{"id":', b"[]"])
def test_what_is_no_request_to_connect_ends_a_socket_without_commands(
    shared: Realtimes, asked: bytes
) -> None:
    with Peer(port_of(shared)) as peer:
        peer.upgrade("/connection/uni_websocket")
        peer.send(frame(TEXT, asked))
        end = peer.hear()
        assert (end.opcode, end.code) == (CLOSE, 3501)


@pytest.mark.parametrize("opcode", [PING, PONG])
def test_who_floods_its_socket_with_frames_keeps_nobody_waiting_for_long(
    shared: Realtimes, opcode: int
) -> None:
    with Peer(port_of(shared)) as flood, Peer(port_of(shared)) as other:
        flood.upgrade()
        other.upgrade()
        until, piece = time.monotonic() + 2, frame(opcode) * 10_000

        def write() -> None:
            while time.monotonic() < until:
                flood.send(piece)
            flood.send(close())

        writing = threading.Thread(target=write)
        reading = threading.Thread(target=lambda: deque(flood.rest(), 0))
        for thread in (writing, reading):
            thread.start()
        waits = []
        while time.monotonic() < until:
            began_s = time.monotonic()
            other.send(frame(PING, b"is anybody there?"))
            assert other.hear().payload == b"is anybody there?"
            waits.append(time.monotonic() - began_s)
        for thread in (writing, reading):
            thread.join()
        assert max(waits) < 1, max(waits)


def test_each_ping_is_answered_with_its_own_payload_also_before_a_close(shared: Realtimes) -> None:
    pings = [frame(PING, b"%d" % number) for number in range(5)]
    for last, code in ((close(1000), 1000), (frame(CONTINUATION), 1002)):
        with Peer(port_of(shared)) as peer:
            peer.upgrade()
            peer.send(b"".join([*pings, last]))
            *pongs, end = peer.rest()
            assert [(one.opcode, one.payload) for one in pongs] == [(PONG, b"%d" % n) for n in range(5)]
            assert (end.opcode, end.code) == (CLOSE, code)


def test_a_socket_does_not_keep_the_headers_of_its_request(shared: Realtimes) -> None:
    with Peer(port_of(shared)) as peer:
        peer.upgrade("/connection/websocket", Cookie="of a browser")
        peer.send(frame(TEXT, connect_command(shared.key)))
        assert b'"connect"' in peer.hear().payload
        held = [one for one in gc.get_objects() if type(one) is WSUpgradeRequest]
        assert held
        assert not any("Cookie" in getattr(one, "headers", ()) for one in held)


def test_protobuf_travels_in_binary_frames(shared: Realtimes) -> None:
    for query, offered in (("", "centrifuge-protobuf"), ("?format=protobuf", "")):
        with Peer(port_of(shared)) as peer:
            peer.upgrade("/connection/websocket" + query, Sec_WebSocket_Protocol=offered)
            asked = pb.Command(id=1, connect=pb.ConnectRequest(token=shared.key)).SerializeToString()
            peer.send(frame(BINARY, bytes((len(asked),)) + asked))
            answer = peer.hear()
            assert answer.opcode == BINARY
            reply = pb.Reply.FromString(answer.payload[1:])
            assert (reply.id, reply.connect.ping) == (1, 25)


def test_a_compressed_publication_is_made_once_for_all(database_url: str) -> None:
    payload = b'"%b"' % (b"news " * 1_000)
    with in_a_thread(database_url, drain_s=0.0, compression=True) as system, ExitStack() as stack:
        peers = [stack.enter_context(Peer(port_of(system))) for _ in range(4)]
        for peer in peers:
            peer.upgrade(Sec_WebSocket_Extensions="" if peer is peers[3] else "permessage-deflate")
            subscribe = b'{"id":2,"subscribe":{"channel":"news"}}'
            peer.send(frame(TEXT, connect_command(system.key) + b"\n" + subscribe))
            while b'"id":2' not in peer.hear().payload:
                pass
        publish = b'{"id":3,"publish":{"channel":"news","data":%b}}' % payload
        peers[0].send(frame(TEXT, publish))
        *frames, plain = [peer.hear() for peer in peers[1:]]
        assert frames[0] == frames[1]
        assert frames[0].first == 0xC1
        message = inflate(frames[0].payload, 10_000)
        assert message is not None
        assert (plain.first, plain.payload) == (0x81, message)
        assert payload in message
        assert len(frames[0].payload) < len(payload) / 10


def test_an_organization_opens_no_more_than_its_burst_and_another_is_not_concerned(database_url: str) -> None:
    async def scenario() -> None:
        limits = {"organization_connects_burst": 2, "organization_connects_per_s": 0.001}
        async with realtime_of(database_url, **limits) as system:
            other = await system.store.create_organization("other", "test")
            _, foreign = await system.store.create_key(other, "other", sorted(ALL))
            async with (
                Speaker(system.url, system.key),
                Speaker(system.url, system.key),
                Speaker(system.url) as third,
                Speaker(system.url, foreign),
            ):
                reply = await third.ask({"id": 1, "connect": {"token": system.key}})
                assert reply["error"] == {"code": 111, "message": "too many requests", "temporary": True}

    run(scenario())


def test_an_organization_holds_no_more_than_it_may_until_one_leaves(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url, organization_connections_max=1) as system:
            async with Speaker(system.url, system.key), Speaker(system.url) as second:
                reply = await second.ask({"id": 1, "connect": {"token": system.key}})
                assert reply["error"]["code"] == 111
            async with Speaker(system.url, system.key):
                assert system.server.sockets == 1

    run(scenario())


def test_the_code_3000_ends_the_connection_without_a_word(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system, Speaker(system.url, system.key) as client:
            order = encode_order(Disconnect(Who("", anybody=True), 3000))
            publish = Publish(("",), order, ephemeral=True, kind=ORDER)
            await system.owner.submit(Command(system.organization.organization_id, bytes(16), publish, 1_000))
            assert await client.closed() == (1006, "")

    run(scenario())

"""The Centrifuge protocol over a real socket, a real owner and a real database."""

import asyncio
import time

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from core.auth.scopes import ALL
from core.ids import encode
from tests.helpers.loop import run
from tests.helpers.organizations import make_organization
from tests.helpers.owners import publish
from tests.helpers.realtime import Speaker, realtime_of


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
            assert reply["publish"] == {"offset": 1, "epoch": subscribed["epoch"]}
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


def test_protobuf_is_refused_at_the_upgrade(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as system:
            for url, protocols in (
                (system.url, ["centrifuge-protobuf"]),
                (system.url + "?format=protobuf", None),
            ):
                with pytest.raises(InvalidStatus) as refused:
                    await connect(url, subprotocols=protocols)  # type: ignore[arg-type]
                assert refused.value.response.status_code == 400

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
            for _ in range(200):
                await system.owner.submit(publish(organization_id, "news", payload))
                await quick.publications(1)
            assert system.server.sockets == 1
            slow.transport.abort()

    run(scenario())

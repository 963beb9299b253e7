"""What commands are answered with that others know: publishes, history, presence."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import orjson
import pytest

from core.channels.namespace import ChannelRules, Options
from core.streams.command import Command
from core.streams.event import OPAQUE
from core.streams.outcome import Outcome, Refused, Unknown
from tests.helpers.loop import run
from tests.helpers.meeting import Meeting, kinds
from tests.helpers.memory_log import EPOCH, MemoryLog
from tests.helpers.replica import say, token_of, turns

BOTH = pytest.mark.parametrize("name", ["websocket_json", "websocket_protobuf"])
ANY_BYTES = Options(history="whole", allow_recovery=True)
RULES = ChannelRules(namespaces={"raw": ANY_BYTES, "fleeting": Options(ephemeral=True)})


class Refusing(MemoryLog):
    """A log whose owner has one answer to everything."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self._outcome = outcome

    def submit(self, _command: Command) -> Awaitable[Any]:
        settled: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        settled.set_result(self._outcome)
        return settled


# --- publish


@BOTH
def test_a_publish_is_answered_with_its_position_and_reaches_its_publisher_too(name: str) -> None:
    async def scenario() -> None:
        world = Meeting()
        client, socket = await world.connect(form=world.form(name), token=token_of("ann", info={"x": 1}))
        await world.ask(client, socket, subscribe={"channel": "a"})
        data: Any = {"n": 1} if socket.form.codec.is_json else b'{"n":1}'
        for number in (1, 2):
            reply = await world.ask(client, socket, publish={"channel": "a", "data": data})
            assert reply["publish"] == {"offset": number, "epoch": EPOCH, "seq": number}
        pushed = [push["pub"] for push in socket.pushes("pub")]
        info = {"x": 1} if socket.form.codec.is_json else b'{"x": 1}'
        about = {"user": "ann", "client": client.client_id, "conn_info": info}
        assert pushed == [{"data": data, "info": about, "offset": number} for number in (1, 2)]
        await world.close()

    run(scenario())


@BOTH
def test_a_repeat_with_the_same_key_gets_the_first_position_and_is_told_so(name: str) -> None:
    async def scenario() -> None:
        world = Meeting()
        client, socket = await world.connect(form=world.form(name))
        data: Any = 1 if socket.form.codec.is_json else b"1"
        ask = {"channel": "a", "data": data, "idempotency_key": "order-1"}
        first = (await world.ask(client, socket, publish=ask))["publish"]
        again = (await world.ask(client, socket, publish=ask))["publish"]
        assert first == {"offset": 1, "epoch": EPOCH, "seq": 1}
        assert again == {**first, "duplicate": True}
        assert len(world.log.log) == 1
        await world.close()

    run(scenario())


@BOTH
def test_who_wants_to_be_spared_its_own_is_and_others_hear_it(name: str) -> None:
    async def scenario() -> None:
        world = Meeting()
        sender, its_socket = await world.subscribed("a", form=world.form(name))
        _, other = await world.subscribed("a", form=world.form(name))
        data: Any = 1 if its_socket.form.codec.is_json else b"1"
        for spares in (True, False):
            ask = {"channel": "a", "data": data, "exclude_self": spares}
            assert "publish" in await world.ask(sender, its_socket, publish=ask)
        assert [push["pub"]["offset"] for push in its_socket.pushes("pub")] == [2]
        assert [push["pub"]["offset"] for push in other.pushes("pub")] == [1, 2]
        await world.close()

    run(scenario())


@BOTH
def test_in_an_ephemeral_namespace_nothing_is_stored_and_no_position_moves(name: str) -> None:
    async def scenario() -> None:
        world = Meeting(rules=RULES)
        client, socket = await world.connect(form=world.form(name))
        begun = await world.ask(client, socket, subscribe={"channel": "fleeting:a"})
        assert begun["subscribe"] == {"positioned": True, "epoch": EPOCH}
        data: Any = "typing" if socket.form.codec.is_json else b'"typing"'
        reply = await world.ask(client, socket, publish={"channel": "fleeting:a", "data": data})
        assert reply["publish"] == {}
        (pushed,) = socket.pushes("pub")
        about = {"client": client.client_id}
        if socket.form.codec.is_json:
            about["user"] = ""
        assert pushed["pub"] == {"data": data, "info": about}
        assert world.log.log == []
        reply = await world.ask(client, socket, history={"channel": "fleeting:a", "limit": 5})
        assert reply["error"]["code"] == 108
        await world.close()

    run(scenario())


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (Refused("rate_limited"), 111),
        (Refused("partition_moving"), 100),
        (Refused("capacity_reduced"), 111),
        (Unknown("nobody could tell"), 100),
        (Refused("of_a_newer_release"), 100),
    ],
)
def test_what_the_owner_refuses_or_does_not_know_is_an_error(outcome: Outcome, code: int) -> None:
    async def scenario() -> None:
        world = Meeting()
        world.replica.parts.writer = Refusing(outcome)
        client, socket = await world.connect()
        reply = await world.ask(client, socket, publish={"channel": "a", "data": 1})
        assert reply["error"]["code"] == code
        # What waited for the publish takes its turn all the same.
        assert "subscribe" in await world.ask(client, socket, subscribe={"channel": "a"})
        await world.close()

    run(scenario())


def test_what_follows_a_publish_of_its_channel_counts_it() -> None:
    async def scenario() -> None:
        world = Meeting()
        client, socket = await world.connect()
        publish, read = {"publish": {"channel": "a", "data": 1}}, {"history": {"channel": "a"}}
        for offset in (2, 4, 6):
            *_, number = say(client, publish, publish, read)
            await world.settle()
            assert socket.reply(number)["history"]["offset"] == offset
        await world.close()

    run(scenario())


def test_what_is_read_of_a_channel_shows_nothing_that_was_sent_after_it() -> None:
    async def scenario() -> None:
        world = Meeting()
        client, socket = await world.connect()
        asked = say(
            client,
            {"subscribe": {"channel": "loud:a"}},
            {"history": {"channel": "loud:a", "limit": 5}},
            {"publish": {"channel": "loud:a", "data": 1}},
            {"presence_stats": {"channel": "loud:a"}},
            {"unsubscribe": {"channel": "loud:a"}},
        )
        await world.settle()
        _, history, _, count, gone = (socket.reply(number) for number in asked)
        assert history["history"]["publications"] == []
        assert count["presence_stats"] == {"num_clients": 1, "num_users": 1}
        assert gone["unsubscribe"] == {}
        await world.close()

    run(scenario())


# --- payloads that are not JSON


def test_bytes_that_are_not_json_reach_who_reads_bytes_and_end_who_reads_json() -> None:
    async def scenario() -> None:
        world = Meeting(rules=RULES)
        binary, its_socket = await world.subscribed("raw:a", form=world.form("websocket_protobuf"))
        text, other = await world.subscribed("raw:a")
        _, elsewhere = await world.subscribed("raw:b")
        blob = b"\xff\x00\n{"
        reply = await world.ask(binary, its_socket, publish={"channel": "raw:a", "data": blob})
        assert reply["publish"]["offset"] == 1
        assert [push["pub"]["data"] for push in its_socket.pushes("pub")] == [blob]
        assert other.pushes("pub") == []
        assert (other.codes, other.reasons) == ([3506], ["inappropriate protocol"])
        assert (elsewhere.codes, text.connection.is_closed) == ([], True)
        assert world.log.log[0].flags == OPAQUE
        history = await world.ask(binary, its_socket, history={"channel": "raw:a", "limit": 5})
        assert [found["data"] for found in history["history"]["publications"]] == [blob]
        reader, socket = await world.connect()
        (number,) = say(reader, {"history": {"channel": "raw:a", "limit": 5}})
        await world.settle()
        assert socket.codes == [3506]
        assert not any(line.get("id") == number for line in socket.lines)
        await world.close()

    run(scenario())


def test_json_from_who_writes_bytes_is_json_for_everybody() -> None:
    async def scenario() -> None:
        world = Meeting(rules=RULES)
        binary, its_socket = await world.connect(form=world.form("websocket_protobuf"))
        _, other = await world.subscribed("raw:a")
        await world.ask(binary, its_socket, publish={"channel": "raw:a", "data": b'{"a":\r\n 1.0}'})
        assert [push["pub"]["data"] for push in other.pushes("pub")] == [{"a": 1.0}]
        assert other.codes == []
        await world.close()

    run(scenario())


def test_where_the_format_is_json_other_bytes_are_refused() -> None:
    async def scenario() -> None:
        world = Meeting()
        client, socket = await world.connect(form=world.form("websocket_protobuf"))
        for data in (b"\xff", b"", b"{"):
            reply = await world.ask(client, socket, publish={"channel": "a", "data": data})
            assert reply["error"]["code"] == 107
        assert world.log.log == []
        await world.close()

    run(scenario())


# --- history and presence


@BOTH
def test_history_is_never_in_patches_and_always_says_where_the_channel_stands(name: str) -> None:
    async def scenario() -> None:
        world = Meeting(page_bytes_max=10_000)
        for number in range(3):
            world.log.commit("loud:a", data=orjson.dumps({"n": number}))
        client, socket = await world.connect(form=world.form(name))
        await world.ask(client, socket, subscribe={"channel": "loud:a", "delta": "fossil"})
        page = (await world.ask(client, socket, history={"channel": "loud:a", "limit": 2}))["history"]
        found = [publication["data"] for publication in page["publications"]]
        assert found == ([{"n": 0}, {"n": 1}] if socket.form.codec.is_json else [b'{"n":0}', b'{"n":1}'])
        assert (page["offset"], page["epoch"]) == (3, EPOCH)
        empty = (await world.ask(client, socket, history={"channel": "loud:b", "limit": 2}))["history"]
        assert (empty.get("publications", []), empty.get("offset", 0)) == ([], 0)
        await world.close()

    run(scenario())


def test_who_does_not_read_is_sent_one_page_after_the_other_and_not_all_at_once() -> None:
    async def scenario() -> None:
        world = Meeting()
        world.log.commit("a")
        client, socket = await world.connect()
        socket.unsent_bytes = 10_000
        numbers = say(client, *({"history": {"channel": "a", "limit": 1}} for _ in range(3)))
        for _ in range(5):
            world.log.gate.open_all()
            await turns(5)
        assert kinds(socket) == ["connect"]
        socket.unsent_bytes = 0
        await world.settle()
        assert [line["id"] for line in socket.lines[1:]] == list(numbers)
        await world.close()

    run(scenario())


@BOTH
def test_presence_names_and_counts_who_is_there(name: str) -> None:
    async def scenario() -> None:
        world = Meeting()
        ann, _ = await world.subscribed("loud:a", token=token_of("ann", info={"x": 1}))
        await world.subscribed("loud:a", token=token_of("ann"))
        await world.subscribed("loud:a", token=token_of("bob"))
        client, socket = await world.connect(form=world.form(name))
        found = (await world.ask(client, socket, presence={"channel": "loud:a"}))["presence"]["presence"]
        info = {"x": 1} if socket.form.codec.is_json else b'{"x": 1}'
        assert found[ann.client_id] == {"user": "ann", "client": ann.client_id, "conn_info": info}
        assert len(found) == 3
        count = (await world.ask(client, socket, presence_stats={"channel": "loud:a"}))["presence_stats"]
        assert count == {"num_clients": 3, "num_users": 2}
        nobody = (await world.ask(client, socket, presence={"channel": "loud:b"}))["presence"]
        assert nobody.get("presence", {}) == {}
        off = await world.ask(client, socket, presence={"channel": "a"})
        assert off["error"]["code"] == 108
        await world.close()

    run(scenario())


def test_what_can_not_be_asked_now_is_an_error_that_passes() -> None:
    async def scenario() -> None:
        world = Meeting()
        client, socket = await world.connect()
        (number,) = say(client, {"history": {"channel": "a", "limit": 1}})
        await turns(5)
        world.log.gate.open(0, well=False)
        await turns(5)
        assert socket.reply(number)["error"] == {
            "code": 100,
            "message": "internal server error",
            "temporary": True,
        }
        await world.close()

    run(scenario())

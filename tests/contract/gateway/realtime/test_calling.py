"""What an organization's backend is asked about its clients, and that what it says is done."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from core.channels.namespace import ChannelRules, Options
from core.connections.orders import Refresh, Who
from core.instants import from_seconds
from gateway.realtime.client import Client
from gateway.realtime.opening import Opening
from gateway.realtime.participant import principal_of
from tests.helpers.backend import Scene, backend
from tests.helpers.loop import run
from tests.helpers.meeting import Meeting, kinds
from tests.helpers.recorder import Recorder
from tests.helpers.replica import OTHER_ORG, Store, say, token_of

ASKED = Options(subscribe_proxy=True, publish_proxy=True, history="whole", presence=True, join_leave=True)
RULES = ChannelRules(namespaces={"asked": ASKED})
OPENING = Opening("websocket", headers={"cookie": "session=1", "x-secret": "1"}, address="192.0.2.7")


class World(Meeting):
    """A replica whose organizations have a backend."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(backends=scene.backends, store=Store(RULES, client_insecure=False))
        self.scene = scene

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return once this is so: the backend answers when it likes."""
        deadline = time.monotonic() + 5
        while not condition():
            assert time.monotonic() < deadline
            await self.settle()
            await asyncio.sleep(0.001)

    async def come(self, **asked: Any) -> tuple[Client, Recorder]:
        """Make a client, and return when it is answered."""
        client, socket = self.replica.connect(opening=OPENING, **asked)
        await self.until(lambda: bool(socket.lines or socket.codes))
        return client, socket

    async def ask(self, client: Client, socket: Recorder, **command: Any) -> dict[str, Any]:
        (number,) = say(client, command)
        await self.until(lambda: any(line.get("id") == number for line in socket.lines) or bool(socket.codes))
        return next((line for line in socket.lines if line.get("id") == number), {})


@asynccontextmanager
async def world_of(*events: str, **options: Any) -> AsyncIterator[World]:
    async with backend(*events, **options) as scene:
        world = World(scene)
        try:
            yield world
        finally:
            await world.close()


# --- connect


def test_who_brings_no_credential_is_let_in_as_the_backend_says() -> None:
    async def scenario() -> None:
        async with world_of(http_headers=("Cookie",), emulated_headers=("X-Locale",)) as world:
            world.scene.answers["connect"] = {
                "result": {
                    "user": "ann",
                    "expire_at": 100,
                    "info": {"x": 1},
                    "data": {"hello": 1},
                    "channels": ["a"],
                    "meta": {"m": 1},
                }
            }
            asked = {"data": {"q": 1}, "name": "js", "version": "5", "subs": {"b": {}}}
            client, socket = await world.come(**asked, headers={"X-Locale": "de", "X-Other": "1"})
            ((event, body),) = world.scene.asked
            assert (event, body) == (
                "connect",
                {
                    "client": client.client_id,
                    "transport": "websocket",
                    "protocol": "json",
                    "encoding": "json",
                    "name": "js",
                    "version": "5",
                    "channels": ["b"],
                    "data": {"q": 1},
                },
            )
            headers = world.scene.headers[0]
            assert (headers["cookie"], headers["x-locale"]) == ("session=1", "de")
            assert {"x-secret", "x-other"} & set(headers) == set()
            reply = socket.lines[0]["connect"]
            assert (reply["data"], set(reply["subs"])) == ({"hello": 1}, {"a"})
            assert "expires" not in reply  # it is the backend that is asked again
            principal = principal_of(client)
            assert (principal.id, principal.info) == ("ann", b'{"x":1}')

    run(scenario())


@pytest.mark.parametrize(
    ("answer", "error", "ended"),
    [
        ({"error": {"code": 403, "message": "not today"}}, {"code": 403, "message": "not today"}, []),
        ({"error": {"code": 1_001, "message": "later", "temporary": True}}, {"code": 1_001}, []),
        ({"disconnect": {"code": 4_500, "reason": "go away"}}, None, [4_500]),
        ({}, None, [3_501]),
        (503, {"code": 100, "temporary": True}, []),
        ({"result": {"user": 7}}, {"code": 100, "temporary": True}, []),
    ],
)
def test_whom_the_backend_does_not_let_in_is_told_what_it_says(
    answer: Any, error: dict[str, Any] | None, ended: list[int]
) -> None:
    async def scenario() -> None:
        async with world_of("connect") as world:
            world.scene.answers["connect"] = answer
            client, socket = await world.come()
            assert socket.codes == ended
            if error is None:
                assert socket.lines == []
            else:
                assert socket.lines[0]["error"].items() >= error.items()
            client.lost()
            assert len(world.replica.clients) == 0

    run(scenario())


def test_who_brings_a_token_is_let_in_by_that_and_the_backend_is_not_asked() -> None:
    async def scenario() -> None:
        async with world_of("connect") as world:
            _, socket = await world.come(token=token_of("ann"))
            assert kinds(socket) == ["connect"]
            _, socket = await world.come(token=token_of("ann")[:-1])
            assert (socket.lines, socket.codes) == ([], [3_500])
            assert world.scene.asked == []

    run(scenario())


# --- whether it may stay


@asynccontextmanager
async def expiring() -> AsyncIterator[tuple[World, Client, Recorder]]:
    """Give a client that the backend let in until second 100, which is now."""
    async with world_of("connect", "refresh", include_meta=True) as world:
        result = {"user": "ann", "expire_at": 100, "meta": {"m": 1}}
        world.scene.answers["connect"] = {"result": result}
        client, socket = await world.come()
        world.replica.clock.seconds = 100
        client.tick()
        yield world, client, socket


def test_an_expired_connection_lives_on_if_the_backend_says_so() -> None:
    async def scenario() -> None:
        async with expiring() as (world, client, socket):
            world.scene.answers["refresh"] = {"result": {"expire_at": 200, "info": {"x": 2}}}
            await world.until(lambda: bool(world.scene.bodies("refresh")))
            body = world.scene.bodies("refresh")[0]
            assert (body["user"], body["meta"]) == ("ann", {"m": 1})
            await world.until(lambda: principal_of(client).info == b'{"x":2}')
            world.replica.clock.seconds = 199
            client.tick()
            assert len(world.scene.bodies("refresh")) == 1
            assert [line for line in socket.lines[1:] if line] == []  # nothing but pings is heard of it

    run(scenario())


def test_what_an_order_changes_while_the_backend_thinks_stays_as_it_is() -> None:
    async def scenario() -> None:
        async with expiring() as (world, client, _):

            def answer(_body: Any) -> Any:
                world.replica.order(Refresh(Who("ann"), expire_at_s=500, info=b'{"x":9}'))
                return {"result": {"expire_at": 200}}

            world.scene.answers["refresh"] = answer
            await world.until(lambda: principal_of(client).expires_at == from_seconds(200))
            assert principal_of(client).info == b'{"x":9}'

    run(scenario())


@pytest.mark.parametrize("answer", [{"result": {"expired": True}}, {"result": {}}, {}])
def test_an_expired_connection_ends_if_the_backend_wants_it_no_longer(answer: Any) -> None:
    async def scenario() -> None:
        async with expiring() as (world, _, socket):
            world.scene.answers["refresh"] = answer
            await world.until(lambda: bool(socket.codes))
            assert socket.codes == [3_005]

    run(scenario())


def test_while_the_backend_is_away_nobody_is_ended_for_that_and_it_is_asked_again() -> None:
    async def scenario() -> None:
        async with expiring() as (world, client, socket):
            world.scene.answers["refresh"] = 500
            for ends_s in (110, 121, 132):
                ends_at = from_seconds(ends_s)
                await world.until(lambda ends_at=ends_at: principal_of(client).expires_at == ends_at)
                world.replica.clock.seconds = ends_s + 1
                client.tick()
            await world.until(lambda: len(world.scene.bodies("refresh")) == 4)
            assert socket.codes == []

    run(scenario())


# --- subscribe


def test_the_backend_lets_subscribe_on_its_terms() -> None:
    async def scenario() -> None:
        async with world_of("subscribe") as world:
            override = {"force_push_join_leave": {"value": True}}
            result = {"info": {"seat": 7}, "data": {"d": 1}, "override": override, "expire_at": 50}
            world.scene.answers["subscribe"] = {"result": result}
            client, socket = await world.come(token=token_of("ann"))
            ask = {"channel": "asked:a", "data": {"q": 1}}
            reply = (await world.ask(client, socket, subscribe=ask))["subscribe"]
            (body,) = world.scene.bodies("subscribe")
            assert (body["user"], body["channel"], body["data"]) == ("ann", "asked:a", {"q": 1})
            assert reply["data"] == {"d": 1}
            assert "expires" not in reply
            (joined,) = socket.pushes("join")
            assert joined["join"]["info"]["chan_info"] == {"seat": 7}
            assert world.present(client) == ["asked:a"]
            world.replica.clock.seconds = 76
            client.tick()
            await world.settle()
            assert socket.pushes("unsubscribe")[0]["unsubscribe"]["code"] == 2_501

    run(scenario())


@pytest.mark.parametrize(
    ("answer", "code"), [({"error": {"code": 403, "message": "no"}}, 403), (500, 100), (404, 100)]
)
def test_whom_the_backend_does_not_let_subscribe_is_told_so_and_may_try_again(answer: Any, code: int) -> None:
    async def scenario() -> None:
        async with world_of("subscribe") as world:
            client, socket = await world.come(token=token_of("ann"))
            world.scene.answers["subscribe"] = answer
            reply = await world.ask(client, socket, subscribe={"channel": "asked:a"})
            assert reply["error"]["code"] == code
            assert world.present(client) == []
            world.scene.answers["subscribe"] = {"result": {}}
            assert "subscribe" in await world.ask(client, socket, subscribe={"channel": "asked:a"})

    run(scenario())


def test_the_backend_may_end_a_connection_over_what_it_asks_for() -> None:
    async def scenario() -> None:
        async with world_of("subscribe", "publish", "rpc") as world:
            commands: list[dict[str, Any]] = [
                {"subscribe": {"channel": "asked:a"}},
                {"publish": {"channel": "asked:a", "data": 1}},
                {"rpc": {"method": "m"}},
            ]
            for command in commands:
                world.scene.answers[next(iter(command))] = {"disconnect": {"code": 4_500, "reason": "enough"}}
                client, socket = await world.come(token=token_of("ann"))
                await world.ask(client, socket, **command)
                assert (socket.codes, socket.reasons) == ([4_500], ["enough"])
                assert kinds(socket) == ["connect"]

    run(scenario())


def test_where_a_token_or_nobody_decides_the_backend_is_not_asked() -> None:
    async def scenario() -> None:
        async with world_of("subscribe") as world:
            client, socket = await world.come(token=token_of("ann"))
            assert "subscribe" in await world.ask(client, socket, subscribe={"channel": "plain"})
            ask = {"channel": "asked:a", "token": token_of("ann", channel="asked:a")}
            assert "subscribe" in await world.ask(client, socket, subscribe=ask)
            assert world.scene.asked == []

    run(scenario())


# --- publish


def test_what_is_published_is_what_the_backend_makes_of_it() -> None:
    async def scenario() -> None:
        async with world_of("subscribe", "publish") as world:
            world.scene.answers["subscribe"] = {"result": {}}
            client, socket = await world.come(token=token_of("ann"))
            await world.ask(client, socket, subscribe={"channel": "asked:a"})
            world.scene.answers["publish"] = {"result": {"data": {"n": 2}, "tags": {"by": "backend"}}}
            ask = {"channel": "asked:a", "data": {"n": 1}}
            reply = (await world.ask(client, socket, publish=ask))["publish"]
            assert reply["offset"] == 1
            assert world.scene.bodies("publish")[0]["data"] == {"n": 1}
            (event,) = world.log.log
            assert (event.data, event.tags) == (b'{"n":2}', {"by": "backend"})
            world.scene.answers["publish"] = {"result": {"skip_history": True}}
            assert (await world.ask(client, socket, publish=ask))["publish"] == {}
            assert len(world.log.log) == 1
            pushed = [push["pub"] for push in socket.pushes("pub")]
            assert [publication["data"] for publication in pushed] == [{"n": 2}, {"n": 1}]
            assert "offset" not in pushed[1]
            for key in ("k", "\0 ž" * 300):
                world.scene.answers["publish"] = {"result": {"idempotency_key": key}}
                first = (await world.ask(client, socket, publish=ask))["publish"]
                again = (await world.ask(client, socket, publish=ask))["publish"]
                assert again == {**first, "duplicate": True}
            # Whatever a backend names, the log keeps it like any other, and apart from those of clients.
            assert all(
                len(known) < 100 and known.startswith(" ") and known.isascii() for known in world.log.keys
            )

    run(scenario())


def test_what_the_backend_refuses_is_not_published_and_what_waited_goes_on() -> None:
    async def scenario() -> None:
        async with world_of("publish") as world:

            def answer(body: dict[str, Any]) -> dict[str, Any]:
                refused = {"error": {"code": 405, "message": "no"}}
                return refused if body["data"] == "bad" else {"result": {}}

            world.scene.answers["publish"] = answer
            client, socket = await world.come(token=token_of("ann"))
            datas = ["one", "bad", "two", "bad", "three"]
            numbers = say(client, *({"publish": {"channel": "asked:a", "data": data}} for data in datas))
            await world.until(lambda: len(socket.lines) == 6)
            assert [line["id"] for line in socket.lines[1:]] == list(numbers)
            assert ["error" in socket.reply(number) for number in numbers] == [
                False,
                True,
                False,
                True,
                False,
            ]
            assert [event.data for event in world.log.log] == [b'"one"', b'"two"', b'"three"']

    run(scenario())


# --- rpc and messages


def test_a_call_is_answered_with_what_the_backend_says_whatever_the_encoding() -> None:
    async def scenario() -> None:
        async with world_of("rpc") as world:
            world.scene.answers["rpc"] = {"result": {"data": {"price": 1}}}
            for name, data, answer in (
                ("websocket_json", {"id": 12}, {"price": 1}),
                ("websocket_protobuf", b'{"id":12}', b'{"price":1}'),
            ):
                client, socket = await world.come(form=world.form(name), token=token_of("ann"))
                reply = await world.ask(client, socket, rpc={"method": "price", "data": data})
                assert reply["rpc"] == {"data": answer}
            bodies = world.scene.bodies("rpc")
            assert [body["protocol"] for body in bodies] == ["json", "protobuf"]
            assert {(body["method"], body["data"]["id"], body["user"]) for body in bodies} == {
                ("price", 12, "ann")
            }
            world.scene.answers["rpc"] = {"error": {"code": 404, "message": "no such thing"}}
            reply = await world.ask(client, socket, rpc={"method": "price"})
            assert reply["error"] == {"code": 404, "message": "no such thing"}
            world.scene.answers["rpc"] = 500
            assert (await world.ask(client, socket, rpc={"method": "price"}))["error"]["code"] == 100

    run(scenario())


def test_without_a_backend_for_it_a_call_is_not_available_and_a_message_ends_the_connection() -> None:
    async def scenario() -> None:
        async with world_of("connect") as world:
            client, socket = await world.come(token=token_of("ann"))
            assert (await world.ask(client, socket, rpc={"method": "m"}))["error"]["code"] == 108
            client.receive(b'{"send":{"data":1}}')
            await world.until(lambda: bool(socket.codes))
            assert (socket.codes, socket.reasons) == ([3_508], ["not available"])

    run(scenario())


@pytest.mark.parametrize("answer", [{}, {"result": {}}, 500])
def test_a_message_is_passed_on_and_never_answered(answer: Any) -> None:
    async def scenario() -> None:
        async with world_of("message") as world:
            world.scene.answers["message"] = answer
            client, socket = await world.come(token=token_of("ann"))
            for number in range(3):
                client.receive(b'{"send":{"data":%d}}' % number)
            await world.until(lambda: len(world.scene.bodies("message")) == 3)
            assert sorted(body["data"] for body in world.scene.bodies("message")) == [0, 1, 2]
            assert "history" in await world.ask(client, socket, history={"channel": "a"})
            assert kinds(socket) == ["connect", "history"]

    run(scenario())


def test_what_is_sent_without_an_answer_is_counted_among_what_a_client_may_have_under_way() -> None:
    async def scenario() -> None:
        async with world_of("message") as world:
            world.scene.answers["message"] = {}
            client, socket = await world.come(token=token_of("ann"))
            messages = b"\n".join([b'{"send":{"data":1}}'] * 1_000)
            client.receive(messages)
            assert socket.is_paused
            await world.until(lambda: not socket.is_paused)
            assert socket.codes == []

    run(scenario())


def test_each_organization_asks_its_own_backend() -> None:
    async def scenario() -> None:
        asked: list[bytes] = []
        async with world_of("rpc") as world:
            call = world.scene.backends.call

            async def noting(organization_id: bytes, event: Any) -> Any:
                asked.append(organization_id)
                return await call(organization_id, event)

            world.scene.backends.call = noting  # type: ignore[method-assign]
            world.scene.answers["rpc"] = {"result": {}}
            client, socket = await world.come(token=token_of("ann", OTHER_ORG))
            await world.ask(client, socket, rpc={"method": "m"})
            assert asked == [OTHER_ORG]

    run(scenario())

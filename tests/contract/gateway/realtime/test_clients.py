"""Orders about connections: carried out on those that fit, of the one organization, and on no others."""

from typing import Any

import msgspec
import pytest

from core.channels.namespace import ChannelRules, ClientOptions
from core.connections.orders import Disconnect, Order, Refresh, Revoke, Subscribe, Unsubscribe, Who
from core.streams.event import ClientInfo, EphemeralPublication
from gateway.realtime.client import Client
from gateway.realtime.opening import Opening
from tests.helpers.loop import run
from tests.helpers.meeting import LOUD, RULES, Meeting, kinds
from tests.helpers.memory_log import EPOCH, ORG, Gate
from tests.helpers.recorder import Recorder
from tests.helpers.replica import OTHER_ORG, Store, say, token_of, turns

LATER_S = 1_000


class World(Meeting):
    """Ann twice, Bob, and another organization's Ann, each in the channel `a`."""

    def __init__(self) -> None:
        super().__init__(store=Store(RULES, client_insecure=False))
        self.here: dict[str, tuple[Client, Recorder]] = {}
        self.heard: dict[str, int] = {}

    async def open(self, **claims: Any) -> None:
        claims |= {"exp": LATER_S}
        await self.add("ann", token_of("ann", iat=100, jti="one", **claims))
        emulated = Opening("http_stream", has_session=True, has_close_frame=False)
        await self.add("ann by sessions", token_of("ann", iat=200, jti="two", **claims), emulated)
        await self.add("bob", token_of("bob", iat=100, **claims))
        await self.add("stranger", token_of("ann", OTHER_ORG, iat=100, jti="one", **claims))
        self.heard = {name: len(socket.lines) for name, (_, socket) in self.here.items()}

    async def add(self, name: str, token: str, opening: Opening | None = None) -> None:
        self.here[name] = await self.connect(token=token, opening=opening)
        say(self.here[name][0], {"subscribe": {"channel": "a"}})
        await self.settle()

    def client(self, name: str) -> Client:
        return self.here[name][0]

    async def order(self, order: Order) -> None:
        """Let our organization's order come."""
        self.replica.order(order)
        await self.settle()

    def told(self) -> dict[str, list[str]]:
        """Return what those heard who heard anything."""
        found = {name: kinds(socket, self.heard[name]) for name, (_, socket) in self.here.items()}
        return {name: heard for name, heard in found.items() if heard}

    def ended(self) -> dict[str, list[tuple[int, str]]]:
        """Return who was ended, and with what."""
        sockets = {name: socket for name, (_, socket) in self.here.items()}
        return {
            name: list(zip(socket.codes, socket.reasons, strict=True))
            for name, socket in sockets.items()
            if socket.codes
        }


BOTH = {"ann", "ann by sessions"}
# Names of clients stand for their ids and sessions.
WHOM: list[tuple[Who, set[str]]] = [
    (Who("ann"), BOTH),
    (Who("bob"), {"bob"}),
    (Who(""), set()),
    (Who("nobody"), set()),
    (Who("ann", client="ann"), {"ann"}),
    (Who("bob", client="ann"), set()),
    (Who("ann", client="stranger"), set()),
    (Who("", client="stranger", anybody=True), set()),
    (Who("", client="bob", anybody=True), {"bob"}),
    (Who("", client="unknown", anybody=True), set()),
    (Who("ann", session="ann by sessions"), {"ann by sessions"}),
    (Who("ann", session="unknown"), set()),
    (Who("ann", spared=frozenset({"ann"})), {"ann by sessions"}),
    (Who("", anybody=True), BOTH | {"bob"}),
]


@pytest.mark.parametrize(("who", "fit"), WHOM)
def test_only_those_who_fit_are_meant_and_never_those_of_another_organization(
    who: Who, fit: set[str]
) -> None:
    async def scenario() -> None:
        world = World()
        await world.open()
        ids = {name: client.client_id for name, (client, _) in world.here.items()}
        sessions = {name: client.session for name, (client, _) in world.here.items()}
        meant = msgspec.structs.replace(
            who,
            client=ids.get(who.client, who.client),
            session=sessions.get(who.session, who.session),
            spared=frozenset(ids[name] for name in who.spared),
        )
        await world.order(Unsubscribe(meant, "a", 2000))
        assert world.told() == {name: ["unsubscribe"] for name in fit}
        await world.order(Refresh(meant, expire_at_s=2 * LATER_S))
        assert world.told() == {name: ["unsubscribe", "refresh"] for name in fit}
        await world.order(Subscribe(meant, "a"))
        assert world.told() == {name: ["unsubscribe", "refresh", "subscribe"] for name in fit}
        await world.order(Disconnect(meant, 3503))
        assert world.ended() == {name: [(3503, "force disconnect")] for name in fit}
        world.log.publish("a")
        await world.settle()
        assert {name for name, heard in world.told().items() if heard[-1] == "pub"} == set(world.here) - fit
        await world.close()

    run(scenario())


def test_an_order_about_one_looks_at_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def means(who: Who, user: str, client: str, session: str) -> bool:
        asked.append(client)
        return original(who, user, client, session)

    original = Who.means
    monkeypatch.setattr(Who, "means", means)

    async def scenario() -> None:
        world = World()
        await world.open()
        bob, ann = world.client("bob"), world.client("ann by sessions")
        for who, meant in (
            (Who("bob"), bob),
            (Who("bob", bob.client_id), bob),
            (Who("ann", "", ann.session), ann),
        ):
            await world.order(Unsubscribe(who, "a", 2000))
            assert asked == [meant.client_id]
            asked.clear()
        await world.order(Disconnect(Who("nobody"), 3503))
        assert asked == []
        await world.close()

    run(scenario())


@pytest.mark.parametrize(
    ("code", "reason", "ended"),
    [
        (3503, "", (3503, "force disconnect")),
        (4321, "because", (4321, "because")),
        (4999, "", (4999, "disconnected")),
        (3000, "never said", (3000, "never said")),  # the transport ends without a word
        (3501, "go away", (3501, "go away")),
    ],
)
def test_a_connection_is_ended_with_the_code_and_the_reason_of_the_order(
    code: int, reason: str, ended: tuple[int, str]
) -> None:
    async def scenario() -> None:
        world = World()
        await world.open()
        await world.order(Disconnect(Who("bob"), code, reason))
        assert world.ended() == {"bob": [ended]}
        await world.close()

    run(scenario())


@pytest.mark.parametrize(("code", "pushed"), [(3503, ["disconnect"]), (3000, [])])
def test_where_there_is_no_close_frame_a_push_says_it_before_but_never_3000(
    code: int, pushed: list[str]
) -> None:
    async def scenario() -> None:
        world = World()
        await world.open()
        await world.order(Disconnect(Who("ann"), code))
        assert world.told() == ({"ann by sessions": pushed} if pushed else {})
        assert set(world.ended()) == BOTH
        await world.close()

    run(scenario())


def test_all_subscriptions_end_where_no_channel_is_named() -> None:
    async def scenario() -> None:
        world = World()
        await world.open(channels=["b"])
        await world.order(Unsubscribe(Who("bob"), "", 2500))
        socket = world.here["bob"][1]
        ended = {push["channel"]: push["unsubscribe"] for push in socket.pushes("unsubscribe")}
        code = {"code": 2500, "reason": "insufficient state"}
        assert ended == {"a": code, "b": code}
        world.log.publish("a", "b")
        await world.settle()
        assert world.told()["bob"] == ["unsubscribe"] * 2
        await world.order(Unsubscribe(Who("bob"), "a", 2000))  # there is nothing left to end
        assert world.told()["bob"] == ["unsubscribe"] * 2
        await world.close()

    run(scenario())


def test_a_subscription_is_added_once_and_recovers_if_the_order_says_from_where() -> None:
    async def scenario() -> None:
        world = World()
        for _ in range(3):
            world.log.commit("b")
        await world.open()
        await world.order(Subscribe(Who("bob"), "b", since_offset=1, since_epoch=EPOCH))
        await world.order(Subscribe(Who("bob"), "b", since_offset=0, since_epoch=EPOCH))
        await world.order(Subscribe(Who("bob"), "a", since_offset=0))
        assert world.told() == {"bob": ["subscribe", "pub", "pub"]}
        await world.close()

    run(scenario())


def test_a_subscription_that_an_order_adds_may_have_terms_of_its_own() -> None:
    async def scenario() -> None:
        world = World()
        await world.open()
        override = (
            b'{"presence":{"value":true},"join_leave":{"value":true},"force_push_join_leave":{"value":true}}'
        )
        order = Subscribe(Who("bob"), "b", info=b'{"seat":7}', override=override, expire_at_s=500)
        await world.order(order)
        client, socket = world.here["bob"]
        assert world.present(client) == ["b"]
        (joined,) = socket.pushes("join")
        assert joined["join"]["info"]["chan_info"] == {"seat": 7}
        world.replica.clock.seconds = 526
        client.tick()
        assert socket.codes == [3006]  # server-side: it takes the connection along
        await world.close()

    run(scenario())


def test_a_connection_gets_another_expiry_or_ends_as_expired() -> None:
    async def scenario() -> None:
        world = World()
        await world.open()
        await world.order(Refresh(Who("bob"), expire_at_s=LATER_S + 500, info=b'{"x":2}'))
        client, socket = world.here["bob"]
        assert socket.lines[-1] == {"push": {"refresh": {"expires": True, "ttl": LATER_S + 500}}}
        assert client.connection.asking is not None
        assert client.connection.asking.principal.info == b'{"x":2}'
        world.replica.clock.seconds = LATER_S + 100
        for one, _ in world.here.values():
            one.tick()
        assert set(world.ended()) == {"ann", "ann by sessions", "stranger"}
        await world.order(Refresh(Who("bob")))
        assert socket.lines[-1] == {"push": {"refresh": {}}}
        await world.order(Refresh(Who("bob"), expired=True))
        assert world.ended()["bob"] == [(3005, "connection expired")]
        await world.close()

    run(scenario())


@pytest.mark.parametrize("by", ["an order", "a token"])
def test_an_end_that_has_come_nearer_is_not_overslept(by: str) -> None:
    async def scenario() -> None:
        world = Meeting(store=Store(RULES, client_insecure=False), expiry_grace_s=1.0)
        client, socket = await world.connect(token=token_of("bob", exp=LATER_S))
        if by == "an order":
            world.replica.order(Refresh(Who("bob"), expire_at_s=2))
        else:
            say(client, {"refresh": {"token": token_of("bob", exp=2)}})
        await world.settle()
        world.replica.clock.seconds = 4
        world.replica.parts.wheel.advance()
        assert socket.codes == [3005]
        await world.close()

    run(scenario())


def test_an_expiry_that_has_passed_ends_the_connection() -> None:
    async def scenario() -> None:
        world = World()
        await world.open()
        world.replica.clock.seconds = 500
        await world.order(Refresh(Who("bob"), expire_at_s=499))
        assert world.ended() == {"bob": [(3005, "connection expired")]}
        await world.close()

    run(scenario())


@pytest.mark.parametrize(
    ("order", "ended"),
    [
        (Revoke(Who("ann"), 100), {"ann"}),
        (Revoke(Who("ann"), 99.9), set()),
        (Revoke(Who("ann"), 300), {"ann", "ann by sessions"}),
        (Revoke(Who("ann"), 300, "one"), {"ann"}),
        (Revoke(Who("ann"), 300, "unknown"), set()),
        (Revoke(Who("bob"), 300, "one"), set()),
    ],
)
def test_a_token_taken_back_ends_its_connections(order: Revoke, ended: set[str]) -> None:
    async def scenario() -> None:
        world = World()
        await world.open()
        await world.order(order)
        assert world.ended() == {name: [(3500, "invalid token")] for name in ended}
        await world.close()

    run(scenario())


@pytest.mark.parametrize("data", [b"", b"\xff", b"\x91\xa7unknown", b"[1]"])
def test_an_order_that_nobody_here_can_read_does_nothing(data: bytes) -> None:
    async def scenario() -> None:
        world = World()
        await world.open()
        (feed, _) = world.replica.hub.feeds
        feed.on_ephemeral(EphemeralPublication(ORG, "", data, kind="order"))
        await world.settle()
        assert (world.told(), world.ended()) == ({}, {})
        await world.close()

    run(scenario())


def test_of_a_log_that_broke_nothing_is_written_and_those_who_must_know_are_told_a_few_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.realtime.clients.TOGETHER", 2)

    async def scenario() -> None:
        world = Meeting()
        here = [await world.subscribed("a", "b") for _ in range(5)]
        world.log.epoch = "epochtwo"
        world.log.announce(len(world.log.log))
        said = [len(socket.lines) for _, socket in here]
        for told in (2, 4, 5):
            world.log.publish("a")
            await turns(5)
            heard = [kinds(socket, count)[:2] for (_, socket), count in zip(here, said, strict=True)]
            assert all(kind == ["unsubscribe"] * 2 for kind in heard[:told]), heard
            assert heard[told:] == [[]] * (5 - told)
            world.replica.clock.gate.open_all()
        client, socket = here[4]
        say(client, {"subscribe": {"channel": "a"}})
        await world.settle()
        world.log.publish("a")
        await world.settle()
        assert kinds(socket, said[4])[2:] == ["subscribe", "pub"]
        await world.close()

    run(scenario())


def test_who_left_or_came_back_before_it_is_told_of_the_break_is_told_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.realtime.clients.TOGETHER", 1)

    async def scenario() -> None:
        world = Meeting()
        here = [await world.subscribed("a") for _ in range(3)]
        world.log.epoch = "epochtwo"
        world.log.announce(len(world.log.log))
        (_, first), (client, socket), (gone, its_socket) = here
        say(client, {"unsubscribe": {"channel": "a"}}, {"subscribe": {"channel": "a"}})
        gone.lost()
        await world.settle()
        for _ in range(3):
            world.replica.clock.gate.open_all()
            await world.settle()
        assert first.pushes("unsubscribe")
        assert [socket.pushes("unsubscribe"), its_socket.pushes("unsubscribe")] == [[], []]
        world.log.publish("a")
        await world.settle()
        assert socket.pushes("pub")
        await world.close()

    run(scenario())


def test_clients_are_found_by_id_and_session_as_long_as_they_are_connected() -> None:
    async def scenario() -> None:
        world = World()
        await world.open()
        clients, (client, _) = world.replica.clients, world.here["ann by sessions"]
        assert clients.find(client.client_id) is clients.of_session(client.session) is client
        assert clients.of_session("") is None
        assert len(clients) == len(clients.all()) == 4
        (feed, other) = world.replica.hub.feeds
        assert (len(clients.of_feed(feed)), len(clients.of_feed(other))) == (3, 1)
        client.lost()
        assert clients.find(client.client_id) is clients.of_session(client.session) is None
        assert len(clients) == 3
        await world.close()

    run(scenario())


def test_who_is_present_is_told_with_what_others_see_of_it() -> None:
    async def scenario() -> None:
        world = Meeting()
        token = token_of("ann", info={"x": 1})
        client, _ = await world.subscribed("loud:a", "shy:b", "plain", token=token)
        await world.connect()
        members = list(world.replica.clients.members())
        assert {member.channel for member in members} == {"loud:a", "shy:b"}
        assert {member.organization_id for member in members} == {ORG}
        assert {(member.info.user, member.info.client) for member in members} == {("ann", client.client_id)}
        client.lost()
        assert list(world.replica.clients.members()) == []
        await world.close()

    run(scenario())


COUNTED = ChannelRules(namespaces={"loud": LOUD}, clients=ClientOptions(connections_per_user_max=2))


def test_who_is_counted_is_told_before_it_is_let_in() -> None:
    async def scenario() -> None:
        world = Meeting(rules=COUNTED)
        world.replica.roster.gate = Gate()
        client, _ = await world.connect(token=token_of("ann"))
        assert not client.connection.is_connected
        (member,) = world.replica.clients.members()
        assert (member.channel, member.info) == (client.counted, ClientInfo("ann", client.client_id))
        await world.close()

    run(scenario())


def test_who_is_refused_while_the_present_are_told_is_none_of_them_any_more() -> None:
    async def scenario() -> None:
        world = Meeting()
        client, socket = await world.connect(token=token_of("ann", channels=["loud:a", "loud:b"]))
        members = world.replica.clients.members()
        assert next(members).channel == "loud:a"
        await turns(5)
        assert world.log.gate.open(0, well=False)
        await world.settle()
        assert "error" in socket.lines[0]
        assert list(members) == []
        assert not client.connection.is_connected
        await world.close()

    run(scenario())

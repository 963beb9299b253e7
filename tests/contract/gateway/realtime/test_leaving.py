"""The end of a subscription: everybody knows of it before the reply, once, however it ends."""

from collections.abc import Awaitable, Callable

import pytest

from core.connections.orders import Unsubscribe, Who
from core.streams.event import Event
from gateway.realtime.client import Client
from tests.helpers.loop import run
from tests.helpers.meeting import Meeting, clients_of, kinds
from tests.helpers.memory_log import Gate
from tests.helpers.recorder import Recorder
from tests.helpers.replica import say, token_of, turns

End = Callable[[Meeting, Client, Recorder], Awaitable[None]]


async def by_unsubscribing(world: Meeting, client: Client, socket: Recorder) -> None:
    assert await world.ask(client, socket, unsubscribe={"channel": "loud:a"})


async def by_a_lost_transport(world: Meeting, client: Client, _: Recorder) -> None:
    client.lost()
    await world.settle()


async def by_a_violation(world: Meeting, client: Client, _: Recorder) -> None:
    client.receive(b"no protocol at all")
    client.lost()
    await world.settle()


async def by_our_end(world: Meeting, client: Client, _: Recorder) -> None:
    client.end(3001)
    await world.settle()
    client.lost()


async def by_an_order(world: Meeting, client: Client, _: Recorder) -> None:
    world.replica.order(Unsubscribe(Who(client.user), "loud:a", 2000))
    await world.settle()


async def by_a_hole(world: Meeting, client: Client, _: Recorder) -> None:
    assert client.feed is not None
    client.insufficient(client.feed, "loud:a")
    await world.settle()


ENDS = [by_unsubscribing, by_a_lost_transport, by_a_violation, by_our_end, by_an_order, by_a_hole]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
def test_others_hear_of_one_join_and_one_leave_and_itself_of_no_leave(end: End) -> None:
    async def scenario() -> None:
        world = Meeting()
        _, other = await world.listener()
        heard = len(other.lines)
        client, socket = await world.subscribed("loud:a", token=token_of("ann", info={"x": 1}))
        assert world.present(client) == ["loud:a"]
        await end(world, client, socket)
        assert kinds(other, heard) == ["join", "leave"]
        assert clients_of(other, "leave") == [client.client_id]
        assert other.pushes("leave")[0]["leave"]["info"]["conn_info"] == {"x": 1}
        assert socket.pushes("leave") == []
        assert world.present(client) == []
        client.lost()
        await world.settle()
        assert kinds(other, heard) == ["join", "leave"]
        await world.close()

    run(scenario())


def test_presence_is_removed_and_acknowledged_before_the_unsubscribe_is_answered() -> None:
    async def scenario() -> None:
        world = Meeting()
        _, other = await world.listener()
        client, socket = await world.subscribed("loud:a")
        gate = world.replica.roster.gate = Gate()
        (number,) = say(client, {"unsubscribe": {"channel": "loud:a"}})
        await turns(10)
        assert world.present(client) == []
        assert socket.lines[-1].get("id") != number
        assert other.pushes("leave") == []
        gate.open_all()
        await world.settle()
        assert socket.reply(number) == {"id": number, "unsubscribe": {}}
        assert clients_of(other, "leave") == [client.client_id]
        await world.close()

    run(scenario())


def test_who_comes_and_goes_quickly_joins_and_leaves_in_turns() -> None:
    async def scenario() -> None:
        world = Meeting()
        _, other = await world.listener()
        heard = len(other.lines)
        client, socket = await world.connect()
        pair = {"subscribe": {"channel": "loud:a"}}, {"unsubscribe": {"channel": "loud:a"}}
        asked = say(client, *pair * 3, pair[0])
        await world.settle()
        assert [line["id"] for line in socket.lines[1:] if "id" in line] == list(asked)
        assert not any("error" in line for line in socket.lines)
        assert kinds(other, heard) == ["join", "leave"] * 3 + ["join"]
        assert world.present(client) == ["loud:a"]
        await world.close()

    run(scenario())


def test_who_has_unsubscribed_gets_nothing_more_of_it() -> None:
    async def scenario() -> None:
        world = Meeting()
        _, other = await world.listener()
        client, socket = await world.subscribed("loud:a", "b")
        (number,) = say(client, {"unsubscribe": {"channel": "loud:a"}})
        world.log.publish("loud:a", "b")
        await world.settle()
        assert [push["channel"] for push in socket.pushes("pub")] == ["b"]
        assert socket.reply(number)["unsubscribe"] == {}
        assert len(other.pushes("pub")) == 1
        client.lost()
        await world.settle()
        (feed,) = world.replica.hub.feeds
        assert set(feed.channels) == {"loud:a"}  # nothing is kept where nobody is
        await world.close()

    run(scenario())


def test_to_leave_what_it_is_not_in_is_no_error_and_nobody_hears_of_it() -> None:
    async def scenario() -> None:
        world = Meeting()
        _, other = await world.listener()
        heard = len(other.lines)
        client, socket = await world.connect()
        assert (await world.ask(client, socket, unsubscribe={"channel": "loud:a"}))["unsubscribe"] == {}
        client.lost()
        await world.settle()
        assert len(other.lines) == heard
        await world.close()

    run(scenario())


def test_a_hole_in_a_channel_ends_it_for_those_who_asked_for_it_and_the_connection_for_the_others() -> None:
    async def scenario() -> None:
        world = Meeting()
        asked, its_socket = await world.subscribed("loud:a")
        _, socket = await world.connect(token=token_of("ann", channels=["loud:a"]))
        world.log.publish("loud:a")
        await world.settle()
        (feed,) = world.replica.hub.feeds
        broken = Event(9, bytes(16), world.log.log[0].type, 0, b"1", (("loud:a", 7),))
        assert not feed.channel("loud:a").dispatch(7, broken)
        world.replica.clients.broken(feed)
        await world.settle()
        (ended,) = its_socket.pushes("unsubscribe")
        assert ended == {
            "channel": "loud:a",
            "unsubscribe": {"code": 2500, "reason": "insufficient state"},
        }
        assert (its_socket.codes, socket.codes) == ([], [3010])
        assert asked.connection.is_connected
        await world.close()

    run(scenario())


@pytest.mark.parametrize("when", ["live", "catching up"])
def test_a_connection_that_a_hole_ends_leaves_nothing_behind(when: str) -> None:
    async def scenario() -> None:
        world = Meeting()
        _, other = await world.listener()
        client, socket = await world.connect(token=token_of("ann", channels=["loud:a", "loud:b"]))
        await world.settle()
        assert world.present(client) == ["loud:a", "loud:b"]
        (feed,) = world.replica.hub.feeds
        if when == "live":
            world.replica.clients.broken(feed)
        else:
            client.insufficient(feed, "loud:a")  # nobody is silenced: the others are live and hear of it
        client.lost()
        await world.settle()
        assert socket.codes == [3010]
        assert world.present(client) == []
        assert not any(channel.has(client) for channel in feed.channels.values())
        if when == "catching up":
            assert clients_of(other, "leave") == [client.client_id]
        await world.close()

    run(scenario())

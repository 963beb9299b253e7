"""Who is let in, and what becomes of those who are not."""

from dataclasses import replace

import msgspec
import pytest

from core.auth.principal import Organization
from core.channels.namespace import ChannelRules, ClientOptions
from core.connections.orders import Disconnect, Who
from core.errors import Code, TidingsError
from gateway.auth import LOOK_S
from gateway.realtime.client import Client
from gateway.realtime.standing import Standing
from tests.helpers.loop import run
from tests.helpers.meeting import Meeting
from tests.helpers.memory_log import ORG, Gate, MemoryLog
from tests.helpers.realtime import Speaker, realtime_of
from tests.helpers.recorder import Recorder
from tests.helpers.replica import MemoryReplica, say, token_of, turns


def test_where_tokens_must_name_a_user_one_without_ends_the_connection(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as realtimes:
            await realtimes.options(anonymous=True)
            await realtimes.rules.change_organization(
                realtimes.organization.organization_id,
                lambda stored: msgspec.structs.replace(stored.options, disallow_anonymous_tokens=True),
            )
            async with Speaker(realtimes.url) as nameless:
                await nameless.say({"id": 1, "connect": {"token": realtimes.token("")}})
                assert await nameless.closed() == (3507, "permission denied")
            async with Speaker(realtimes.url, realtimes.token("ann")), Speaker(realtimes.url) as without:
                assert "connect" in await without.ask({"id": 1, "connect": {}})

    run(scenario())


def test_a_key_that_was_taken_back_lets_nobody_in_again(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as realtimes:
            organization = realtimes.organization
            api_key_id, key = await realtimes.store.create_key(organization, "another", ["channels:read"])
            async with Speaker(realtimes.url, key) as speaker:
                assert await realtimes.store.revoke_key(organization.organization_id, api_key_id)
                assert await speaker.closed() == (3500, "invalid token")
            for _ in range(2):
                async with Speaker(realtimes.url) as again:
                    await again.say({"id": 1, "connect": {"token": key}})
                    assert await again.closed() == (3500, "invalid token")

    run(scenario())


def test_who_is_let_in_hears_every_order_that_is_given_afterwards() -> None:
    # The reply came first: an order for the first client of an organization here was acknowledged and lost.
    async def scenario() -> None:
        log = MemoryLog(greets=False)
        replica = MemoryReplica(log)
        client, socket = replica.connect()
        await turns(5)
        assert (socket.lines, client.connection.is_connected) == ([], False)
        log.announce(0)
        await turns(5)
        assert "connect" in socket.lines[0]
        replica.order(Disconnect(Who("", client=client.client_id), 3503, "go"))
        assert socket.codes == [3503]

    run(scenario())


def test_who_leaves_while_it_waits_to_be_let_in_leaves_nothing() -> None:
    async def scenario() -> None:
        log = MemoryLog(greets=False)
        replica = MemoryReplica(log)
        client, socket = replica.connect()
        await turns(5)
        client.lost()
        log.announce(0)
        await turns(5)
        assert ([feed.users for feed in replica.hub.feeds], len(replica.clients), socket.lines) == (
            [0],
            0,
            [],
        )

    run(scenario())


def test_where_orders_do_not_arrive_nobody_is_let_in_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.realtime.feed.HEARD_S", 0.01)

    async def scenario() -> None:
        log = MemoryLog(greets=False)
        replica = MemoryReplica(log)
        _, socket = replica.connect()
        while not socket.lines:
            await turns(1)
        assert (socket.lines[0]["error"]["code"], socket.lines[0]["error"]["temporary"]) == (100, True)
        assert [feed.users for feed in replica.hub.feeds] == [0]
        log.announce(0)
        _, again = replica.connect()
        await turns(5)
        assert ("connect" in again.lines[0], [feed.users for feed in replica.hub.feeds]) == (True, [1])

    run(scenario())


COUNTED = ClientOptions(connections_per_user_max=9)


async def coming_in(world: Meeting) -> tuple[Client, Recorder, Standing]:
    """Give a client that is being let in while another one is there already."""
    replica = world.replica
    await world.connect(token=token_of("early"))
    standing = Standing(replica.clients, replica.parts.authenticator)
    await standing.look(replica.hub.feeds)
    replica.roster.gate = Gate()
    client, socket = await world.connect(token=token_of("ann"))
    replica.clock.seconds += 2 * LOOK_S
    return client, socket, standing


def test_options_that_change_while_somebody_is_let_in_hold_for_it() -> None:
    async def scenario() -> None:
        world = Meeting(rules=ChannelRules(clients=COUNTED))
        client, socket, standing = await coming_in(world)
        replica = world.replica
        rules = ChannelRules(clients=COUNTED, unknown="refuse")
        changed = replace(replica.store.organizations[ORG], channels=rules)
        replica.store.organizations[ORG] = changed
        await standing.look(replica.hub.feeds)
        assert replica.roster.gate is not None
        replica.roster.gate.open_all()
        await turns(10)
        await standing.look(replica.hub.feeds)
        assert client.connection.is_connected
        (number,) = say(client, {"subscribe": {"channel": "nowhere:a"}})
        await world.settle()
        assert socket.reply(number)["error"]["code"] == 102
        await world.close()

    run(scenario())


def test_who_is_let_in_while_the_organization_can_not_be_read_comes_again() -> None:
    async def scenario() -> None:
        world = Meeting(rules=ChannelRules(clients=COUNTED))
        client, socket, _ = await coming_in(world)
        replica = world.replica

        async def away(_organization_id: bytes) -> Organization | None:
            raise TidingsError(Code.UNAVAILABLE)

        replica.store.organization = away  # type: ignore[method-assign]  # a database that is away
        assert replica.roster.gate is not None
        replica.roster.gate.open_all()
        await turns(10)
        assert socket.codes == [3004]
        client.lost()
        assert len(replica.clients) == 1
        await world.close()

    run(scenario())

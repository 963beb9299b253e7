"""How many connections a user may have, on whatever replica."""

from typing import Any

import msgspec

from core.channels.namespace import ChannelRules, ClientOptions, PersonalChannel
from core.connections.frames import PresenceCount
from core.streams.event import EphemeralPublication
from tests.helpers.cache import cache_server
from tests.helpers.eventually import eventually
from tests.helpers.loop import run
from tests.helpers.meeting import Meeting
from tests.helpers.memory_log import Gate, MemoryLog
from tests.helpers.realtime import Realtimes, Speaker, realtime_of
from tests.helpers.replica import MemoryReplica, token_of, turns


async def choose(realtimes: Realtimes, **options: Any) -> None:
    await realtimes.rules.change_organization(
        realtimes.organization.organization_id,
        lambda stored: msgspec.structs.replace(stored.options, **options),
    )


def test_a_user_has_so_many_connections_and_a_closed_one_makes_room(database_url: str) -> None:
    async def scenario() -> None:
        async with cache_server() as cache, realtime_of(database_url, cache_url=cache.url) as realtimes:
            await choose(realtimes, connections_per_user_max=2)
            ann, bob = realtimes.token("ann"), realtimes.token("bob")
            async with Speaker(realtimes.url, ann), Speaker(realtimes.url, bob):
                async with Speaker(realtimes.url, ann):
                    third = Speaker(realtimes.url)
                    async with third:
                        await third.say({"id": 1, "connect": {"token": ann}})
                        assert await third.closed() == (3504, "connection limit")
                assert await eventually(lambda: realtimes.server.sockets == 2, within_s=5)
                async with Speaker(realtimes.url, ann) as again:
                    assert "history" in await again.ask({"id": 2, "history": {"channel": "news"}})

    run(scenario())


ONE = ChannelRules(clients=ClientOptions(connections_per_user_max=1))


def test_of_two_that_come_at_once_where_one_may_one_gets_in() -> None:
    async def scenario() -> None:
        world = Meeting(rules=ONE)
        replica = world.replica
        told, count = Gate(), replica.roster.count

        async def slowly(_organization_id: bytes, channel: str) -> PresenceCount:
            counted = await count(_organization_id, channel)
            await told.passed()
            return counted

        replica.roster.count = slowly  # type: ignore[method-assign]  # as a cache far away
        replica.roster.gate = Gate()
        (_, one), (_, other) = [await world.connect(token=token_of("ann")) for _ in range(2)]
        replica.roster.gate.open_all()
        await turns(5)
        told.open_all()  # each has seen both
        await turns(5)
        assert replica.roster.present == {}
        replica.roster.gate = None
        replica.roster.count = count  # type: ignore[method-assign]  # as before
        for _ in range(2):
            replica.clock.gate.open(0)
            await turns(10)
        assert "connect" in one.lines[0]
        assert (one.codes, other.codes) == ([], [3504])
        await world.close()

    run(scenario())


def test_who_leaves_between_two_tries_is_counted_no_more() -> None:
    async def scenario() -> None:
        world = Meeting(rules=ONE)
        _, first = await world.connect(token=token_of("ann"))
        await world.settle()
        client, _ = await world.connect(token=token_of("ann"))
        client.lost()  # while it waits to try again
        await world.settle()
        assert len(world.replica.roster.present) == 1
        assert "connect" in first.lines[0]
        await world.close()

    run(scenario())


def test_without_a_cache_nobody_is_refused(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as realtimes:
            await choose(realtimes, connections_per_user_max=1)
            ann = realtimes.token("ann")
            async with Speaker(realtimes.url, ann), Speaker(realtimes.url, ann) as second:
                assert "history" in await second.ask({"id": 2, "history": {"channel": "news"}})

    run(scenario())


class Mail(MemoryLog):
    """A log that gives orders back when the test says so, as an owner elsewhere does."""

    def __init__(self) -> None:
        super().__init__()
        self.orders: list[EphemeralPublication] = []

    def whisper(self, publication: EphemeralPublication) -> None:
        self.orders.append(publication)

    def deliver(self) -> None:
        """Give the next one back."""
        super().whisper(self.orders.pop(0))


SINGLE = ChannelRules(
    clients=ClientOptions(user_personal_channel=PersonalChannel(enabled=True, single_connection=True))
)


def test_of_those_that_come_at_once_where_there_is_to_be_one_the_last_stays() -> None:
    # Each ended all others, and no client comes back by itself after that code: the user had none.
    async def scenario() -> None:
        log = Mail()
        replica = MemoryReplica(log, rules=SINGLE)
        three = [replica.connect(token=token_of("ann"))[1] for _ in range(3)]
        await turns(10)
        assert len(log.orders) == 3
        expected = [[[], [], []], [[3504], [], []], [[3504], [3504], []]]
        for codes in expected:
            log.deliver()
            assert [socket.codes for socket in three] == codes
        _, fourth = replica.connect(token=token_of("ann"))
        await turns(10)
        log.deliver()
        assert (three[2].codes, fourth.codes) == ([3504], [])

    run(scenario())


def test_whose_own_order_is_lost_is_ended_by_the_next_one() -> None:
    async def scenario() -> None:
        log = Mail()
        replica = MemoryReplica(log, rules=SINGLE)
        first, socket = replica.connect(token=token_of("ann"))
        await turns(10)
        log.orders.clear()
        replica.clock.gate.open_all()
        await turns(5)
        replica.connect(token=token_of("ann"))
        await turns(10)
        log.deliver()
        assert (socket.codes, first.connection.is_closed) == ([3504], True)

    run(scenario())


def test_where_there_is_to_be_one_connection_a_new_one_ends_the_others(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as realtimes:
            personal = PersonalChannel(enabled=True, single_connection=True)
            await choose(realtimes, user_personal_channel=personal)
            ann, bob = realtimes.token("ann"), realtimes.token("bob")
            async with (
                Speaker(realtimes.url, bob) as other,
                Speaker(realtimes.url, ann) as first,
                Speaker(realtimes.url, ann) as second,
            ):
                assert await first.closed() == (3504, "connection limit")
                for speaker in (other, second):
                    assert "history" in await speaker.ask({"id": 2, "history": {"channel": "news"}})

    run(scenario())

"""Whatever happens, the last level that is told of a channel is the one that holds."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import orjson

from actors.streams.owner import StreamOwner
from adapters.clock import SystemClock
from adapters.entropy import SystemEntropy
from adapters.postgres.auth import AuthStore
from adapters.postgres.channels import ChannelReader
from adapters.postgres.codec import to_uuid
from adapters.postgres.namespaces import RuleStore
from adapters.postgres.pool import Database
from adapters.postgres.sealing import Sealer
from adapters.redis.entries import channel_key
from adapters.redis.occupancy import OccupancyBoard
from adapters.redis.presence import PresenceReader
from core.channels.name import OCCUPANCY
from core.channels.namespace import Options as ChannelOptions
from core.instants import parse_instant
from core.ports import StreamWriter
from core.streams.command import Command
from core.streams.outcome import Outcome, Unknown
from gateway.auth import LOOK_S, Authenticator
from gateway.realtime.occupancy import TELLING_MAX, Occupancy
from settings import Api, Presence
from settings import Occupancy as OccupancySettings
from tests.helpers.cache import Server, cache_of, cache_server
from tests.helpers.loop import run
from tests.helpers.owners import owner_of
from tests.helpers.realtime import Speaker, realtime_of
from tests.helpers.rosters import QUICK, Crowd, becomes, crowd_of

NEVER_S = 80_000.0
DENIED = 103
TOLD_OF = ChannelOptions(presence=True, occupancy=True)
FAST: dict[str, Any] = {"interval_s": 0.05, "reconcile_s": NEVER_S}


@dataclass
class World:
    """An installation with one organization, whose channels `room:…` are told of."""

    server: Server
    database: Database
    owner: StreamOwner
    store: AuthStore
    org: bytes

    async def namespace(self, name: str, options: ChannelOptions, organization_id: bytes = b"") -> None:
        rules = RuleStore(self.database)
        await rules.change_namespace(organization_id or self.org, name, lambda *_: options)

    async def told(self, organization_id: bytes = b"") -> list[dict[str, Any]]:
        """Return everything that was told, in order."""
        organization_id = organization_id or self.org
        head = await self.owner.head(organization_id)
        reader = ChannelReader(self.database, retention_days=30)
        page = await reader.page(organization_id, OCCUPANCY, up_to_seq=head.seq, limit=10_000)
        return [orjson.loads(event.data) for event in page.events]

    async def levels(self, channel: str = "room:1", organization_id: bytes = b"") -> list[int]:
        """Return the numbers of clients that were told of a channel, in order."""
        told = await self.told(organization_id)
        return [one["clients"] for one in told if one["channel"] == channel]

    async def last(self, channel: str = "room:1") -> int | None:
        levels = await self.levels(channel)
        return levels[-1] if levels else None


@asynccontextmanager
async def world_of(database_url: str) -> AsyncIterator[World]:
    entropy = SystemEntropy()
    database = await Database.open(database_url, 4)
    store = AuthStore(database, Sealer(bytes(32), entropy), entropy)
    org = (await store.create_organization("test", "test")).organization_id
    async with cache_server() as server, owner_of(database_url, partitions=frozenset(range(4))) as owner:
        world = World(server, database, owner, store, org)
        await world.namespace("room", TOLD_OF)
        yield world
    await database.close()


@asynccontextmanager
async def replica_of(
    world: World, *, tells: bool = True, writer: StreamWriter | None = None, **settings: Any
) -> AsyncIterator[Crowd]:
    """Give a replica and its clients; one that does not tell is like one that dies before it can."""
    clock, entropy = SystemClock(), SystemEntropy()
    async with cache_of(world.server) as cache, crowd_of(world.server) as crowd:
        presence = PresenceReader(cache, Presence(**QUICK), clock)
        occupancy = Occupancy(
            OccupancyBoard(cache, presence),
            presence,
            writer or world.owner,
            Authenticator(world.store, clock, Api()),
            frozenset(),
            OccupancySettings(**{**FAST, **settings}),
            5_000,
            lambda: [world.org],
            clock,
            entropy,
        )
        if tells:
            crowd.on_changed = occupancy.changed
            occupancy.open()
        try:
            yield crowd
        finally:
            if tells:
                await crowd.roster.close()
                await occupancy.close()


async def enter(crowd: Crowd, world: World, *clients: str, channel: str = "room:1") -> None:
    await asyncio.gather(*(crowd.enter(client, channel, organization_id=world.org) for client in clients))


async def leave(crowd: Crowd, world: World, *clients: str, channel: str = "room:1") -> None:
    await asyncio.gather(*(crowd.leave(client, channel, organization_id=world.org) for client in clients))


def repeats(levels: list[int]) -> bool:
    return any(one == other for one, other in pairwise(levels))


def test_who_comes_and_goes_is_told_as_a_level(database_url: str) -> None:
    async def scenario() -> None:
        async with world_of(database_url) as world, replica_of(world) as crowd:
            await enter(crowd, world, "a")
            await becomes(world.last, 1)
            await leave(crowd, world, "a")
            await becomes(world.last, 0)
            first, second = await world.told()
            assert parse_instant(first.pop("at")) < parse_instant(second.pop("at"))
            assert first == {"channel": "room:1", "clients": 1, "users": 1, "occupied": True}
            assert second == {"channel": "room:1", "clients": 0, "users": 0, "occupied": False}

    run(scenario())


def test_a_burst_is_told_by_few_levels_and_its_end_by_the_last(database_url: str) -> None:
    async def scenario() -> None:
        async with world_of(database_url) as world, replica_of(world, interval_s=0.5) as crowd:
            for number in range(40):
                await enter(crowd, world, f"c{number}")
            await becomes(world.last, 40)
            levels = await world.levels()
            assert len(levels) < 10
            assert levels == sorted(set(levels))

    run(scenario())


def test_replicas_together_never_tell_a_level_twice_in_a_row(database_url: str) -> None:
    async def scenario() -> None:
        async with world_of(database_url) as world, replica_of(world) as here, replica_of(world) as there:
            for number in range(15):
                await asyncio.gather(
                    enter(here, world, f"h{number}"),
                    enter(there, world, f"t{number}"),
                    leave(here, world, f"h{number - 2}"),
                    leave(there, world, f"t{number - 3}"),
                )
            await becomes(world.last, 5)
            await asyncio.gather(leave(here, world, "h13", "h14"), leave(there, world, "t12", "t13", "t14"))
            await becomes(world.last, 0)
            assert not repeats(await world.levels())

    run(scenario())


def test_when_a_replica_dies_another_tells(database_url: str) -> None:
    async def scenario() -> None:
        async with (
            world_of(database_url) as world,
            replica_of(world) as here,
            replica_of(world, tells=False) as lost,
        ):
            await enter(lost, world, "a", "b")
            await enter(here, world, "c")
            await enter(lost, world, "d", channel="room:2")
            await becomes(world.last, 3)
            await lost.kill()
            await becomes(world.last, 1)
            await becomes(lambda: world.last("room:2"), 0)

    run(scenario())


def test_after_a_flush_a_level_may_be_told_again_and_never_a_wrong_one(database_url: str) -> None:
    async def scenario() -> None:
        async with world_of(database_url) as world, replica_of(world) as here, replica_of(world) as there:
            await enter(here, world, "a", "b")
            await enter(there, world, "c")
            await becomes(world.last, 3)
            before = len(await world.levels())
            await world.server.ask("FLUSHALL")
            leaving = leave(here, world, "b")
            await leaving
            await becomes(world.last, 2)
            await enter(there, world, "d")
            await becomes(world.last, 3)
            assert len(await world.levels()) > before

    run(scenario())


def test_the_last_one_leaves_while_redis_is_away(database_url: str) -> None:
    async def scenario() -> None:
        async with world_of(database_url) as world, replica_of(world) as crowd:
            await enter(crowd, world, "a")
            await becomes(world.last, 1)
            await world.server.program.stop()
            await leave(crowd, world, "a")
            await world.server.start()  # empty, as it keeps nothing
            await becomes(world.last, 0, within_s=10)

    run(scenario())


def test_a_replica_that_stops_tells_that_its_clients_are_gone(database_url: str) -> None:
    async def scenario() -> None:
        async with world_of(database_url) as world:
            async with replica_of(world) as crowd:
                await enter(crowd, world, "a")
                await becomes(world.last, 1)
            assert await world.last() == 0

    run(scenario())


def test_what_nobody_noticed_is_found_by_walking(database_url: str) -> None:
    async def scenario() -> None:
        async with (
            world_of(database_url) as world,
            replica_of(world, reconcile_s=0.05, reconcile_channels_max=1),
            replica_of(world, tells=False) as silent,
        ):
            for number in range(5):
                await enter(silent, world, "a", channel=f"room:{number}")
            for number in range(5):
                await becomes(partial(world.last, f"room:{number}"), 1, within_s=10)
            await leave(silent, world, "a", channel="room:3")
            await becomes(lambda: world.last("room:3"), 0, within_s=10)
            assert await world.levels("room:1") == [1]

    run(scenario())


class Reluctant:
    """A way to the log that knows nothing of the outcome at first."""

    def __init__(self, owner: StreamOwner) -> None:
        self.owner = owner
        self.submitted = 0

    def submit(self, command: Command) -> Awaitable[Outcome]:
        self.submitted += 1
        if self.submitted > 2:
            return self.owner.submit(command)
        unknown: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        unknown.set_result(Unknown())
        return unknown


def test_what_did_not_reach_the_log_is_told_later(database_url: str) -> None:
    async def scenario() -> None:
        async with world_of(database_url) as world:
            writer = Reluctant(world.owner)
            async with replica_of(world, writer=writer) as crowd:
                await enter(crowd, world, "a")
                await becomes(world.last, 1)
                assert writer.submitted == 3

    run(scenario())


def test_subscribers_of_the_systems_channel_hear_it_like_any_publication(database_url: str) -> None:
    async def scenario() -> None:
        async with (
            cache_server() as server,
            realtime_of(database_url, cache_url=server.url, drain_s=0.0) as system,
        ):
            await system.namespace("room", allow_subscribe_for_client=True, presence=True, occupancy=True)
            async with (
                Speaker(system.url, system.key) as listener,
                Speaker(system.url, system.token("ann")) as ann,
            ):
                asked = {"id": 2, "subscribe": {"channel": OCCUPANCY}}
                assert (await listener.ask(asked))["subscribe"]["recoverable"]
                assert (await ann.ask(asked))["error"]["code"] == DENIED
                published = {"id": 3, "publish": {"channel": OCCUPANCY, "data": {}}}
                assert (await listener.ask(published))["error"]["code"] == DENIED
                await ann.ask({"id": 4, "subscribe": {"channel": "room:1"}})
                (come,) = await listener.publications(1)
                await ann.ask({"id": 5, "unsubscribe": {"channel": "room:1"}})
                (gone,) = await listener.publications(1)
                assert [(one["offset"], one["data"]["clients"]) for one in (come, gone)] == [(1, 1), (2, 0)]

    run(scenario())


def test_changes_without_room_are_found_by_walking(database_url: str) -> None:
    async def scenario() -> None:
        limits: dict[str, Any] = {"pending_channels_max": 1, "reconcile_s": 0.05, "reconcile_channels_max": 1}
        async with world_of(database_url) as world, replica_of(world, **limits) as crowd:
            await asyncio.gather(*(enter(crowd, world, "a", channel=f"room:{number}") for number in range(4)))
            for number in range(4):
                await becomes(partial(world.last, f"room:{number}"), 1, within_s=10)

    run(scenario())


def test_many_channels_of_one_organization_are_told_of_in_turns(database_url: str) -> None:
    async def scenario() -> None:
        async with world_of(database_url) as world, replica_of(world) as crowd:
            channels = {f"room:{number}" for number in range(2 * TELLING_MAX + 1)}
            await asyncio.gather(*(enter(crowd, world, "a", channel=channel) for channel in channels))

            async def told_of() -> list[str]:
                return sorted(one["channel"] for one in await world.told())

            await becomes(told_of, sorted(channels), within_s=10)

    run(scenario())


def test_only_channels_whose_namespace_says_so_are_told_of(database_url: str) -> None:
    async def scenario() -> None:
        async with world_of(database_url) as world, replica_of(world, reconcile_s=0.05) as crowd:
            other = (await world.store.create_organization("other", "test")).organization_id
            await world.namespace("chat", ChannelOptions(presence=True))
            for channel in ("chat:1", "lobby", "tidings:occupancy"):
                await enter(crowd, world, "a", channel=channel)
            await crowd.enter("a", "room:1", organization_id=other)
            await crowd.enter("a", "room:1", organization_id=b"?" * 16)
            await enter(crowd, world, "a")
            await becomes(world.last, 1)
            assert {one["channel"] for one in await world.told()} == {"room:1"}
            assert await world.told(other) == []

    run(scenario())


def test_where_it_is_turned_off_nothing_is_remembered_and_it_begins_anew(database_url: str) -> None:
    async def scenario() -> None:
        async with world_of(database_url) as world, replica_of(world, reconcile_s=0.05) as crowd:
            await enter(crowd, world, "a")
            await becomes(world.last, 1)
            await world.namespace("room", ChannelOptions(presence=True))

            async def remembered() -> bool:
                return any("occupancy" in key and "room:1" in key for key in await world.server.keys())

            await becomes(remembered, wanted=False)
            await world.namespace("room", TOLD_OF)
            await becomes(world.levels, [1, 1])

    run(scenario())


def test_a_suspended_organization_stops_nobody_else(database_url: str) -> None:
    async def scenario() -> None:
        async with world_of(database_url) as world, replica_of(world, reconcile_s=0.05) as crowd:
            other = (await world.store.create_organization("other", "test")).organization_id
            await world.namespace("room", TOLD_OF, other)
            await crowd.enter("a", "room:1", organization_id=other)
            await becomes(lambda: world.levels(organization_id=other), [1])
            await world.database.execute(
                "UPDATE organizations SET status = 'suspended' WHERE organization_id = $1", to_uuid(other)
            )
            await crowd.leave("a", "room:1", organization_id=other)
            await enter(crowd, world, "a")
            await becomes(world.last, 1)

    run(scenario())


def test_an_organization_that_can_not_be_read_stops_nobody_else(database_url: str) -> None:
    async def scenario() -> None:
        async with world_of(database_url) as world, replica_of(world, reconcile_s=0.05) as crowd:
            other = (await world.store.create_organization("other", "test")).organization_id
            await world.namespace("room", TOLD_OF, other)
            await crowd.enter("a", "room:1", organization_id=other)
            await becomes(lambda: world.levels(organization_id=other), [1])
            await world.database.execute(
                "UPDATE organizations SET token_secret_sealed = $2 WHERE organization_id = $1",
                to_uuid(other),
                bytes(40),
            )
            await asyncio.sleep(2 * LOOK_S)  # until then it is known as it was
            await crowd.leave("a", "room:1", organization_id=other)
            await enter(crowd, world, "a")
            await becomes(world.last, 1)
            await world.server.ask("DEL", channel_key(world.org, "room:1"))  # which nobody notices
            await becomes(world.last, 0)

    run(scenario())

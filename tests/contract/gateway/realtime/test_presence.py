"""The roster: what is acknowledged is seen everywhere, and whatever happens to Redis ends in the truth."""

import asyncio
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from adapters.redis import attendance
from adapters.redis.client import Cache
from core.connections.frames import PresenceCount
from core.errors import Code, TidingsError
from gateway.realtime import presence
from settings import Presence
from tests.helpers.cache import Server, cache_of, cache_server, relayed
from tests.helpers.eventually import eventually
from tests.helpers.loop import run
from tests.helpers.rosters import (
    ORG,
    OTHER,
    QUICK,
    Crowd,
    becomes,
    both,
    clients_in,
    crowd_of,
    info_of,
    reader_of,
    truth_of,
)


def test_what_is_acknowledged_is_seen_by_every_replica() -> None:
    async def scenario() -> None:
        async with cache_server() as server, crowd_of(server) as here, crowd_of(server) as there:
            await here.enter("a", user="alice")
            assert await clients_in(there.roster) == {"a"}
            await there.enter("b", user="alice")
            await there.enter("c", user="")
            assert await here.roster.count(ORG, "news") == PresenceCount(3, 2)
            await here.leave("a")
            assert await there.roster.count(ORG, "news") == PresenceCount(2, 2)
            assert (await there.roster.channels(ORG, limit=10)).channels == {"news": 2}
            assert here.roster.missed == there.roster.missed == 0

    run(scenario())


def test_another_organization_sees_nothing_of_it() -> None:
    async def scenario() -> None:
        async with cache_server() as server, crowd_of(server) as crowd:
            await crowd.enter("a")
            assert await clients_in(crowd.roster, organization_id=OTHER) == set()
            assert await crowd.roster.count(OTHER, "news") == both(0)
            assert (await crowd.roster.channels(OTHER, limit=10)).channels == {}
            await crowd.leave("a", organization_id=OTHER)
            assert await clients_in(crowd.roster) == {"a"}

    run(scenario())


def test_changes_of_one_client_take_effect_in_the_order_of_the_calls() -> None:
    async def scenario() -> None:
        async with cache_server() as server, crowd_of(server, batch_changes_max=3) as crowd:
            waiting = []
            for _ in range(25):
                waiting += [crowd.enter("a"), crowd.leave("a"), crowd.leave("b"), crowd.enter("b")]
            await asyncio.gather(*waiting)
            assert await clients_in(crowd.roster) == {"b"}
            assert await crowd.roster.count(ORG, "news") == both(1)

    run(scenario())


def test_one_who_stops_waiting_leaves_the_others_waiting() -> None:
    async def scenario() -> None:
        async with cache_server() as server, crowd_of(server) as crowd:
            gone = asyncio.ensure_future(crowd.enter("a"))
            stays = crowd.enter("b")
            gone.cancel()
            await stays
            assert await clients_in(crowd.roster) == {"a", "b"}

    run(scenario())


def test_entering_again_replaces_what_is_shown() -> None:
    async def scenario() -> None:
        async with cache_server() as server, crowd_of(server) as crowd:
            await crowd.enter("a", user="before")
            await crowd.roster.enter(ORG, "news", info_of("a", "after", connection_info=b'{"n":2}'))
            page = await crowd.roster.members(ORG, "news", limit=10, bytes_max=10_000)
            assert page.clients == {"a": info_of("a", "after", connection_info=b'{"n":2}')}
            assert await crowd.roster.count(ORG, "news") == both(1)

    run(scenario())


def test_a_stopping_replica_takes_out_its_own_and_leaves_no_key() -> None:
    async def scenario() -> None:
        async with cache_server() as server:
            async with crowd_of(server) as stays:
                async with crowd_of(server) as stops:
                    await asyncio.gather(stays.enter("a"), stops.enter("b"), stops.enter("c", "other"))
                assert await clients_in(stays.roster) == {"a"}
                assert (await stays.roster.channels(ORG, limit=10)).channels == {"news": 1}
            assert await server.keys() == set()

    run(scenario())


def test_what_a_killed_replica_left_is_hidden_by_its_silence_and_swept() -> None:
    async def scenario() -> None:
        async with cache_server() as server, crowd_of(server) as stays:
            async with crowd_of(server) as dies:
                await asyncio.gather(*(dies.enter(f"d{number}", user="x") for number in range(300)))
                await asyncio.gather(stays.enter("a", user="x"), dies.enter("b", "other"))
                await dies.kill()
                dies.roster._is_present = False  # noqa: SLF001 (so that its end says nothing either)
            assert len(await clients_in(stays.roster)) == 301
            await becomes(lambda: stays.roster.count(ORG, "news"), both(1))
            await becomes(lambda: clients_in(stays.roster), {"a"})
            assert (await stays.roster.channels(ORG, limit=10)).channels == {"news": 1}

            async def organizations() -> int:
                return sum(":organizations:" in key for key in await server.keys())

            await becomes(organizations, 1)
            assert not await server.ask("EXISTS", f"tidings:presence:{{{ORG.hex()}}}:channel:other")

    run(scenario())


def test_after_a_flush_everybody_is_entered_again() -> None:
    async def scenario() -> None:
        async with (
            cache_server() as server,
            crowd_of(server, batch_changes_max=7) as here,
            crowd_of(server) as there,
        ):
            await asyncio.gather(*(here.enter(f"h{number}") for number in range(50)), there.enter("t"))
            await server.ask("FLUSHALL")
            await becomes(lambda: clients_in(there.roster), truth_of([here, there]))
            await becomes(lambda: here.roster.count(ORG, "news"), both(51))
            assert here.roster.missed == 0

    run(scenario())


def test_whoever_leaves_during_a_reentry_is_not_entered_again() -> None:
    async def scenario() -> None:
        async with cache_server() as server, crowd_of(server, batch_changes_max=1) as crowd:
            await asyncio.gather(*(crowd.enter(f"c{number:03}") for number in range(400)))
            before = crowd.reentries
            await server.ask("FLUSHALL")
            while not 0 < (entered := await crowd.roster.count(ORG, "news")).clients < 300:
                assert entered == both(0)
            await asyncio.gather(*(crowd.leave(f"c{number:03}") for number in range(200, 400)))
            assert await eventually(lambda: crowd.reentries > before, within_s=5)
            # On a busy machine a doubt may begin another re-entry; who was entered wrongly would stay.
            await becomes(lambda: clients_in(crowd.roster), truth_of([crowd]))

    run(scenario())


@pytest.mark.parametrize("delay_s", [0.2, 0.8], ids=["within its time", "after it"])
def test_what_arrives_after_its_connection_was_cut_undoes_nothing_that_came_after(delay_s: float) -> None:
    async def cut(writer: asyncio.StreamWriter) -> None:
        writer.close()
        await asyncio.sleep(delay_s)

    async def scenario() -> None:
        async with (
            cache_server() as server,
            relayed(server) as (behind, before),
            reader_of(server, silence_s=60) as reader,
            crowd_of(behind, answer_s=0.5, silence_s=60, beat_s=60) as crowd,
        ):
            await crowd.enter("a")
            before.append(cut)
            await crowd.leave("a")  # cut, and on its way
            await crowd.enter("a")
            await becomes(lambda: clients_in(reader), {"a"})
            await asyncio.sleep(1.0)  # nothing is awaited: what could come late must not come
            assert await clients_in(reader) == {"a"}
            assert crowd.roster.missed >= 2

    run(scenario())


def test_a_restarted_cache_is_filled_again_whatever_happened_meanwhile() -> None:
    async def scenario() -> None:
        async with cache_server() as server, crowd_of(server) as crowd:
            await asyncio.gather(crowd.enter("stays"), crowd.enter("leaves"))
            await server.program.stop()
            began = time.monotonic()
            await asyncio.gather(crowd.enter("comes"), crowd.leave("leaves"))
            await crowd.enter("comes later")
            assert time.monotonic() - began < 1
            assert crowd.roster.missed >= 3
            await server.start()
            await becomes(lambda: _told(crowd), {"stays", "comes", "comes later"})

    run(scenario())


async def _told(crowd: Crowd) -> set[str] | None:
    try:
        return await clients_in(crowd.roster)
    except TidingsError:
        return None


def test_a_cache_that_hangs_is_waited_for_no_longer_than_the_setting_says() -> None:
    async def scenario() -> None:
        async with cache_server() as server, crowd_of(server, beat_s=60) as crowd:
            await asyncio.gather(crowd.enter("a"), crowd.enter("b"))
            server.pause()
            try:
                began = time.monotonic()
                await asyncio.gather(crowd.enter("c"), crowd.leave("a"))
                assert 0.2 < time.monotonic() - began < 1
                began = time.monotonic()
                await crowd.enter("d")
                assert time.monotonic() - began < 0.2, "nobody waits for what is known to be away"
            finally:
                server.go_on()

    run(scenario())


def test_what_a_hanging_cache_does_late_undoes_nothing_that_came_after() -> None:
    async def scenario() -> None:
        async with cache_server() as server, crowd_of(server) as crowd:
            await crowd.enter("a")
            for _ in range(3):
                server.pause()
                await asyncio.gather(crowd.leave("a"), crowd.enter("b"))
                await asyncio.gather(crowd.enter("a"), crowd.leave("b"))
                server.go_on()
                await becomes(lambda: clients_in(crowd.roster), {"a"})
                await asyncio.sleep(0.3)  # nothing is awaited: what could come late must not come
                assert await clients_in(crowd.roster) == {"a"}
                assert await crowd.roster.count(ORG, "news") == both(1)

    run(scenario())


def test_a_replica_that_was_thought_dead_enters_its_clients_again() -> None:
    async def scenario() -> None:
        async with cache_server() as server, crowd_of(server) as watches, crowd_of(server) as sleeps:
            await sleeps.enter("a")
            await sleeps.roster._turn.acquire()  # noqa: SLF001 (a process can't be stopped within this one)
            await becomes(lambda: clients_in(watches.roster), set())
            sleeps.roster._turn.release()  # noqa: SLF001 (as above)
            await becomes(lambda: clients_in(watches.roster), {"a"})
            await becomes(lambda: watches.roster.count(ORG, "news"), both(1))

    run(scenario())


def test_too_many_waiting_changes_are_dropped_and_made_up_for() -> None:
    async def scenario() -> None:
        async with (
            cache_server() as server,
            crowd_of(server, batch_changes_max=2, pending_changes_max=10) as crowd,
        ):
            await asyncio.gather(*(crowd.enter(f"c{number}") for number in range(40)))
            assert crowd.roster.missed > 0
            await becomes(lambda: clients_in(crowd.roster), truth_of([crowd]))

    run(scenario())


def test_reads_without_a_cache_say_that_it_is_unavailable() -> None:
    async def scenario() -> None:
        async with cache_server() as server, crowd_of(server) as crowd:
            await server.program.stop()
            for read in (
                crowd.roster.members(ORG, "news", limit=1, bytes_max=1),
                crowd.roster.count(ORG, "news"),
                crowd.roster.channels(ORG, limit=1),
            ):
                with pytest.raises(TidingsError) as raised:
                    await read
                assert raised.value.code is Code.UNAVAILABLE

    run(scenario())


def test_evicted_keys_are_made_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "REENTRY_PAUSE_S", 0.0)

    async def scenario() -> None:
        async with cache_server() as server, crowd_of(server) as crowd:
            await asyncio.gather(*(crowd.enter(f"c{number}") for number in range(20)))
            for key in await server.keys():
                if ":channel:" in key:
                    await server.ask("DEL", key)  # as if it was among those that are evicted below
            # A Redis of somebody else may evict anything.
            await server.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
            used = int((await server.ask("INFO", "memory")).split(b"used_memory:")[1].split()[0])
            await server.ask("CONFIG", "SET", "maxmemory", used + 200_000)
            for number in range(400):
                await server.ask("SET", f"filler{number}", "x" * 1_000)
            assert b"evicted_keys:0" not in await server.ask("INFO", "stats")
            await server.ask("CONFIG", "SET", "maxmemory", 0)
            await becomes(lambda: clients_in(crowd.roster), truth_of([crowd]))
            await becomes(lambda: crowd.roster.count(ORG, "news"), both(20))

    run(scenario())


def test_a_replica_that_ends_while_the_cache_is_away_ends_in_time() -> None:
    async def scenario() -> None:
        async with cache_server() as server, cache_of(server) as cache:
            crowd = Crowd(cache, Presence(**QUICK))
            await crowd.roster.open()
            await crowd.enter("a")
            server.pause()
            try:
                began = time.monotonic()
                await crowd.roster.close()
                assert time.monotonic() - began < presence.CLOSE_S + 1
            finally:
                server.go_on()
            async with reader_of(server) as reader:
                await becomes(lambda: clients_in(reader), set())

    run(scenario())


CLIENTS = st.sampled_from(["a", "b", "c"])
CHANNELS = st.sampled_from(["news", "room:1"])
REPLICAS = st.integers(0, 1)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["enter", "leave"]), REPLICAS, CLIENTS, CHANNELS),
        st.tuples(st.sampled_from(["enter", "leave"]), REPLICAS, CLIENTS, CHANNELS),
        st.tuples(st.sampled_from(["flush", "hang", "cut"])),
        st.tuples(st.sampled_from(["kill", "stop", "sleep"]), REPLICAS),
        st.tuples(st.just("wait"), st.sampled_from([0.0, 0.01, 0.1, 0.3])),
    ),
    max_size=25,
)
HASTY = {"beat_s": 0.03, "silence_s": 0.3, "answer_s": 0.1, "batch_changes_max": 2}


class Story:
    """Two replicas and what happens to them, one step after the other; nobody waits for an answer."""

    def __init__(self, server: Server, cache: Cache) -> None:
        self._server = server
        self._cache = cache
        self.crowds: list[Crowd] = []
        self._ended: list[Crowd] = []

    async def open(self) -> None:
        self.crowds = [await self._begun(), await self._begun()]

    async def _begun(self) -> Crowd:
        crowd = Crowd(self._cache, Presence(**HASTY))
        await crowd.roster.open()
        return crowd

    async def does(self, name: str, *arguments: Any) -> None:
        match name, *arguments:
            case "enter", replica, client, channel:
                self.crowds[replica].enter(f"{client}{replica}", channel, user=client)
            case "leave", replica, client, channel:
                self.crowds[replica].leave(f"{client}{replica}", channel)
            case "wait", seconds:
                await asyncio.sleep(seconds)
            case "flush", *_:
                await self._server.ask("FLUSHALL")
            case "cut", *_:
                await self._server.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            case "hang", *_:
                self._server.pause()
                await asyncio.sleep(0.15)
                self._server.go_on()
            case "sleep", replica:
                async with self.crowds[replica].roster._turn:  # noqa: SLF001 (as if its process was stopped)
                    await asyncio.sleep(0.4)
            case "kill", replica:
                await self.crowds[replica].kill()
                self._ended.append(self.crowds[replica])
                self.crowds[replica] = await self._begun()
            case "stop", replica:
                self.crowds[replica].live.clear()
                await self.crowds[replica].roster.close()
                self.crowds[replica] = await self._begun()

    async def told(self) -> list[tuple[set[str], PresenceCount]]:
        roster = self.crowds[0].roster
        return [
            (await clients_in(roster, channel), await roster.count(ORG, channel))
            for channel in ("news", "room:1")
        ]

    def truth(self) -> list[tuple[set[str], PresenceCount]]:
        there = [truth_of(self.crowds, channel) for channel in ("news", "room:1")]
        return [(who, PresenceCount(len(who), len({name[0] for name in who}))) for who in there]

    async def close(self) -> None:
        for crowd in self.crowds:
            await crowd.roster.close()
        for crowd in self._ended:
            crowd.roster._is_present = False  # noqa: SLF001 (its end says nothing)
            await crowd.roster.close()


FORGOTTEN: list[tuple[Any, ...]] = [
    ("enter", 0, "a", "news"),
    ("cut",),
    ("wait", 0.0),
    ("sleep", 1),
    ("cut",),
    ("enter", 1, "a", "room:1"),
    ("sleep", 0),
    ("hang",),
    ("wait", 0.01),
    ("enter", 0, "a", "room:1"),
    ("flush",),
    ("wait", 0.1),
    ("leave", 1, "a", "room:1"),
    ("leave", 0, "a", "news"),
    ("enter", 0, "a", "news"),
    ("leave", 1, "b", "news"),
    ("flush",),
    ("leave", 0, "c", "news"),
    ("cut",),
    ("wait", 0.3),
    ("flush",),
    ("enter", 0, "a", "room:1"),
    ("enter", 1, "b", "news"),
    ("leave", 0, "c", "room:1"),
    ("cut",),
]
"""The cache forgets a tag, under which somebody still comes, and whose replica then can't give it up."""


@pytest.mark.timeout(180)
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
@example(steps=FORGOTTEN)
def test_whatever_happens_ends_in_the_truth(
    steps: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attendance, "SWEEPING_S", 1)  # a sweep that was cut off is done again after that

    async def scenario() -> None:
        async with cache_server() as server, cache_of(server) as cache:
            story = Story(server, cache)
            await story.open()
            for step in steps:
                await story.does(*step)
            await becomes(story.told, story.truth(), within_s=10)
            for replica in range(2):
                story.crowds[replica].live.clear()
                await story.does("stop", replica)
            await becomes(story.told, [(set(), both(0))] * 2, within_s=10)
            await becomes(lambda: _entries_in(server), set(), within_s=10)
            await story.close()

    run(scenario())


async def _entries_in(server: Server) -> set[str]:
    return {key for key in await server.keys() if ORG.hex() in key}

"""What a replica writes: in order, never late, and swept when it is lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from adapters.redis.attendance import Attendance, Beat, Change
from adapters.redis.client import CacheError
from adapters.redis.scripts import call
from core.streams.event import ClientInfo
from tests.helpers.cache import Server, cache_of, cache_server, relayed
from tests.helpers.loop import run
from tests.helpers.rosters import ORG, OTHER, both, clients_in, info_of, nobody_listens, reader_of

NEVER = 1 << 50


@asynccontextmanager
async def attendance_of(server: Server, silence_s: float = 60) -> AsyncIterator[Attendance]:
    async with cache_of(server) as cache:
        attendance = Attendance(cache.line(), 1.0, silence_s)
        try:
            yield attendance
        finally:
            await attendance.close()


async def nothing(_writer: asyncio.StreamWriter) -> None:
    """Let it be passed on at once."""


async def beat(attendance: Attendance, tag: str, *, begins: bool = False, sweeps: bool = False) -> Beat:
    return await attendance.beat(tag, begins=begins, sweeps=sweeps)


def enters(client: str, channel: str = "news", *, user: str = "", organization_id: bytes = ORG) -> Change:
    return Change(organization_id, channel, client, info_of(client, user))


def leaves(client: str, channel: str = "news") -> Change:
    return Change(ORG, channel, client, None)


def test_a_tag_is_kept_only_while_it_is_there() -> None:
    async def scenario() -> None:
        async with cache_server() as server, attendance_of(server) as attendance:
            assert not (await beat(attendance, "t1")).is_alive
            assert (await beat(attendance, "t1", begins=True)).is_alive
            assert (await beat(attendance, "t1")).is_alive
            await server.ask("FLUSHALL")
            assert not (await beat(attendance, "t1")).is_alive

    run(scenario())


def test_a_lost_tag_is_given_to_one_sweeper_at_a_time() -> None:
    async def scenario() -> None:
        async with cache_server() as server, attendance_of(server, silence_s=0.05) as attendance:
            await beat(attendance, "lost", begins=True)
            await asyncio.sleep(0.1)
            assert (await beat(attendance, "t1", begins=True)).lost_tag == ""
            assert (await beat(attendance, "t1", sweeps=True)).lost_tag == "lost"
            assert (await beat(attendance, "t1", sweeps=True)).lost_tag == ""
            assert not (await beat(attendance, "lost")).is_alive
            await attendance.sweep("lost", nobody_listens)
            assert not await server.ask("EXISTS", "tidings:presence:{replicas}:lost")

    run(scenario())


def test_a_change_that_comes_late_has_no_effect() -> None:
    async def scenario() -> None:
        async with cache_server() as server, attendance_of(server) as attendance, reader_of(server) as reader:
            now_ms = (await beat(attendance, "t1", begins=True)).now_ms
            await attendance.hold("t1", [ORG])
            await attendance.write("t1", [enters("a")], now_ms + 60_000)
            with pytest.raises(CacheError):
                await attendance.write("t1", [enters("b"), leaves("a")], now_ms - 1)
            assert await clients_in(reader) == {"a"}

    run(scenario())


def test_changes_repeated_change_nothing_more() -> None:
    async def scenario() -> None:
        async with cache_server() as server, attendance_of(server) as attendance, reader_of(server) as reader:
            await beat(attendance, "t1", begins=True)
            await attendance.hold("t1", [ORG])
            for _ in range(2):
                await attendance.write("t1", [enters("a"), enters("a"), enters("b")], NEVER)
            assert await reader.count(ORG, "news") == both(2)
            for _ in range(2):
                await attendance.write("t1", [leaves("a"), leaves("a"), leaves("c")], NEVER)
            assert await reader.count(ORG, "news") == both(1)

    run(scenario())


def test_a_client_has_one_entry_that_of_the_replica_that_entered_it_last() -> None:
    async def scenario() -> None:
        async with cache_server() as server, attendance_of(server) as attendance, reader_of(server) as reader:
            for tag in ("t1", "t2"):
                await beat(attendance, tag, begins=True)
                await attendance.hold(tag, [ORG])
                await attendance.write(tag, [enters("a"), enters("b", f"of {tag}")], NEVER)
            await attendance.write("t2", [leaves("b", "of t1")], NEVER)
            assert await reader.count(ORG, "of t1") == both(0)
            await attendance.retire("t1", [ORG])
            await attendance.sweep("t1", nobody_listens)
            assert await clients_in(reader) == {"a"}
            assert await clients_in(reader, "of t2") == {"b"}
            await attendance.retire("t2", [])
            await attendance.sweep("t2", nobody_listens)
            assert await server.keys() == set()

    run(scenario())


def test_a_sweep_takes_out_what_the_lost_one_left_and_nothing_else() -> None:
    async def scenario() -> None:
        async with cache_server() as server, attendance_of(server) as attendance, reader_of(server) as reader:
            for tag in ("lost", "stays"):
                await beat(attendance, tag, begins=True)
                await attendance.hold(tag, [ORG, OTHER])
                crowd = [enters(f"{tag} {number}", user=f"u{number % 7}") for number in range(400)]
                alone = [enters(f"{tag} {number}", f"{tag}{number}") for number in range(120)]
                await attendance.write(tag, [*crowd, *alone, enters(tag, organization_id=OTHER)], NEVER)
            await attendance.retire("lost", [])
            swept: list[tuple[bytes, str]] = []
            await attendance.sweep(
                "lost", lambda organization_id, channel: swept.append((organization_id, channel))
            )
            emptied = {(ORG, f"lost{number}") for number in range(120)}
            assert sorted(swept) == sorted({(ORG, "news"), (OTHER, "news"), *emptied})
            assert await clients_in(reader) == {f"stays {number}" for number in range(400)}
            assert (await reader.count(ORG, "news")).users == 7
            assert await clients_in(reader, organization_id=OTHER) == {"stays"}
            names = (await reader.channels(ORG, limit=1_000)).channels
            assert set(names) == {"news", *(f"stays{number}" for number in range(120))}
            assert not [key for key in await server.keys() if "lost" in key]
            await attendance.retire("stays", [])
            await attendance.sweep("stays", nobody_listens)
            assert await server.keys() == set()

    run(scenario())


def test_a_lost_tag_is_not_forgotten_while_something_of_it_is_noted() -> None:
    async def scenario() -> None:
        async with cache_server() as server, attendance_of(server) as attendance:
            await attendance.retire("lost", [ORG])
            assert await server.ask("ZCARD", "tidings:presence:{replicas}:lost") == 1
            keys = ("tidings:presence:{replicas}:lost", "tidings:presence:{replicas}:organizations:lost")
            async with cache_of(server) as cache:
                line = cache.line()  # a second sweeper, which has found nothing left a moment ago
                assert await line.run([call("swept", keys, "lost")], 1.0) == [0]
                await line.close()

    run(scenario())


async def nobody_enters(attendance: Attendance, tag: str, organization_id: bytes) -> None:
    with pytest.raises(CacheError):
        await attendance.write(tag, [enters("a", organization_id=organization_id)], NEVER)


def test_under_a_tag_that_the_cache_has_forgotten_nobody_enters() -> None:
    async def scenario() -> None:
        async with cache_server() as server, attendance_of(server) as attendance:
            await beat(attendance, "t1", begins=True)
            await attendance.hold("t1", [ORG])
            await attendance.write("t1", [enters("a")], NEVER)
            await server.ask("FLUSHALL")
            await nobody_enters(attendance, "t1", ORG)
            with pytest.raises(CacheError):
                await attendance.hold("t1", [OTHER])
            await nobody_enters(attendance, "t1", OTHER)
            await attendance.write("t1", [leaves("a")], NEVER)
            assert await server.keys() == set()

    run(scenario())


def test_a_cache_emptied_while_a_tag_is_noted_lets_nobody_enter_under_it() -> None:
    async def scenario() -> None:
        async with cache_server() as server:

            async def empty(_writer: asyncio.StreamWriter) -> None:
                await server.ask("FLUSHALL")

            async with relayed(server) as (behind, before), attendance_of(behind) as attendance:
                await beat(attendance, "t1", begins=True)
                before[:] = [nothing, empty]
                with pytest.raises(CacheError):
                    await attendance.hold("t1", [ORG])
                assert not before
                await attendance.retire("t1", [ORG])
                await attendance.sweep("t1", nobody_listens)
                assert await server.keys() == set()

    run(scenario())


def test_under_a_lost_tag_that_was_swept_nobody_enters() -> None:
    async def scenario() -> None:
        async with cache_server() as server, attendance_of(server, silence_s=0.05) as attendance:
            await beat(attendance, "slow", begins=True)
            await attendance.hold("slow", [ORG])
            await asyncio.sleep(0.1)
            assert (await beat(attendance, "t1", sweeps=True)).lost_tag == "slow"
            with pytest.raises(CacheError):
                await attendance.hold("slow", [OTHER])
            await attendance.sweep("slow", nobody_listens)
            await nobody_enters(attendance, "slow", ORG)
            assert await server.keys() == set()

    run(scenario())


def test_a_tag_enters_only_where_it_is_noted() -> None:
    async def scenario() -> None:
        async with cache_server() as server, attendance_of(server) as attendance:
            await beat(attendance, "t1", begins=True)
            await beat(attendance, "t2", begins=True)
            await attendance.hold("t1", [ORG])
            await nobody_enters(attendance, "t1", OTHER)
            await nobody_enters(attendance, "t2", ORG)
            await attendance.write("t1", [enters("a")], NEVER)

    run(scenario())


def test_whoever_enters_again_is_found_though_any_one_key_was_evicted() -> None:
    async def scenario() -> None:
        async with cache_server() as server, attendance_of(server) as attendance, reader_of(server) as reader:
            entering = [enters("a"), enters("b")]
            await beat(attendance, "t1", begins=True)
            await attendance.hold("t1", [ORG])
            await attendance.write("t1", entering, NEVER)
            keys = sorted(key for key in await server.keys() if ORG.hex() in key)
            assert len(keys) == 5
            for number, key in enumerate(keys):
                await server.ask("DEL", key)
                tag = f"again{number}"
                await beat(attendance, tag, begins=True)
                await attendance.hold(tag, [ORG])
                await attendance.write(tag, entering, NEVER)
                assert await clients_in(reader) == {"a", "b"}, key
                assert (await reader.channels(ORG, limit=10)).channels == {"news": 2}, key

    run(scenario())


def test_any_text_can_be_a_user_a_client_or_a_channel() -> None:
    async def scenario() -> None:
        odd = ["", " ", "0 1 x", "a\x00b", "ü€\U0001f600", "#clients", "c", "n"]
        async with cache_server() as server, attendance_of(server) as attendance, reader_of(server) as reader:
            await beat(attendance, "t1", begins=True)
            await attendance.hold("t1", [ORG])
            changes = [
                Change(
                    ORG, "{odd} channel", f"client {text}", ClientInfo(text, f"client {text}", b"\x00 1 2")
                )
                for text in odd
            ]
            await attendance.write("t1", changes, NEVER)
            page = await reader.members(ORG, "{odd} channel", limit=100, bytes_max=1 << 20)
            assert page.clients == {change.client: change.info for change in changes}
            assert await reader.count(ORG, "{odd} channel") == both(len(odd))
            gone = [Change(ORG, "{odd} channel", change.client, None) for change in changes]
            await attendance.write("t1", gone, NEVER)
            assert not [key for key in await server.keys() if "odd" in key]

    run(scenario())

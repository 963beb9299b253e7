"""The one pen: who may write, what an append makes durable, and what is known when it goes wrong."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from adapters.postgres.commit import Appended, Fenced, Rejected, Undecided
from core.instants import DAY, Instant, day_number
from core.streams.append import REFERRERS_MAX, Append, Found, KeyRow, Needs, StreamState
from tests.helpers.log import (
    ADDRESS,
    EPOCH,
    OWNER,
    LogWriter,
    commit_connection,
    make_organization,
    new_id,
    now,
    resource,
    until,
    until_waiting,
)
from tests.helpers.loop import run

TABLES = ("events", "channel_entries", "channel_heads", "idempotency_keys", "resources")


@asynccontextmanager
async def plain(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        connection.terminate()


async def rows_in_log(connection: Any) -> dict[str, int]:
    counts = {}
    for table in TABLES:
        counts[table] = await connection.fetchval(f"SELECT count(*) FROM {table}")  # noqa: S608 (names above)
    return counts


HOLD_HEADS = (
    "SELECT FROM stream_heads FOR UPDATE"  # an append waits there, with the partition's row in its hand
)
KILL_OWNERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE application_name = 'tidings-owner' AND datname = current_database()
"""
NOTHING = dict.fromkeys(TABLES, 0)


def whole_batch(writer: LogWriter) -> Append:
    """Return a batch that touches every table."""
    org = writer.organization_id
    event = writer.event("room:1", "room:2")
    append = writer.batch(event, keys=(KeyRow(org, "key-1", b"f" * 32, b"answer"),))
    append.resources.append(resource(org, "room", b'{"name": "Lobby"}', "lobby"))
    return append


# Partitions


def test_a_partition_is_taken_once_until_its_lease_ends(database_url: str) -> None:
    async def work() -> None:
        async with commit_connection(database_url) as one, plain(database_url) as admin:
            first = await one.take(0, "a", ADDRESS, 10)
            assert first is not None
            assert await one.take(0, "b", ADDRESS, 10) is None
            await admin.execute(
                "UPDATE partitions SET lease_until = clock_timestamp() WHERE partition_id = 0"
            )
            second = await one.take(0, "b", ADDRESS, 10)
            assert second is not None
            assert second.epoch == first.epoch + 1

    run(work())


def test_an_owner_that_restarts_under_its_name_need_not_wait(database_url: str) -> None:
    async def work() -> None:
        async with commit_connection(database_url) as one:
            first = await one.take(0, "a", ADDRESS, 10)
            second = await one.take(0, "a", ADDRESS, 10)
            assert first is not None
            assert second is not None
            assert second.epoch == first.epoch + 1
            assert abs(second.database_now - now()) < 5_000_000

    run(work())


def test_force_takes_only_the_epoch_that_was_seen(database_url: str) -> None:
    async def work() -> None:
        async with commit_connection(database_url) as one:
            first = await one.take(0, "a", ADDRESS, 10)
            assert first is not None
            assert await one.force(0, "b", ADDRESS, 10, first.epoch - 1) is None
            forced = await one.force(0, "b", ADDRESS, 10, first.epoch)
            assert forced is not None
            assert forced.epoch == first.epoch + 1
            assert not await one.renew(0, first.epoch, 10)
            assert await one.renew(0, forced.epoch, 10)

    run(work())


def test_a_released_partition_is_free_at_once_under_a_new_epoch(database_url: str) -> None:
    async def work() -> None:
        async with commit_connection(database_url) as one:
            first = await one.take(0, "a", ADDRESS, 10)
            assert first is not None
            await one.release(0, first.epoch)
            second = await one.take(0, "b", ADDRESS, 10)
            assert second is not None
            assert second.epoch == first.epoch + 2

    run(work())


def test_a_take_over_learns_where_the_streams_stand(database_url: str) -> None:
    async def work() -> None:
        org, idle = await make_organization(database_url), await make_organization(database_url)
        elsewhere = await make_organization(database_url, partition_id=1)
        writer = LogWriter(org)
        await writer.write(database_url, writer.event("a"), writer.event("a"))
        async with commit_connection(database_url) as one:
            streams = await one.heads_of_partition(0)
            assert streams.keys() == {org, idle}
            assert (streams[org].epoch, streams[org].last_seq) == (EPOCH, 2)
            assert streams[org].last_day == day_number(writer.at)
            assert streams[org].last_created_at == writer.at
            assert (streams[idle].last_seq, streams[idle].last_day) == (0, 0)
            assert (await one.heads_of_partition(1)).keys() == {elsewhere}

    run(work())


# Appends


def test_an_append_writes_every_table(database_url: str) -> None:
    async def work() -> None:
        writer = LogWriter(await make_organization(database_url))
        append = whole_batch(writer)
        async with commit_connection(database_url) as one, plain(database_url) as admin:
            taken = await one.take(0, OWNER, ADDRESS, 10)
            assert taken is not None
            assert await one.append(0, taken.epoch, append) == Appended()
            event = append.events[0][2]
            assert await one.find_event(writer.organization_id, event.id) == event
            assert await one.find_event(writer.organization_id, new_id()) is None
            assert await one.find_event(new_id(), event.id) is None
            assert await rows_in_log(admin) == {
                "events": 1, "channel_entries": 2, "channel_heads": 2, "idempotency_keys": 1, "resources": 1,
            }  # fmt: skip
            assert await admin.fetchval("SELECT partition_epoch FROM events") == taken.epoch

    run(work())


def test_a_stale_owner_cannot_append(database_url: str) -> None:
    async def work() -> None:
        writer = LogWriter(await make_organization(database_url))
        async with commit_connection(database_url) as stale, commit_connection(database_url) as other:
            old = await stale.take(0, "a", ADDRESS, 10)
            assert old is not None
            assert await other.force(0, "b", ADDRESS, 10, old.epoch) is not None
            assert await stale.append(0, old.epoch, whole_batch(writer)) == Fenced()
            async with plain(database_url) as admin:
                assert await rows_in_log(admin) == NOTHING
                assert await admin.fetchval("SELECT max(last_seq) FROM stream_heads") == 0

    run(work())


def test_an_append_that_waits_behind_a_take_over_writes_nothing(database_url: str) -> None:
    async def work() -> None:
        writer = LogWriter(await make_organization(database_url))
        async with commit_connection(database_url) as stale, plain(database_url) as rival:
            old = await stale.take(0, "a", ADDRESS, 10)
            assert old is not None
            async with plain(database_url) as admin:
                transaction = rival.transaction()
                await transaction.start()
                await rival.execute("UPDATE partitions SET epoch = epoch + 1 WHERE partition_id = 0")
                append = asyncio.ensure_future(stale.append(0, old.epoch, whole_batch(writer)))
                await until_waiting(admin)
                await transaction.commit()
                assert await append == Fenced()
                assert await rows_in_log(admin) == NOTHING

    run(work())


def test_a_take_over_waits_for_the_append_that_runs(database_url: str) -> None:
    async def work() -> None:
        async with (
            commit_connection(database_url, lock_timeout_s=0.1) as other,
            plain(database_url) as append,
        ):
            first = await other.take(0, "a", ADDRESS, 10)
            assert first is not None
            async with append.transaction():
                await append.fetchval("SELECT epoch FROM partitions WHERE partition_id = 0 FOR SHARE")
                with pytest.raises(asyncpg.LockNotAvailableError):
                    await other.force(0, "b", ADDRESS, 10, first.epoch)
            assert await other.force(0, "b", ADDRESS, 10, first.epoch) is not None

    run(work())


@pytest.mark.parametrize("what", ["stream", "channel"])
def test_a_head_that_moved_rolls_everything_back(database_url: str, what: str) -> None:
    async def work() -> None:
        writer = LogWriter(await make_organization(database_url))
        await writer.write(database_url, writer.event("room:1"))
        async with commit_connection(database_url) as one, plain(database_url) as admin:
            taken = await one.take(0, OWNER, ADDRESS, 10)
            assert taken is not None
            before = await rows_in_log(admin)
            append = whole_batch(writer)
            if what == "stream":
                append.streams[0].read_seq = 0
            else:
                append.channels[writer.organization_id, "room:1"] = 1
            result = await one.append(0, taken.epoch, append)
            assert isinstance(result, Rejected)
            assert result.conflict
            assert await rows_in_log(admin) == before
            assert not one.is_closed

    run(work())


def test_a_day_without_a_table_is_refused_and_is_no_conflict(database_url: str) -> None:
    async def work() -> None:
        writer = LogWriter(await make_organization(database_url), days_back=900)
        async with commit_connection(database_url) as one, plain(database_url) as admin:
            taken = await one.take(0, OWNER, ADDRESS, 10)
            assert taken is not None
            result = await one.append(0, taken.epoch, whole_batch(writer))
            assert isinstance(result, Rejected)
            assert not result.conflict
            assert await rows_in_log(admin) == NOTHING

    run(work())


def test_a_batch_of_refusals_still_proves_the_epoch(database_url: str) -> None:
    async def work() -> None:
        async with commit_connection(database_url) as one:
            taken = await one.take(0, OWNER, ADDRESS, 10)
            assert taken is not None
            assert await one.append(0, taken.epoch, Append()) == Appended()
            assert await one.append(0, taken.epoch - 1, Append()) == Fenced()

    run(work())


def test_an_external_id_may_pass_to_another_resource_in_one_batch(database_url: str) -> None:
    async def work() -> None:
        org = await make_organization(database_url)
        old = resource(org, "room", b"{}", "lobby")
        new = resource(org, "room", b"{}", "lobby")
        async with commit_connection(database_url) as one:
            taken = await one.take(0, OWNER, ADDRESS, 10)
            assert taken is not None
            assert await one.append(0, taken.epoch, Append(resources=[old])) == Appended()
            assert (
                await one.append(0, taken.epoch, Append(resources=[new], deletions=[old.key])) == Appended()
            )
            found = await one.read(0, Needs(externals={(org, "room", "lobby")}))
            assert found.externals == {(org, "room", "lobby"): new.key}

    run(work())


def test_a_resource_is_replaced_but_keeps_when_it_was_created(database_url: str) -> None:
    async def work() -> None:
        org = await make_organization(database_url)
        first = resource(org, "room", b'{"name": "One"}')
        later = Instant(first.created_at + 5)
        second = replace(first, data=b'{"name": "Two"}', version=2, updated_at=later)
        async with commit_connection(database_url) as one:
            taken = await one.take(0, OWNER, ADDRESS, 10)
            assert taken is not None
            for row in (first, second):
                assert await one.append(0, taken.epoch, Append(resources=[row])) == Appended()
            found = await one.read(0, Needs(resources={first.key}))
            assert found.resources[first.key] == second

    run(work())


# What is known when it goes wrong


def test_a_deadline_drops_the_socket_and_the_lock_then_tells_what_happened(database_url: str) -> None:
    async def work() -> None:
        writer = LogWriter(await make_organization(database_url))
        append = whole_batch(writer)
        async with plain(database_url) as holder, plain(database_url) as admin:
            async with commit_connection(database_url, deadline_s=0.3, lock_timeout_s=30) as one:
                taken = await one.take(0, OWNER, ADDRESS, 10)
                assert taken is not None
                transaction = holder.transaction()
                await transaction.start()
                await holder.execute(HOLD_HEADS)
                assert isinstance(await one.append(0, taken.epoch, append), Undecided)
                assert one.is_closed
            async with commit_connection(database_url, lock_timeout_s=0.1) as two:
                with pytest.raises(asyncpg.LockNotAvailableError):  # not decided yet
                    await two.force(0, OWNER, ADDRESS, 10, taken.epoch)
                await transaction.rollback()
                async with asyncio.timeout(10):
                    while (forced := await force_once(two, taken.epoch)) is None:
                        continue
                assert forced.epoch == taken.epoch + 1
                found = await two.find_event(writer.organization_id, append.events[0][2].id)
                assert found == append.events[0][2]  # nobody cancelled it, so it went through
                assert (await rows_in_log(admin))["events"] == 1

    run(work())


async def force_once(connection: Any, epoch: int) -> Any:
    try:
        return await connection.force(0, OWNER, ADDRESS, 10, epoch)
    except asyncpg.LockNotAvailableError:
        return None


def test_a_backend_that_dies_leaves_the_outcome_undecided(database_url: str) -> None:
    async def work() -> None:
        writer = LogWriter(await make_organization(database_url))
        async with plain(database_url) as holder, plain(database_url) as admin:
            async with commit_connection(database_url, lock_timeout_s=30) as one, holder.transaction():
                taken = await one.take(0, OWNER, ADDRESS, 10)
                assert taken is not None
                await holder.execute(HOLD_HEADS)
                append = asyncio.ensure_future(one.append(0, taken.epoch, whole_batch(writer)))
                await until_waiting(admin)
                await admin.execute(KILL_OWNERS)
                assert isinstance(await append, Undecided)
                assert one.is_closed
            assert await rows_in_log(admin) == NOTHING

    run(work())


def test_a_cancelled_caller_does_not_cancel_the_append(database_url: str) -> None:
    async def work() -> None:
        writer = LogWriter(await make_organization(database_url))
        async with (
            plain(database_url) as holder,
            plain(database_url) as admin,
            commit_connection(database_url, lock_timeout_s=30) as one,
        ):
            taken = await one.take(0, OWNER, ADDRESS, 10)
            assert taken is not None
            async with holder.transaction():
                await holder.execute(HOLD_HEADS)
                append = asyncio.ensure_future(one.append(0, taken.epoch, whole_batch(writer)))
                await until_waiting(admin)
                append.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await append
            await until(lambda: admin.fetchval("SELECT count(*) = 1 FROM events"))

    run(work())


def test_a_call_to_a_server_that_hangs_ends_at_its_deadline(database_url: str) -> None:
    async def work() -> None:
        async with plain(database_url) as holder, holder.transaction():
            await holder.execute("SELECT FROM partitions FOR UPDATE")
            async with commit_connection(database_url, deadline_s=0.2, lock_timeout_s=30) as one:
                with pytest.raises((asyncpg.InterfaceError, OSError, asyncpg.PostgresConnectionError)):
                    await one.take(0, OWNER, ADDRESS, 10)
                assert one.is_closed

    run(work())


# Reads


def test_one_read_finds_everything_a_batch_needs(database_url: str) -> None:
    async def work() -> None:
        org, stranger = await make_organization(database_url), await make_organization(database_url)
        writer = LogWriter(org)
        room = resource(org, "room", b'{"name": "Lobby"}', "lobby")
        message = resource(org, "message", b'{"room_id": "room_1"}')
        key = KeyRow(org, "key-1", b"f" * 32, b"answer")
        append = writer.batch(writer.event("room:1"), keys=(key,))
        append.resources += [room, message]
        async with commit_connection(database_url) as one:
            taken = await one.take(0, OWNER, ADDRESS, 10)
            assert taken is not None
            assert await one.append(0, taken.epoch, append) == Appended()
            found = await one.read(
                0,
                Needs(
                    organizations={org, new_id()},
                    channels={(org, "room:1"), (org, "room:2"), (stranger, "room:1")},
                    keys={(org, "key-1"), (org, "key-2"), (stranger, "key-1")},
                    resources={room.key, (stranger, "room", room.id), (org, "message", room.id)},
                    externals={(org, "room", "lobby"), (stranger, "room", "lobby"), (org, "room", "hall")},
                    referrers={
                        (org, "message", "room_id", "room_1"),
                        (org, "message", "room_id", "room_2"),
                        (org, "message", "reply_to", "room_1"),
                        (stranger, "message", "room_id", "room_1"),
                    },
                ),
            )
            assert found.streams.keys() == {org}
            assert found.streams[org] == StreamState(EPOCH, 1, day_number(writer.at), writer.at)
            assert found.channels == {(org, "room:1"): 1}
            assert found.keys == {(org, "key-1"): key}
            assert found.externals == {(org, "room", "lobby"): room.key}
            assert found.referrers == {(org, "message", "room_id", "room_1"): [message.key]}
            assert found.resources == {room.key: room, message.key: message}
            assert await one.read(0, Needs(organizations={org})) == Found(streams=found.streams)
            assert (await one.read(1, Needs(organizations={org}))).streams == {}

    run(work())


def test_keys_are_found_in_every_day_that_is_kept(database_url: str) -> None:
    async def work() -> None:
        org = await make_organization(database_url)
        key = KeyRow(org, "key-1", b"f" * 32, b"answer")
        yesterday = day_number(Instant(now() - DAY))
        async with commit_connection(database_url) as one:
            taken = await one.take(0, OWNER, ADDRESS, 10)
            assert taken is not None
            assert await one.append(0, taken.epoch, Append(keys=[(yesterday, key)])) == Appended()
            assert (await one.read(0, Needs(keys={(org, "key-1")}))).keys == {(org, "key-1"): key}

    run(work())


def test_referrers_beyond_the_limit_are_told_by_one_more(database_url: str) -> None:
    async def work() -> None:
        org = await make_organization(database_url)
        rows = [resource(org, "message", b'{"room_id": "room_1"}') for _ in range(REFERRERS_MAX + 20)]
        reference = (org, "message", "room_id", "room_1")
        async with commit_connection(database_url) as one:
            taken = await one.take(0, OWNER, ADDRESS, 10)
            assert taken is not None
            assert await one.append(0, taken.epoch, Append(resources=rows)) == Appended()
            found = await one.read(0, Needs(referrers={reference}))
            assert len(found.referrers[reference]) == REFERRERS_MAX + 1

    run(work())

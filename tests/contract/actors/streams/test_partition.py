"""One partition and its only pen: what it answers when, and what holds when it ends."""

import asyncio

import asyncpg
import pytest

from actors.streams.partition import FencedError
from core.streams.command import Command, Create, Operation, Publish
from core.streams.outcome import Committed, Outcome, Refused, Unknown
from settings import Log
from tests.helpers.desk import Hall, desk, partition_of
from tests.helpers.loop import run
from tests.helpers.organizations import make_organization
from tests.helpers.owners import ENTROPY, command, publish

KILL_OWNERS = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
     WHERE application_name = 'tidings-owner' AND datname = current_database()
"""
ROW = "SELECT owner, epoch, lease_until FROM partitions WHERE partition_id = 0"
HOLD_HEADS = "SELECT FROM stream_heads FOR UPDATE"  # an append waits there
HOLD_CHANNELS = "LOCK channel_heads IN ACCESS EXCLUSIVE MODE"  # what a batch reads first waits there


def committed(outcome: Outcome) -> Committed:
    assert isinstance(outcome, Committed), outcome
    return outcome


def code_of(outcome: Outcome) -> str:
    assert isinstance(outcome, Refused), outcome
    return outcome.code


def within(org: bytes, operation: Operation, left_ms: int) -> Command:
    return Command(org, ENTROPY.id(), operation, left_ms)


# Owning


def test_only_one_has_it_until_it_is_given_up_or_taken_by_force(database_url: str) -> None:
    async def scenario() -> None:
        rival = partition_of(database_url, Hall(), owner="rival")
        async with desk(database_url) as here:
            assert not await rival.open()
            assert not await rival.open(force_epoch=here.partition.epoch - 1)
            here.partition.stop()
            assert here.running is not None
            await here.running
            assert (await here.admin.fetchrow(ROW))["owner"] is None
            assert await rival.open()
            assert rival.epoch > here.partition.epoch
            rival.stop()
            await rival.run()

    run(scenario())


def test_a_lease_is_renewed_while_nothing_happens(database_url: str) -> None:
    async def scenario() -> None:
        async with desk(database_url, log=Log(lease_renew_s=0.05)) as here:
            first = (await here.admin.fetchrow(ROW))["lease_until"]
            async with asyncio.timeout(5):
                while (await here.admin.fetchrow(ROW))["lease_until"] == first:  # noqa: ASYNC110 (as above)
                    await asyncio.sleep(0.01)
            assert (await here.admin.fetchrow(ROW))["epoch"] == here.partition.epoch

    run(scenario())


def test_who_was_fenced_writes_nothing_answers_everybody_and_ends(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        rival = partition_of(database_url, Hall(), owner="rival")
        async with desk(database_url) as here:
            committed(await here.submit(publish(org, "room:1")))
            assert await rival.open(force_epoch=here.partition.epoch)
            late = [here.submit(publish(org, "room:1")) for _ in range(10)]
            assert here.running is not None
            with pytest.raises(FencedError):
                await here.running
            assert {code_of(outcome) for outcome in await asyncio.gather(*late)} == {"partition_moving"}
            assert await here.seqs_in_log() == [1]
            assert len(here.hall.events) == 1
            rival.stop()
            await rival.run()

    run(scenario())


def test_a_lost_connection_is_replaced_under_a_new_epoch_and_nothing_is_lost(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with desk(database_url) as here:
            epoch = here.partition.epoch
            outcomes: list[Outcome] = []
            for turn in range(5):
                work = [here.submit(publish(org, "room:1")) for _ in range(40)]
                assert await here.admin.fetchval(KILL_OWNERS) <= 1
                outcomes += await asyncio.gather(*work)
                assert here.partition.epoch <= epoch + turn + 1
            assert here.partition.epoch > epoch
            assert [committed(outcome).seq for outcome in outcomes] == list(range(1, 201))
            assert await here.seqs_in_log() == list(range(1, 201))
            assert [event.seq for event in here.hall.events] == list(range(1, 201))

    run(scenario())


def test_stopping_commits_what_is_queued_and_takes_no_more(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with desk(database_url, log=Log(batch_commands_max=7)) as here:
            queued = [here.submit(publish(org, "room:1")) for _ in range(50)]
            here.partition.stop()
            assert code_of(await here.submit(publish(org, "room:1"))) == "partition_moving"
            assert here.running is not None
            await here.running
            assert [committed(future.result()).seq for future in queued] == list(range(1, 51))
            assert code_of(await here.submit(publish(org, "room:1"))) == "partition_moving"
            assert await here.seqs_in_log() == list(range(1, 51))

    run(scenario())


# Answering


def test_nothing_is_answered_or_heard_before_it_is_durable(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with desk(database_url) as here:
            transaction = here.admin.transaction()
            await transaction.start()
            await here.admin.execute(HOLD_HEADS)
            one = here.submit(publish(org, "room:1"))
            await here.until_it_waits()
            assert not one.done()
            assert here.hall.events == []
            await transaction.commit()
            assert committed(await one).seq == 1
            assert [event.seq for event in here.hall.events] == [1]

    run(scenario())


def test_a_repeat_in_flight_joins_and_another_request_under_its_key_is_told_to_wait(
    database_url: str,
) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with desk(database_url) as here:
            one = publish(org, "room:1", key="once")
            first, joined = here.submit(one), here.submit(one)
            assert joined is first
            refusal = await here.submit(publish(org, "room:1", key="once"))
            assert code_of(refusal) == "idempotency_in_flight"
            assert committed(await first).seq == 1
            later = committed(await here.submit(publish(org, "room:1", key="once")))
            assert (later.replayed, later.seq) == (True, 1)
            assert await here.seqs_in_log() == [1]

    run(scenario())


@pytest.mark.parametrize("log", [Log(queue_commands_max=10), Log(queue_bytes_max=3_000)])
def test_a_full_queue_refuses_and_serves_again_when_it_has_room(database_url: str, log: Log) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with desk(database_url, log=log) as here:
            futures = [here.submit(publish(org, "room:1")) for _ in range(30)]
            outcomes = await asyncio.gather(*futures)
            refused = [outcome for outcome in outcomes if isinstance(outcome, Refused)]
            assert refused
            assert {(outcome.code, outcome.retry_after_s) for outcome in refused} == {("capacity_reduced", 1)}
            accepted = len(outcomes) - len(refused)
            assert [committed(outcome).seq for outcome in outcomes[:accepted]] == list(range(1, accepted + 1))
            assert committed(await here.submit(publish(org, "room:1"))).seq == accepted + 1

    run(scenario())


def test_a_command_whose_caller_no_longer_waits_has_no_effect(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with desk(database_url, starts=False) as here:
            late = here.submit(within(org, Publish(("room:1",), b"late"), 0))
            keyed = here.submit(Command(org, ENTROPY.id(), Publish(("room:1",), b"late"), 0, "key", b"f"))
            good = here.submit(within(org, Publish(("room:1",), b"good"), 10_000))
            here.start()
            assert code_of(await late) == code_of(await keyed) == "deadline_exceeded"
            assert committed(await good).seq == 1
            again = committed(await here.submit(publish(org, "room:1", key="key")))
            assert (again.replayed, again.seq) == (False, 2)

    run(scenario())


def test_what_a_lost_source_had_queued_never_takes_effect(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with desk(database_url, starts=False) as here:
            lost = [publish(org, "room:1", key=f"k{n}") for n in range(5)]
            kept = [publish(org, "room:1") for _ in range(5)]
            futures = [here.submit(one, "lost") for one in lost]
            others = [here.submit(one, "kept") for one in kept]
            here.partition.forget("lost")
            assert all(isinstance(future.result(), Unknown) for future in futures)
            here.start()
            assert [committed(outcome).seq for outcome in await asyncio.gather(*others)] == [1, 2, 3, 4, 5]
            for one in lost:
                assert await here.partition.find(org, one.event_id) is None
            again = committed(await here.submit(publish(org, "room:1", key="k0"), "lost"))
            assert (again.replayed, again.seq) == (False, 6)

    run(scenario())


def test_one_command_that_the_database_will_not_have_fails_alone(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with desk(database_url, starts=False) as here:
            bad = Create("room", ENTROPY.id(), b'{"name":"R"}', "nul\0in a key")
            operations = [Publish(("room:1",), b"1"), bad, Publish(("room:1",), b"2")]
            futures = [here.submit(command(org, operation)) for operation in operations]
            here.start()
            first, second, third = await asyncio.gather(*futures)
            assert (committed(first).seq, committed(third).seq) == (1, 2)
            assert code_of(second) == "internal"
            assert await here.seqs_in_log() == [1, 2]

    run(scenario())


# Questions


def test_a_head_is_known_for_those_who_came_after_the_take_over_too(database_url: str) -> None:
    async def scenario() -> None:
        before = await make_organization(database_url)
        async with desk(database_url) as here:
            after = await make_organization(database_url)
            elsewhere = await make_organization(database_url, partition_id=1)
            ask = here.partition.head
            heads = await asyncio.gather(ask(before), ask(after), ask(after), ask(elsewhere), ask(b"x" * 16))
            assert [head and (head.organization_id, head.seq) for head in heads] == [
                *((before, 0), (after, 0), (after, 0)),
                *(None, None),
            ]
            committed(await here.submit(publish(after, "room:1")))
            told = here.partition.heads({before, after, elsewhere})
            assert {head.organization_id: head.seq for head in told} == {before: 0, after: 1}

    run(scenario())


def test_what_became_of_a_command_is_told_when_it_is_decided(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with desk(database_url) as here:
            transaction = here.admin.transaction()
            await transaction.start()
            await here.admin.execute(HOLD_HEADS)
            one = publish(org, "room:1")
            outcome = here.submit(one)
            asked = asyncio.create_task(here.partition.find(org, one.event_id))
            await here.until_it_waits()
            assert not asked.done()
            await transaction.commit()
            assert await asked == await outcome
            found = await here.partition.find(org, one.event_id)
            assert committed(await outcome).seq == committed(found or Unknown()).seq == 1
            assert await here.partition.find(org, ENTROPY.id()) is None

    run(scenario())


def test_an_ephemeral_publication_is_heard_and_leaves_no_trace(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with desk(database_url) as here:
            typing = Publish(("room:1", "room:2"), b"typing", ephemeral=True)
            outcome = committed(await here.submit(command(org, typing)))
            assert (outcome.seq, outcome.offsets) == (0, ())
            assert [heard.channel for heard in here.hall.ephemeral] == ["room:1", "room:2"]
            assert await here.seqs_in_log() == []

    run(scenario())


def test_an_ephemeral_publication_with_a_key_is_heard_once_however_often_it_is_sent(
    database_url: str,
) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with desk(database_url) as here:
            typing = Publish(("room:1",), b"typing", ephemeral=True)
            outcomes = [committed(await here.submit(command(org, typing, key="k"))) for _ in range(2)]
            assert [outcome.replayed for outcome in outcomes] == [False, True]
            assert len(here.hall.ephemeral) == 1
            assert await here.seqs_in_log() == []

    run(scenario())


# When the database refuses, goes away, or does not answer


def test_what_the_database_will_not_read_costs_nobody_a_take_over(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with desk(database_url) as here:
            epoch = here.partition.epoch
            unreadable = Command(org, ENTROPY.id(), Publish(("a",), b"1"), 10_000, "a\0b", b"f")
            around = [publish(org, "a") for _ in range(20)]
            futures = [here.submit(one) for one in (*around[:10], unreadable, *around[10:])]
            outcomes = await asyncio.gather(*futures)
            assert code_of(outcomes.pop(10)) == "internal"
            assert [committed(outcome).seq for outcome in outcomes] == list(range(1, 21))
            assert here.partition.epoch == epoch

    run(scenario())


def test_who_ends_without_knowing_says_so(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        other, holder = await asyncpg.connect(database_url), await asyncpg.connect(database_url)
        async with desk(database_url, log=Log(commit_deadline_s=0.3)) as here:
            async with holder.transaction():
                await holder.execute(HOLD_HEADS)
                begun = here.submit(publish(org, "a"))
                await here.until_it_waits()
                heir = "UPDATE partitions SET owner = 'heir', epoch = epoch + 1 WHERE partition_id = 0"
                moving = asyncio.create_task(other.execute(heir))
                await here.until_it_waits(2)  # behind the append, before
                await here.until_it_waits(3)  # our own take-over: the append's deadline is past
                queued = here.submit(publish(org, "b"))
            await moving
            assert isinstance(await begun, Unknown)
            assert code_of(await queued) == "partition_moving"
            assert len(await here.seqs_in_log()) == 1
        await other.close()
        await holder.close()

    run(scenario())


def test_a_caller_in_this_process_hears_by_his_deadline(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with desk(database_url) as here:
            async with here.admin.transaction():
                await here.admin.execute(HOLD_HEADS)
                begun = here.partition.submit(within(org, Publish(("a",), b"1"), 50), None)
                await here.until_it_waits()
                queued = here.partition.submit(within(org, Publish(("b",), b"2"), 50), None)
                linked = here.submit(within(org, Publish(("c",), b"3"), 50))
                async with asyncio.timeout(5):
                    while not (begun.done() and queued.done()):
                        here.partition.expire()
                        await asyncio.sleep(0.01)
                assert isinstance(begun.result(), Unknown)
                assert code_of(queued.result()) == "deadline_exceeded"
                assert not linked.done()
            assert code_of(await linked) == "deadline_exceeded"
            committed(await here.submit(publish(org, "a")))
            assert len(await here.seqs_in_log()) == 2

    run(scenario())


def test_nobody_hears_that_nothing_happened_of_what_is_written_all_the_same(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with desk(database_url) as here:
            async with here.admin.transaction():
                await here.admin.execute(HOLD_CHANNELS)
                begun = here.partition.submit(within(org, Publish(("a",), b"1"), 50), None)
                await here.until_it_waits()
                async with asyncio.timeout(5):
                    while not begun.done():
                        here.partition.expire()
                        await asyncio.sleep(0.01)
            committed(await here.submit(publish(org, "b")))
            assert len(await here.seqs_in_log()) == 2
            assert isinstance(begun.result(), Unknown)

    run(scenario())


def test_a_crowd_that_came_too_late_holds_up_nobody_behind_it(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with desk(database_url, log=Log(batch_commands_max=10), starts=False) as here:
            late = [here.submit(within(org, Publish(("a",), b"1"), 0)) for _ in range(10)]
            last = here.submit(publish(org, "a"))
            here.start()
            async with asyncio.timeout(2):  # a renewal later it would wake anyway
                committed(await last)
            assert {code_of(await one) for one in late} == {"deadline_exceeded"}

    run(scenario())


def test_a_take_over_whose_answer_was_lost_is_not_taken_for_anothers(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with desk(database_url) as here:
            committed(await here.submit(publish(org, "a")))
            # As after a forced take-over of our own that we never heard of.
            await here.admin.execute("UPDATE partitions SET epoch = epoch + 1 WHERE partition_id = 0")
            await here.admin.execute(KILL_OWNERS)
            assert committed(await here.submit(publish(org, "a"))).seq == 2

    run(scenario())


def test_time_is_learned_anew_at_each_renewal(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with desk(database_url, log=Log(lease_renew_s=0.05), starts=False) as here:
            here.partition._database_ahead_s -= 3 * 86_400  # noqa: SLF001 (as after a long sleep of the machine)
            until = (await here.admin.fetchrow(ROW))["lease_until"]
            here.start()
            async with asyncio.timeout(5):
                while (await here.admin.fetchrow(ROW))["lease_until"] == until:  # noqa: ASYNC110 (in the database)
                    await asyncio.sleep(0.01)
            committed(await here.submit(publish(org, "a")))
            ago = "SELECT clock_timestamp() - created_at < interval '10 s' FROM events"
            assert await here.admin.fetchval(ago)

    run(scenario())


def test_no_partition_is_taken_from_a_database_that_is_away_and_none_fails(database_url: str) -> None:
    async def scenario() -> None:
        nowhere = database_url.replace("/tidings", "/nothing_there") + "_gone"
        partition = partition_of(nowhere, Hall())
        assert not await partition.open()
        assert not await partition.open(force_epoch=1)

    run(scenario())

"""What others ask about a partition is answered by its present owner alone."""

import asyncio

import pytest

from core.errors import TidingsError
from core.streams.event import Head
from core.streams.outcome import Committed
from settings import Log
from tests.contract.actors.streams.test_partition import (
    KILL_OWNERS,
    Hall,
    code_of,
    committed,
    desk,
    partition_of,
)
from tests.helpers.loop import run
from tests.helpers.organizations import make_organization
from tests.helpers.owners import publish


async def code_raised(answer: asyncio.Future[object]) -> str:
    with pytest.raises(TidingsError) as raised:
        await answer
    return raised.value.code.value


def test_a_head_covers_what_was_acknowledged_before_it_was_asked_for(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with desk(database_url) as here:
            for seq in (1, 2, 3):
                committed(await here.submit(publish(org, "a")))
                head = await here.partition.head(org)
                assert isinstance(head, Head)
                assert head.seq == seq

    run(scenario())


def test_many_ask_at_once_and_each_is_answered(database_url: str) -> None:
    async def scenario() -> None:
        org, late = await make_organization(database_url), await make_organization(database_url)
        async with desk(database_url) as here:
            load = [here.submit(publish(org, "a")) for _ in range(50)]
            heads = await asyncio.gather(*(here.partition.head(one) for one in (org, late) * 50))
            assert {head.organization_id for head in heads if head is not None} == {org, late}
            assert await here.partition.head(b"nobody" + bytes(10)) is None
            assert all(isinstance(outcome, Committed) for outcome in await asyncio.gather(*load))

    run(scenario())


def test_an_owner_that_was_replaced_tells_no_head_from_memory(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with desk(database_url) as here:
            committed(await here.submit(publish(org, "a")))
            heir = partition_of(database_url, Hall(), owner="heir")
            assert await heir.open(force_epoch=here.partition.epoch)
            running = asyncio.create_task(heir.run())
            try:
                committed(await heir.submit(publish(org, "a"), "link"))
                stale = asyncio.ensure_future(here.partition.head(org))
                assert await code_raised(stale) == "partition_moving"
                head = await heir.head(org)
                assert head is not None
                assert head.seq == 2
            finally:
                heir.stop()
                await running

    run(scenario())


def test_who_asks_while_the_partition_is_given_up_is_sent_on(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with desk(database_url) as here:
            here.partition.stop()
            for ask in (here.partition.head, lambda org: here.partition.find(org, bytes(16))):
                with pytest.raises(TidingsError) as raised:
                    await ask(org)
                assert raised.value.code.value == "partition_moving"
            assert code_of(await here.submit(publish(org, "a"))) == "partition_moving"

    run(scenario())


def test_questions_wait_while_the_database_is_away_and_are_answered_after(database_url: str) -> None:
    async def scenario() -> None:
        org, other = await make_organization(database_url), await make_organization(database_url)
        async with desk(database_url) as here:
            done = committed(await here.submit(publish(org, "a")))
            for one in (org, other):  # one is in memory, the other is not
                await here.admin.execute(KILL_OWNERS)
                asked = [asyncio.ensure_future(here.partition.head(one)) for _ in range(3)]
                found = asyncio.ensure_future(here.partition.find(org, done.event_id))
                heads = await asyncio.gather(*asked)
                assert [head.seq for head in heads if head is not None] == [int(one == org)] * 3
                assert committed(await found) == done

    run(scenario())


def test_more_questions_than_commands_may_wait_are_refused(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with desk(database_url, log=Log(queue_commands_max=2)) as here:
            await here.partition.head(org)
            async with here.admin.transaction():
                await here.admin.execute("LOCK partitions IN ACCESS EXCLUSIVE MODE")
                waiting = [asyncio.ensure_future(here.partition.head(org)) for _ in range(2)]
                for ask in (here.partition.head, lambda org: here.partition.find(org, bytes(16))):
                    with pytest.raises(TidingsError) as raised:
                        await ask(org)
                    assert raised.value.code.value == "capacity_reduced"
            assert {head.seq for head in await asyncio.gather(*waiting) if head is not None} == {0}

    run(scenario())

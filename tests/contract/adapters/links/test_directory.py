"""Which partition writes an organization: asked once, remembered, forgotten in the order of its coming."""

import asyncio

import pytest
from structlog.testing import capture_logs

from adapters.clock import SystemClock
from adapters.links.directory import Directory
from core.errors import Code, TidingsError
from core.instants import Instant
from core.ports import Clock
from tests.contract.adapters.links.desk import ORG, OTHER, Office, Table, office
from tests.helpers.links import until
from tests.helpers.loop import run


class Quick:
    """A clock on which every pause takes its time, and no time passes for others."""

    def __init__(self) -> None:
        self._at = 0.0

    def now(self) -> Instant:
        return Instant(0)

    def monotonic(self) -> float:
        return self._at

    async def sleep(self, seconds: float) -> None:
        self._at += seconds
        await asyncio.sleep(0)


class Returning(Table):
    """A database that is back at the third question."""

    async def partition_of(self, organization_id: bytes) -> int:
        self.away = len(self.asked) < 2
        return await super().partition_of(organization_id)


def directory_of(
    table: Table, here: Office, *, organizations_max: int = 100, clock: Clock | None = None
) -> Directory:
    return Directory(table, here.lane, here.tasks, clock or SystemClock(), organizations_max, 3.0)


def test_an_organization_is_looked_up_once_for_all_who_ask() -> None:
    async def scenario() -> None:
        table = Table()
        async with office(table) as here:
            directory = directory_of(table, here)
            assert directory.known(ORG) is None
            lanes = await asyncio.gather(*(directory.locate(ORG) for _ in range(50)), directory.locate(OTHER))
            assert set(lanes[:50]) == {here.lane(0)}
            assert lanes[50] is here.lane(1)
            assert await directory.locate(ORG) is directory.known(ORG) is here.lane(0)
            assert table.asked == [ORG, OTHER]

    run(scenario())


def test_who_stops_waiting_takes_nothing_from_the_others() -> None:
    async def scenario() -> None:
        table = Table()
        async with office(table) as here:
            directory = directory_of(table, here)
            table.gate.clear()
            first, second = (asyncio.create_task(directory.locate(ORG)) for _ in range(2))
            await until(lambda: table.asked)
            first.cancel()
            table.gate.set()
            assert await second is here.lane(0)
            assert table.asked == [ORG]

    run(scenario())


def test_an_unknown_organization_is_not_found_and_not_remembered() -> None:
    async def scenario() -> None:
        table = Table()
        async with office(table) as here:
            directory = directory_of(table, here)
            for _ in range(2):
                with pytest.raises(TidingsError) as refusal:
                    await directory.locate(b"x" * 16)
                assert refusal.value.code is Code.NOT_FOUND
            table.partitions[b"x" * 16] = 1
            assert await directory.locate(b"x" * 16) is here.lane(1)

    run(scenario())


def test_while_the_database_is_away_it_is_asked_again_until_it_answers() -> None:
    async def scenario() -> None:
        table = Returning()
        async with office(table) as here:
            directory = directory_of(table, here, clock=Quick())
            with capture_logs() as lines:
                assert await directory.locate(ORG) is here.lane(0)
            assert [line["event"] for line in lines] == ["organization.unlocated"] * 2

    run(scenario())


def test_a_database_that_stays_away_is_unavailable_after_the_patience_and_asked_anew_later() -> None:
    async def scenario() -> None:
        table, clock = Table(), Quick()
        async with office(table) as here:
            directory = directory_of(table, here, clock=clock)
            table.away = True
            with pytest.raises(TidingsError) as refusal:
                await directory.locate(ORG)
            assert refusal.value.code is Code.UNAVAILABLE
            assert 3.0 <= clock.monotonic() < 4.0
            table.away = False
            assert await directory.locate(ORG) is here.lane(0)

    run(scenario())


def test_past_its_limit_the_oldest_organization_leaves_and_is_looked_up_again() -> None:
    async def scenario() -> None:
        orgs = [bytes([number]) * 16 for number in range(5)]
        table = Table()
        table.partitions = dict.fromkeys(orgs, 0)
        async with office(table) as here:
            directory = directory_of(table, here, organizations_max=3)
            for org in orgs:
                await directory.locate(org)
            assert [directory.known(org) is not None for org in orgs] == [False, False, True, True, True]
            await directory.locate(orgs[0])
            assert table.asked == [*orgs, orgs[0]]

    run(scenario())


def test_a_look_up_ends_with_its_owner() -> None:
    async def scenario() -> None:
        table = Table()
        table.away = True
        async with office(table) as here:
            asking = asyncio.create_task(directory_of(table, here).locate(ORG))
            await until(lambda: table.asked)
            asking.cancel()
        await asyncio.wait({asking})
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(scenario())

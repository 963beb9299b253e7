"""Partitions come to rest where they belong, and stay while anybody is missing."""

import asyncio
from collections.abc import Awaitable, Callable

from structlog.testing import capture_logs

from actors.placement import RECONCILE_S, STEADY_ROUNDS, OwnerControl, Placement
from actors.streams.owner import StreamOwner
from adapters.clock import SystemClock
from adapters.postgres.pool import Database
from adapters.postgres.streams import RouteReader
from core.instants import Instant
from core.streams.outcome import Committed
from tests.helpers.links import until
from tests.helpers.loop import run
from tests.helpers.organizations import make_organization
from tests.helpers.owners import owner_of, publish

PARTITIONS = 4


class Control:
    """One owner, as placement sees it; `gone` or deaf on demand."""

    def __init__(self) -> None:
        self.gone = False
        self.deaf = False
        self.told: list[set[int]] = []

    async def ping(self) -> None:
        if self.gone:
            raise ConnectionError

    async def rebalance(self, partitions: set[int]) -> None:
        if self.deaf:
            raise ConnectionError
        self.told.append(partitions)


class Local:
    """Control of an owner in this process."""

    def __init__(self, owner: StreamOwner) -> None:
        self._owner = owner

    async def ping(self) -> None:
        """Answer."""

    async def rebalance(self, partitions: set[int]) -> None:
        await self._owner.rebalance(partitions)


class Seconds:
    """A clock whose next round begins when the test says so."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self._passed = 0
        self._round = asyncio.Event()

    def now(self) -> Instant:
        return Instant(0)

    def monotonic(self) -> float:
        return sum(self.slept)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await self._round.wait()
        self._round.clear()

    @property
    def is_asleep(self) -> bool:
        return len(self.slept) > self._passed

    def pass_one(self) -> None:
        self._passed += 1
        self._round.set()


def placement_of(
    owners: dict[str, Control], holders: dict[int, str], clock: SystemClock | Seconds | None = None
) -> Placement:
    async def read() -> dict[int, str]:
        return holders

    return Placement(owners, read, PARTITIONS, clock or SystemClock())


async def rounds(placement: Placement, number: int = STEADY_ROUNDS) -> None:
    for _ in range(number):
        await placement.reconcile()


async def pass_rounds(clock: Seconds, number: int) -> None:
    """Let rounds begin one after the other, and return when the last one has ended."""
    for _ in range(number):
        await until(lambda: clock.is_asleep)
        clock.pass_one()
    await until(lambda: clock.is_asleep)


def test_partitions_that_one_owner_took_over_go_back_to_the_other(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url, partition_id=0)
        database = await Database.open(database_url, 1)
        reader = RouteReader(database)

        async def holders() -> dict[int, str]:
            return {route.partition_id: route.owner for route in await reader.routes()}

        async with (
            owner_of(database_url, name="owner-0", partitions=frozenset()) as first,
            owner_of(database_url, name="owner-1", partitions=frozenset(range(PARTITIONS))) as second,
        ):
            assert isinstance(await second.submit(publish(org, "room:1")), Committed)
            controls: dict[str, OwnerControl] = {"owner-0": Local(first), "owner-1": Local(second)}
            await rounds(Placement(controls, holders, PARTITIONS, SystemClock()))
            await until(lambda: len(first.status()["partitions"]) == 2)
            assert await holders() == {0: "owner-0", 1: "owner-1", 2: "owner-0", 3: "owner-1"}
            outcome = await first.submit(publish(org, "room:1"))
            assert isinstance(outcome, Committed)
            assert outcome.seq == 2
        await database.close()

    run(scenario())


def test_an_owner_that_holds_its_share_is_left_alone() -> None:
    async def scenario() -> None:
        owners = {"a": Control(), "b": Control()}
        await rounds(placement_of(owners, {0: "a", 1: "b", 2: "a", 3: "b"}), 10)
        assert [control.told for control in owners.values()] == [[], []]

    run(scenario())


def test_nothing_moves_before_every_owner_has_answered_three_times_in_a_row() -> None:
    async def scenario() -> None:
        owners = {"a": Control(), "b": Control()}
        placement = placement_of(owners, {0: "a", 1: "a", 2: "a", 3: "a"})
        for gone_after in (1, STEADY_ROUNDS - 1):
            await rounds(placement, gone_after)
            owners["b"].gone = True
            await rounds(placement)
            owners["b"].gone = False
        await rounds(placement, STEADY_ROUNDS - 1)
        assert [control.told for control in owners.values()] == [[], []]
        await placement.reconcile()
        assert [control.told for control in owners.values()] == [[{0, 2}], [{1, 3}]]

    run(scenario())


def test_an_owner_is_told_its_whole_share_until_it_holds_it() -> None:
    async def scenario() -> None:
        owners, holders = {"a": Control(), "b": Control()}, {0: "", 1: "b", 2: "a", 3: "b"}
        placement = placement_of(owners, holders)
        await rounds(placement, STEADY_ROUNDS + 1)
        assert owners["a"].told == [{0, 2}, {0, 2}]
        holders[0] = "a"
        await rounds(placement)
        assert owners["a"].told == [{0, 2}, {0, 2}]
        assert owners["b"].told == []

    run(scenario())


def test_a_round_that_fails_is_logged_and_tried_again_a_second_later() -> None:
    async def scenario() -> None:
        owners, clock = {"a": Control(), "b": Control()}, Seconds()
        placement = placement_of(owners, {0: "b", 1: "b", 2: "b", 3: "b"}, clock)
        owners["a"].deaf = owners["b"].deaf = True
        with capture_logs() as lines:
            running = asyncio.create_task(placement.run())
            await pass_rounds(clock, STEADY_ROUNDS + 1)
            failed = [line for line in lines if line["event"] == "placement.failed"]
            assert [line["error"] for line in failed] == ["ConnectionError: "] * 2
            owners["a"].deaf = owners["b"].deaf = False
            await pass_rounds(clock, 1)
        assert [control.told for control in owners.values()] == [[{0, 2}], [{1, 3}]]
        assert set(clock.slept) == {RECONCILE_S}
        running.cancel()

    run(scenario())


def test_holders_that_cannot_be_read_move_nothing() -> None:
    async def scenario() -> None:
        owners, clock = {"a": Control()}, Seconds()

        async def unreadable() -> dict[int, str]:
            raise ConnectionError

        reading: Callable[[], Awaitable[dict[int, str]]] = unreadable
        running = asyncio.create_task(Placement(owners, reading, PARTITIONS, clock).run())
        with capture_logs() as lines:
            await pass_rounds(clock, STEADY_ROUNDS + 2)
        assert len([line for line in lines if line["event"] == "placement.failed"]) == 3
        assert owners["a"].told == []
        assert not running.done()
        running.cancel()

    run(scenario())


class Named(Control):
    """Notes in a list that all share when it is told."""

    def __init__(self, name: str, order: list[str]) -> None:
        super().__init__()
        self._name, self._order = name, order

    async def rebalance(self, partitions: set[int]) -> None:
        await super().rebalance(partitions)
        self._order.append(self._name)


def test_who_gives_is_told_before_who_takes() -> None:
    async def scenario() -> None:
        order: list[str] = []
        owners = {name: Named(name, order) for name in ("a", "b")}
        await rounds(placement_of(owners, dict.fromkeys(range(PARTITIONS), "b")))
        assert order[:2] == ["b", "a"]

    run(scenario())

"""The commands of one partition on their way to whoever owns it: in order, and none of them twice."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from adapters.links.lane import ABANDON_S, Lane
from adapters.links.server import LinkServer
from adapters.postgres.streams import Route
from core.errors import Code, TidingsError
from core.streams.event import Head
from core.streams.outcome import Committed, Outcome, Refused, Unknown
from settings import Links
from tests.contract.adapters.links.desk import (
    MOVING,
    ORG,
    OTHER,
    Desk,
    Office,
    Table,
    effect,
    office,
    one_command,
    served,
)
from tests.helpers.links import QUICK, until
from tests.helpers.loop import run
from tests.helpers.proxy import Proxy

PATIENT = QUICK.model_copy(update={"silence_s": 600.0})


@dataclass
class Place:
    """One owner as the routes name him."""

    desk: Desk
    server: LinkServer
    proxy: Proxy
    route: Route


@asynccontextmanager
async def owner(
    name: str = "owner-0", epoch: int = 1, *, holds: bool = False, links: Links = PATIENT
) -> AsyncIterator[Place]:
    desk = Desk(holds=holds)
    async with served(desk, name, links=links) as (server, address), Proxy(address) as proxy:
        yield Place(desk, server, proxy, Route(0, name, proxy.address, epoch))


@asynccontextmanager
async def joined(*places: Place, links: Links = PATIENT) -> AsyncIterator[tuple[Office, Lane, Table]]:
    """Give a lane whose route leads to the first of the places."""
    table = Table(places[0].route)
    async with office(table, links=links) as here:
        yield here, here.lane(), table


async def move(here: Office, table: Table, place: Place) -> None:
    """Let the partition be another owner's, and read that."""
    table.rows = [place.route]
    await here.book.refresh()


async def lose(here: Office, place: Place) -> None:
    """Cut the link, and return when the process has noticed."""
    before = len(here.lost)
    place.proxy.cut()
    await until(lambda: len(here.lost) > before)


def kinds(outcomes: list[Outcome]) -> list[type]:
    return [type(outcome) for outcome in outcomes]


# In order


def test_what_came_before_there_was_a_link_is_sent_first() -> None:
    async def scenario() -> None:
        async with owner() as one, joined(one) as (here, lane, _):
            commands = [one_command() for _ in range(50)]
            futures = [here.submit(command) for command in commands[:25]]
            await lane.opened()
            futures += [here.submit(command) for command in commands[25:]]
            assert kinds(await asyncio.gather(*futures)) == [Committed] * 50
            assert one.desk.ids == [command.event_id for command in commands]

    run(scenario())


def test_lost_links_change_no_order_and_send_nothing_twice() -> None:
    async def scenario() -> None:
        async with owner() as one, joined(one) as (here, lane, _):
            begun = one.desk.commands  # he tells of whatever he has begun with when he is asked
            one.desk.finds = lambda event_id: next((effect(c) for c in begun if c.event_id == event_id), None)
            futures, commands = [], []
            for turn in range(6):
                for number in range(20):
                    command = one_command(key=f"{turn}-{number}" if number % 2 else "")
                    commands.append(command)
                    futures.append(here.submit(command))
                await lane.opened()
                await until(lambda first=commands[-20].event_id: first in one.desk.ids)
                await lose(here, one)
            assert kinds(await asyncio.gather(*futures)) == [Committed] * 120
            unkeyed = [command.event_id for command in commands if not command.key]
            arrived = [event_id for event_id in one.desk.ids if event_id in set(unkeyed)]
            assert arrived == unkeyed
            first_arrivals = list(dict.fromkeys(one.desk.ids))
            assert first_arrivals == [command.event_id for command in commands]

    run(scenario())


def test_commands_that_the_owner_refuses_for_having_moved_go_in_order_to_the_next() -> None:
    async def scenario() -> None:
        async with owner() as old, owner("owner-1", 2) as new, joined(old) as (here, lane, table):
            await lane.opened()
            commands = [one_command() for _ in range(30)]
            old.desk.outcomes = {command.event_id: MOVING for command in commands[10:]}
            futures = [here.submit(command) for command in commands]
            await until(lambda: lane.link is None)
            futures.append(here.submit(later := one_command()))
            table.rows = [new.route]
            assert kinds(await asyncio.gather(*futures)) == [Committed] * 31
            assert new.desk.ids == [command.event_id for command in [*commands[10:], later]]
            assert new.desk.found == []  # a refusal needs no question

    run(scenario())


def test_nothing_goes_to_the_next_owner_while_the_former_may_still_answer() -> None:
    async def scenario() -> None:
        async with owner(holds=True) as old, owner("owner-1", 2) as new, joined(old) as (here, lane, table):
            await lane.opened()
            first = here.submit(one_command())
            await until(lambda: old.desk.held)
            await move(here, table, new)
            second = here.submit(one_command())
            await until(lambda: table.reads >= 4)  # it has looked for the owner again and again
            assert new.desk.commands == []
            assert not second.done()
            (held,) = old.desk.held.values()
            held.set_result(effect(old.desk.commands[0]))
            assert kinds([await first, await second]) == [Committed, Committed]
            assert new.desk.found == []

    run(scenario())


def test_a_former_owner_who_does_not_answer_is_abandoned_and_his_successor_is_asked() -> None:
    async def scenario() -> None:
        async with owner(holds=True) as old, owner("owner-1", 2) as new, joined(old) as (here, lane, table):
            await lane.opened()
            one, other, later = one_command(), one_command(), one_command()
            new.desk.finds = {one.event_id: effect(one)}.get
            futures = [here.submit(one), here.submit(other)]
            await until(lambda: len(old.desk.held) == 2)
            began = here.clock.monotonic()
            await move(here, table, new)
            futures.append(here.submit(later))
            assert kinds(await asyncio.gather(*futures)) == [Committed] * 3
            assert here.clock.monotonic() - began >= ABANDON_S
            assert sorted(new.desk.found) == sorted([one.event_id, other.event_id])
            assert new.desk.ids == [other.event_id, later.event_id]

    run(scenario())


# What a lost link leaves behind


@pytest.mark.parametrize("key", ["", "key"])
def test_a_command_of_unknown_fate_is_asked_for_unless_its_key_tells(key: str) -> None:
    async def scenario() -> None:
        async with owner(holds=True) as one, joined(one) as (here, lane, _):
            await lane.opened()
            command = one_command(key=key)
            outcome = here.submit(command)
            await until(lambda: one.desk.held)
            one.desk.holds = False
            await lose(here, one)
            assert isinstance(await outcome, Committed)
            assert one.desk.found == ([] if key else [command.event_id])
            assert one.desk.ids == [command.event_id] * 2

    run(scenario())


def test_the_time_that_an_owner_is_told_shrinks_while_a_command_waits() -> None:
    async def scenario() -> None:
        async with owner(holds=True) as one, joined(one) as (here, lane, _):
            await lane.opened()
            outcome = here.submit(one_command(left_ms=5_000))
            await until(lambda: one.desk.held)
            one.desk.holds = False
            await lose(here, one)
            assert isinstance(await outcome, Committed)
            first, second = (command.left_ms for command in one.desk.commands)
            assert 0 < second < first <= 5_000

    run(scenario())


def test_an_ephemeral_publication_is_never_sent_again() -> None:
    async def scenario() -> None:
        async with owner(holds=True) as one, joined(one) as (here, lane, _):
            await lane.opened()
            typing, kept = here.submit(one_command(ephemeral=True)), here.submit(one_command())
            await until(lambda: len(one.desk.held) == 2)
            one.desk.holds = False
            await lose(here, one)
            assert isinstance(await typing, Unknown)
            assert isinstance(await kept, Committed)
            assert len(one.desk.commands) == 3
            assert len(one.desk.found) == 1

    run(scenario())


def test_a_fate_that_its_owner_can_never_tell_is_unknown_and_keeps_nobody_waiting() -> None:
    async def scenario() -> None:
        async with owner(holds=True) as one, joined(one) as (here, lane, _):
            await lane.opened()
            lost = here.submit(one_command())
            await until(lambda: one.desk.held)
            one.desk.holds = False

            def broken(_: bytes) -> Outcome | None:
                raise RuntimeError

            one.desk.finds = broken
            await lose(here, one)
            after = here.submit(one_command())
            assert isinstance(await lost, Unknown)
            assert isinstance(await after, Committed)
            assert len(one.desk.commands) == 2

    run(scenario())


def test_while_its_owner_cannot_tell_yet_he_is_asked_again() -> None:
    async def scenario() -> None:
        async with owner(holds=True) as one, joined(one) as (here, lane, _):
            await lane.opened()
            command = one_command()
            lost = here.submit(command)
            await until(lambda: one.desk.held)
            told: list[Outcome | TidingsError] = [
                *(TidingsError(Code.PARTITION_MOVING), TidingsError(Code.UNAVAILABLE)),
                *(Unknown(), effect(command)),
            ]

            def tell(_: bytes) -> Outcome | None:
                answer = told.pop(0)
                if isinstance(answer, TidingsError):
                    raise answer
                return answer

            one.desk.finds = tell
            await lose(here, one)
            assert await lost == effect(command)
            assert told == []
            assert one.desk.ids == [command.event_id]

    run(scenario())


# Deadlines and endings


def test_past_their_deadline_kept_commands_are_settled_by_what_is_known_of_them() -> None:
    async def scenario() -> None:
        async with owner(holds=True) as one, joined(one) as (here, lane, table):
            await lane.opened()
            table.rows = []
            doubtful = here.submit(one_command(left_ms=1_000))
            await until(lambda: one.desk.held)
            one.proxy.refuse()
            await lose(here, one)
            unsent, patient = (
                here.submit(one_command(left_ms=1_000)),
                here.submit(one_command(left_ms=60_000)),
            )
            lane.expire(here.clock.monotonic())
            assert not unsent.done()
            lane.expire(here.clock.monotonic() + 1)
            assert isinstance(await doubtful, Unknown)
            refusal = await unsent
            assert isinstance(refusal, Refused)
            assert refusal.code == "deadline_exceeded"
            assert not patient.done()

    run(scenario())


def test_when_the_process_ends_everything_that_is_kept_is_settled() -> None:
    async def scenario() -> None:
        async with joined_without_owner() as (here, lane):
            futures = [here.submit(one_command()) for _ in range(5)]
            waiting = asyncio.create_task(lane.opened())
            await until(lambda: here.book.known)
            lane.abandon()
            assert kinds([future.result() for future in futures]) == [Refused] * 5
            with pytest.raises(asyncio.CancelledError):
                await waiting

    run(scenario())


@asynccontextmanager
async def joined_without_owner() -> AsyncIterator[tuple[Office, Lane]]:
    async with office(Table(Route(0, "", "", 3))) as here:
        yield here, here.lane()


def test_commands_count_where_they_are_and_nowhere_when_they_are_settled() -> None:
    async def scenario() -> None:
        few = PATIENT.model_copy(update={"outstanding_commands_max": 3})
        async with owner(holds=True) as one, joined(one, links=few) as (here, lane, _):
            link = await lane.opened()
            homeless = here.exchange.homeless
            futures = [here.submit(one_command()) for _ in range(3)]
            assert lane.budget is link.budget
            assert (link.budget.has_room, homeless.has_room) == (False, True)
            await until(lambda: len(one.desk.held) == 3)
            one.proxy.refuse()
            await lose(here, one)
            assert lane.budget is homeless
            assert (link.budget.has_room, homeless.has_room) == (True, False)
            one.desk.holds = False
            await one.proxy.listen()
            await asyncio.gather(*futures)
            assert lane.budget is not homeless
            assert lane.budget.has_room
            assert homeless.has_room

    run(scenario())


# Routes and watches


def test_a_lane_stays_open_while_its_route_is_the_same() -> None:
    async def scenario() -> None:
        async with owner() as one, owner("owner-1", 2) as new, joined(one) as (here, lane, table):
            link = await lane.opened()
            await here.book.refresh()
            assert lane.link is link
            await move(here, table, new)
            assert lane.link is None
            assert (await lane.opened()).owner == "owner-1"

    run(scenario())


def test_a_lane_waits_for_an_owner_when_there_is_none() -> None:
    async def scenario() -> None:
        async with owner() as one, joined(one) as (here, _, table):
            table.rows = [Route(0, "", "", 1)]
            outcome = here.submit(one_command())
            await until(lambda: table.reads >= 3)
            assert not outcome.done()
            table.rows = [one.route]
            assert isinstance(await outcome, Committed)

    run(scenario())


def test_what_is_watched_is_watched_again_at_every_new_link_and_owner() -> None:
    async def scenario() -> None:
        async with owner() as one, owner("owner-1", 2) as new, joined(one) as (here, lane, table):
            for org in (ORG, OTHER):
                lane.watch(org)
            await until(lambda: one.desk.listeners.keys() == {ORG, OTHER})
            lane.unwatch(OTHER)
            await until(lambda: one.desk.listeners.keys() == {ORG})
            await until(lambda: len(here.told) == 2)
            await lose(here, one)
            await until(lambda: len(here.told) == 3)
            await move(here, table, new)
            await until(lambda: new.desk.listeners.keys() == {ORG})
            await until(lambda: one.desk.listeners == {})
            await until(lambda: len(here.told) == 4)
            assert here.told[2:] == [Head(ORG, "epoch", 0)] * 2

    run(scenario())


def test_an_owner_who_refuses_connections_is_suspected() -> None:
    async def scenario() -> None:
        heir = Desk()
        async with owner() as gone, served(heir, "owner-1") as (_, address), joined(gone) as (here, _, table):
            table.rows.append(Route(1, "owner-1", address, 7))
            gone.proxy.refuse()
            outcome = here.submit(one_command())
            await until(lambda: heir.suspects == [(0, 1)])
            table.rows[0] = Route(0, "owner-1", address, 2)
            assert isinstance(await outcome, Committed)

    run(scenario())

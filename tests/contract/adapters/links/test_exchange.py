"""The links of one process: one to an owner, opened once, and used to tell of owners that are gone."""

import asyncio

import pytest
from structlog.testing import capture_logs

from adapters.links.exchange import SUSPECT_AGAIN_S
from adapters.links.link import OwnerLink, Unreachable
from adapters.postgres.streams import Route
from tests.contract.adapters.links.desk import Desk, Table, office, one_command, served
from tests.helpers.links import QUICK, until
from tests.helpers.loop import run
from tests.helpers.ports import free_port
from tests.helpers.proxy import Proxy


async def reached(attempt: object) -> OwnerLink:
    assert asyncio.iscoroutine(attempt)
    link = await attempt
    assert isinstance(link, OwnerLink)
    return link


def test_all_who_ask_for_an_owner_share_one_link() -> None:
    async def scenario() -> None:
        async with served(Desk()) as (_, address), Proxy(address) as proxy, office(Table()) as here:
            reach = here.exchange.reach
            asking = [asyncio.create_task(reached(reach("owner-0", proxy.address))) for _ in range(20)]
            await asyncio.sleep(0)
            asking[0].cancel()
            links = set(await asyncio.gather(*asking[1:]))
            links.add(await reached(reach("owner-0", proxy.address)))
            assert len(links) == proxy.accepted == 1
            assert here.exchange.links == list(links)

    run(scenario())


def test_a_link_that_has_ended_is_opened_anew() -> None:
    async def scenario() -> None:
        async with served(Desk()) as (_, address), Proxy(address) as proxy, office(Table()) as here:
            first = await reached(here.exchange.reach("owner-0", proxy.address))
            proxy.cut()
            await until(lambda: here.lost == [first])
            assert here.exchange.links == []
            second = await reached(here.exchange.reach("owner-0", proxy.address))
            assert second is not first
            assert here.exchange.links == [second]

    run(scenario())


def test_an_owner_at_a_new_address_has_a_new_link_and_loses_the_old_one() -> None:
    async def scenario() -> None:
        async with (
            served(Desk()) as (_, address),
            Proxy(address) as old,
            Proxy(address) as new,
            office(Table()) as here,
        ):
            first = await reached(here.exchange.reach("owner-0", old.address))
            second = await reached(here.exchange.reach("owner-0", new.address))
            await until(lambda: here.lost == [first])
            assert here.exchange.links == [second]

    run(scenario())


def test_who_cannot_be_reached_is_asked_again_at_the_next_call() -> None:
    async def scenario() -> None:
        async with served(Desk()) as (_, address), Proxy(address) as proxy, office(Table()) as here:
            proxy.refuse()
            for _ in range(2):
                assert await here.exchange.reach("owner-0", proxy.address) is Unreachable.REFUSED
            await proxy.listen()
            await reached(here.exchange.reach("owner-0", proxy.address))

    run(scenario())


@pytest.mark.parametrize("linked", [True, False])
def test_an_owner_who_is_gone_is_reported_to_a_living_one(*, linked: bool) -> None:
    async def scenario() -> None:
        desk = Desk()
        async with served(desk, "owner-1") as (_, address):
            gone = Route(0, "owner-0", f"127.0.0.1:{free_port()}", 5)
            table = Table(gone, Route(1, "owner-1", address, 2), Route(2, "", "", 1))
            async with office(table) as here:
                await here.book.refresh()
                if linked:
                    await reached(here.exchange.reach("owner-1", address))
                here.exchange.suspect(gone)
                await until(lambda: desk.suspects == [(0, 5)])

    run(scenario())


def test_a_partition_is_reported_once_a_second_and_again_at_once_under_a_new_epoch() -> None:
    async def scenario() -> None:
        desk = Desk()
        async with served(desk, "owner-1") as (_, address), office(Table()) as here:
            link = await reached(here.exchange.reach("owner-1", address))
            for partition_id, epoch in ((0, 5), (0, 5), (1, 5), (0, 6), (0, 6)):
                here.exchange.suspect(Route(partition_id, "owner-0", "nowhere:1", epoch))
            await until(lambda: len(desk.suspects) >= 3)
            assert await link.find(one_command()) is None  # whatever was said before it has arrived
            assert desk.suspects == [(0, 5), (1, 5), (0, 6)]
            began = here.clock.monotonic()
            while len(desk.suspects) == 3:
                here.exchange.suspect(Route(0, "owner-0", "nowhere:1", 6))
                await asyncio.sleep(0.01)
                assert here.clock.monotonic() - began < SUSPECT_AGAIN_S + 3
            assert desk.suspects[3] == (0, 6)

    run(scenario())


def test_when_nobody_lives_a_suspicion_is_logged_and_told_to_nobody() -> None:
    async def scenario() -> None:
        gone = Route(0, "owner-0", f"127.0.0.1:{free_port()}", 5)
        table = Table(gone, Route(1, "owner-1", f"127.0.0.1:{free_port()}", 1))
        async with office(table) as here:
            await here.book.refresh()
            with capture_logs() as lines:
                here.exchange.suspect(gone)
                await until(lambda: any(line["event"] == "owner.suspected" for line in lines))
            (line,) = [line for line in lines if line["event"] == "owner.suspected"]
            assert (line["owner"], line["partition"], line["epoch"], line["told"]) == ("owner-0", 0, 5, "")

    run(scenario())


def test_an_owner_who_falls_silent_loses_his_link_and_the_others_keep_theirs() -> None:
    async def scenario() -> None:
        async with (
            served(Desk(), "owner-0") as (_, first),
            served(Desk(), "owner-1") as (_, second),
            Proxy(first) as proxy,
            office(Table()) as here,
        ):
            silent = await reached(here.exchange.reach("owner-0", proxy.address))
            living = await reached(here.exchange.reach("owner-1", second))
            proxy.down.stall()
            await until(lambda: here.lost)
            assert here.lost == [silent]
            assert here.exchange.links == [living]

    run(scenario())


def test_closing_sends_what_was_said_and_ends_every_link() -> None:
    async def scenario() -> None:
        desks = [Desk(holds=True), Desk(holds=True)]
        async with (
            served(desks[0], "owner-0", links=QUICK) as (_, first),
            served(desks[1], "owner-1", links=QUICK) as (_, second),
        ):
            async with office(Table(Route(0, "owner-0", first, 1), Route(1, "owner-1", second, 1))) as here:
                for number in (0, 1):
                    await here.lane(number).opened()
                    here.submit(one_command(), here.lane(number))
                here.exchange.close()
                assert here.exchange.links == []
                assert len(here.lost) == 2
            await until(lambda: all(desk.commands and desk.forgotten for desk in desks))

    run(scenario())

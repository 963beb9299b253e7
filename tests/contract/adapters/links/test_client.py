"""The caller's promises, over real sockets, a real owner and a real database."""

import asyncio
import random
import time

from adapters.links.client import LinkClient
from adapters.postgres.pool import Database
from core.streams.command import Command, Publish
from core.streams.event import EphemeralPublication
from core.streams.outcome import Committed, Outcome, Refused, Unknown
from tests.helpers.links import QUICK, Ears, Node, caller, node, until
from tests.helpers.loop import run
from tests.helpers.organizations import make_organization
from tests.helpers.owners import ENTROPY, publish
from tests.helpers.postgres_proxy import Cut, PostgresProxy
from tests.helpers.proxy import Proxy


def committed(outcome: Outcome) -> Committed:
    assert isinstance(outcome, Committed), outcome
    return outcome


class Typing(Ears):
    """Hears what is not in the log."""

    @property
    def typed(self) -> list[EphemeralPublication]:
        return [said for said in self.told if isinstance(said, EphemeralPublication)]


async def event_ids(database_url: str) -> list[bytes]:
    """Return the event ids of the log, by organization and seq."""
    database = await Database.open(database_url, 1)
    try:
        rows = await database.fetch("SELECT id FROM events ORDER BY organization_id, seq")
        return [row["id"].bytes for row in rows]
    finally:
        await database.close()


async def until_committed(one: Node, organization_id: bytes, seq: int) -> None:
    """Return once this owner's head has reached `seq`."""
    async with asyncio.timeout(10):
        while (await one.owner.head(organization_id)).seq < seq:  # noqa: ASYNC110 (he tells only when asked)
            await asyncio.sleep(0.005)


async def publish_many(
    client: LinkClient, organization_id: bytes, writers: int, each: int, *, keyed: bool
) -> list[tuple[Command, Outcome]]:
    """Let `writers` publish one after the other each, and return all commands with their outcomes."""
    done: list[tuple[Command, Outcome]] = []

    async def writer(number: int) -> None:
        for turn in range(each):
            key = f"{number}-{turn}" if keyed else ""
            one = publish(organization_id, f"room:{number}", b"%d" % turn, key=key)
            done.append((one, await client.submit(one)))

    await asyncio.gather(*(writer(number) for number in range(writers)))
    return done


def test_a_command_is_committed_through_a_link(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with node(database_url), caller(database_url) as client:
            outcomes = await asyncio.gather(*(client.submit(publish(org, "room:1")) for _ in range(50)))
            assert [committed(outcome).seq for outcome in outcomes] == list(range(1, 51))

    run(scenario())


def test_commands_of_one_tick_take_effect_in_the_order_of_the_calls(database_url: str) -> None:
    async def scenario() -> None:
        orgs = [await make_organization(database_url, partition_id=n % 2) for n in range(4)]
        async with node(database_url, partitions=frozenset({0, 1})), caller(database_url) as client:
            commands = [publish(org, "room:1") for _ in range(100) for org in orgs]
            outcomes = await asyncio.gather(*(client.submit(one) for one in commands))
            for number in range(4):
                mine = [committed(outcome).offsets for outcome in outcomes[number::4]]
                assert mine == [(n,) for n in range(1, 101)]

    run(scenario())


def test_cut_links_under_load_lose_nothing_and_duplicate_nothing(database_url: str) -> None:
    async def scenario() -> None:
        chance = random.Random(7)  # noqa: S311 (when to cut)
        org = await make_organization(database_url)
        async with node(database_url) as one, caller(database_url) as client:
            for keyed in (False, True):
                work = asyncio.create_task(publish_many(client, org, 40, 20, keyed=keyed))
                cuts = 0
                while not work.done():
                    await asyncio.sleep(chance.uniform(0.01, 0.06))
                    one.proxy.cut()
                    cuts += 1
                done = await work
                assert cuts >= 3
                assert all(isinstance(outcome, Committed) for _, outcome in done)
                assert not any(committed(outcome).replayed for _, outcome in done)
                in_log = await event_ids(database_url)
                assert len(in_log) == len(set(in_log))
                assert {command.event_id for command, _ in done} <= set(in_log)
            assert len(in_log) == 1600

    run(scenario())


def test_the_order_of_a_caller_is_kept_over_cut_links(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with node(database_url) as one, caller(database_url) as client:
            futures = []
            for turn in range(600):
                key = f"k{turn}" if turn % 3 == 0 else ""
                futures.append(client.submit(publish(org, "room:1", key=key)))
                if turn % 100 == 50:
                    one.proxy.cut()
                if turn % 10 == 0:
                    await asyncio.sleep(0.001)
            outcomes = await asyncio.gather(*futures)
            assert [committed(outcome).offsets for outcome in outcomes] == [(n,) for n in range(1, 601)]

    run(scenario())


def test_a_stalled_link_is_closed_for_its_silence_and_recovers(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with node(database_url) as one, caller(database_url) as client:
            await client.submit(publish(org, "room:1"))
            one.proxy.stall()
            stalled = [client.submit(publish(org, "room:1")) for _ in range(20)]
            await until(lambda: not one.server.processes)
            one.proxy.resume()
            outcomes = await asyncio.gather(*stalled)
            assert [committed(outcome).seq for outcome in outcomes] == list(range(2, 22))
            in_log = await event_ids(database_url)
            assert len(in_log) == len(set(in_log)) == 21

    run(scenario())


def test_a_link_that_is_open_on_one_side_only_is_closed_and_replaced(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with node(database_url) as one, caller(database_url) as client:
            await client.submit(publish(org, "room:1"))
            one.proxy.down.stall()  # the owner hears and commits, but his answers do not arrive
            lost = client.submit(publish(org, "room:1"))
            await until_committed(one, org, 2)
            one.proxy.connections[0].cut()
            one.proxy.down.resume()
            assert committed(await lost).seq == 2
            assert len(await event_ids(database_url)) == 2

    run(scenario())


def test_a_planned_move_is_seen_as_latency_only(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with (
            node(database_url, "owner-0", frozenset({0, 1})) as first,
            node(database_url, "owner-1", frozenset({2, 3})) as second,
            caller(database_url) as client,
        ):
            work = asyncio.create_task(publish_many(client, org, 20, 50, keyed=False))
            for turn in range(2):
                await until_committed(first, org, turn * 400 + 50)
                await first.owner.rebalance({1})
                await second.owner.rebalance({0, 2, 3})
                await until_committed(second, org, turn * 400 + 250)
                assert not work.done()
                await second.owner.rebalance({2, 3})
                await first.owner.rebalance({0, 1})
            done = await work
            assert all(isinstance(outcome, Committed) for _, outcome in done)
            in_log = await event_ids(database_url)
            assert len(in_log) == len(set(in_log)) == 1000

    run(scenario())


def test_an_owner_who_refuses_connections_is_replaced_within_two_seconds(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with (
            node(database_url, "owner-0", frozenset({0, 1})) as first,
            node(database_url, "owner-1", frozenset({2, 3})) as second,
            caller(database_url) as client,
        ):
            await client.submit(publish(org, "room:1"))
            first.proxy.refuse()
            first.proxy.cut()
            began = time.monotonic()
            outcomes = await asyncio.gather(*(client.submit(publish(org, "room:1")) for _ in range(20)))
            assert time.monotonic() - began < 2
            assert [committed(outcome).seq for outcome in outcomes] == list(range(2, 22))
            assert "0" in second.owner.status()["partitions"]
            await asyncio.wait_for(first.owner.fenced.wait(), 5)

    run(scenario())


def test_an_owner_fenced_in_doubt_makes_nobody_send_twice(database_url: str) -> None:
    """The owner's COMMIT has no answer, and before he can look another one takes the partition."""

    async def scenario() -> None:
        org = await make_organization(database_url)
        address, _, rest = database_url.partition("?")
        socket = rest.partition("host=")[2].partition("&")[0] + "/.s.PGSQL.5432"
        async with PostgresProxy(socket) as server, Proxy(f"127.0.0.1:{server.port}") as way:
            database = address.rpartition("/")[2]
            commit_url = f"postgresql://postgres@{way.address}/{database}?sslmode=disable"
            async with (
                node(database_url, "owner-0", commit_url=commit_url) as first,
                node(database_url, "owner-1", frozenset({1})) as second,
                caller(database_url) as client,
            ):
                await client.submit(publish(org, "room:1"))
                way.refuse()
                cut = asyncio.create_task(server.cut_next(Cut.ANSWERED, 5))
                await asyncio.sleep(0)
                doubtful = client.submit(publish(org, "room:1"))
                await cut
                epoch = first.owner.status()["partitions"]["0"]
                await second.owner.suspect(0, epoch)
                await way.listen()
                assert committed(await doubtful).seq == 2
                await asyncio.wait_for(first.owner.fenced.wait(), 5)
                assert len(await event_ids(database_url)) == 2

    run(scenario())


def test_a_command_without_an_owner_is_refused_at_its_deadline(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with caller(database_url) as client:
            one = Command(org, ENTROPY.id(), Publish(("room:1",), b"{}"), 300)
            outcome = await client.submit(one)
            assert isinstance(outcome, Refused)
            assert outcome.code == "deadline_exceeded"

    run(scenario())


def test_a_command_whose_owner_falls_silent_is_unknown_at_its_deadline(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with node(database_url) as one, caller(database_url) as client:
            await client.submit(publish(org, "room:1"))
            one.proxy.down.stall()
            began = time.monotonic()
            lost = Command(org, ENTROPY.id(), Publish(("room:1",), b"{}"), 300)
            assert isinstance(await client.submit(lost), Unknown)
            assert time.monotonic() - began < 1
            one.proxy.down.resume()
            assert committed(await client.submit(publish(org, "room:1"))).seq == 3

    run(scenario())


def test_an_unknown_organization_is_not_found(database_url: str) -> None:
    async def scenario() -> None:
        async with caller(database_url) as client:
            outcome = await client.submit(publish(ENTROPY.id(), "room:1"))
            assert isinstance(outcome, Refused)
            assert outcome.code == "not_found"

    run(scenario())


def test_past_the_outstanding_commands_capacity_is_reduced(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        small = QUICK.model_copy(update={"outstanding_commands_max": 10})
        async with node(database_url) as one, caller(database_url, links=small) as client:
            await client.submit(publish(org, "room:1"))
            one.proxy.up.delay_s = 0.1
            outcomes = await asyncio.gather(*(client.submit(publish(org, "room:1")) for _ in range(15)))
            refused = [outcome for outcome in outcomes if isinstance(outcome, Refused)]
            assert {(outcome.code, outcome.retry_after_s) for outcome in refused} == {("capacity_reduced", 1)}
            assert len(refused) == 5
            assert committed(await client.submit(publish(org, "room:1"))).seq == 12

    run(scenario())


def test_the_callers_cancellation_does_not_cancel_the_command(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with node(database_url), caller(database_url) as client:

            async def impatient() -> None:
                await client.submit(publish(org, "room:1"))

            task = asyncio.create_task(impatient())
            await asyncio.sleep(0)
            task.cancel()
            assert committed(await client.submit(publish(org, "room:1"))).seq == 2

    run(scenario())


def test_a_lost_ephemeral_publication_is_not_sent_twice(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with node(database_url) as one, caller(database_url) as client:
            await client.submit(publish(org, "room:1"))
            one.proxy.down.stall()
            typing = Command(org, ENTROPY.id(), Publish(("room:1",), b"{}", ephemeral=True), 5_000)
            ears = Typing()
            one.owner.watch(org, ears)
            future = client.submit(typing)
            await until(lambda: ears.typed)
            one.proxy.cut()
            assert isinstance(await future, Unknown)
            one.proxy.down.resume()
            committed(await client.submit(publish(org, "room:1")))
            assert len(ears.typed) == 1

    run(scenario())


def test_who_is_heard_no_more_is_not_sent_any_more_though_its_place_was_forgotten(database_url: str) -> None:
    async def scenario() -> None:
        watched, other = await make_organization(database_url), await make_organization(database_url)
        few = QUICK.model_copy(update={"organizations_max": 1})
        async with node(database_url) as one, caller(database_url, links=few) as client:
            ears = Ears()
            client.watch(watched, ears)
            await until(lambda: ears.told)
            committed(await client.submit(publish(other, "room:1")))  # the first leaves the directory
            client.unwatch(watched, ears)
            await until(lambda: watched not in one.owner._watchers.organizations)  # noqa: SLF001 (who is left)

    run(scenario())

"""What a listener of this process is told of an organization."""

import asyncio

from core.ports import LiveListener
from core.streams.command import Command, Publish
from core.streams.event import Head, LiveBatch
from core.streams.outcome import Committed
from tests.helpers.links import Ears, caller, node, until
from tests.helpers.loop import run
from tests.helpers.organizations import make_organization
from tests.helpers.owners import ENTROPY, publish


class Reader:
    """Follows as a gateway does: a head is read up to, a batch must join on."""

    def __init__(self) -> None:
        self.position: int | None = None
        self.holes: list[tuple[int, int]] = []

    def on_head(self, head: Head) -> None:
        self.position = max(self.position or 0, head.seq)

    def on_live(self, batch: LiveBatch) -> None:
        assert self.position is not None, "a batch before the first head"
        for event in batch.events:
            if event.seq > self.position + 1:
                self.holes.append((self.position, event.seq))
            self.position = max(self.position, event.seq)

    def on_ephemeral(self, publication: object) -> None:
        """Not followed."""


class Broken(Ears):
    def on_live(self, batch: LiveBatch) -> None:
        raise RuntimeError(batch)


def test_a_listener_hears_the_head_and_then_what_is_committed_after_it(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with node(database_url), caller(database_url) as client:
            await client.submit(publish(org, "room:1"))
            ears = Ears()
            client.watch(org, ears)
            client.watch(org, ears)
            await until(lambda: ears.told)
            assert isinstance(ears.told[0], Head)
            assert ears.heads[0] == 1
            await asyncio.gather(*(client.submit(publish(org, "room:1")) for _ in range(50)))
            await until(lambda: len(ears.seqs) == 50)
            assert ears.seqs == list(range(2, 52))
            assert [event.entries for event in ears.events] == [(("room:1", n),) for n in range(2, 52)]

    run(scenario())


def test_a_second_listener_hears_the_head_first_too(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with node(database_url), caller(database_url) as client:
            first, second = Ears(), Ears()
            client.watch(org, first)
            await until(lambda: first.told)
            work = asyncio.gather(*(client.submit(publish(org, "room:1")) for _ in range(50)))
            client.watch(org, second)
            await work
            await until(lambda: len(first.seqs) == 50 and second.seqs[-1:] == [50])
            assert isinstance(second.told[0], Head)
            assert second.seqs == list(range(second.heads[0] + 1, 51))
            client.unwatch(org, first)
            await client.submit(publish(org, "room:1"))
            await until(lambda: second.seqs[-1:] == [51])
            assert first.seqs[-1] == 50

    run(scenario())


def test_after_cut_links_the_head_comes_again_and_no_hole_is_left_unannounced(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with node(database_url) as one, caller(database_url) as client:
            reader = Reader()
            client.watch(org, reader)
            for _ in range(6):
                for _ in range(10):
                    await asyncio.gather(*(client.submit(publish(org, "room:1")) for _ in range(10)))
                one.proxy.cut()
            await until(lambda: reader.position == 600)
            assert reader.holes == []

    run(scenario())


def test_a_watch_follows_its_partition_to_another_owner(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with (
            node(database_url, "owner-0", frozenset({0})) as first,
            node(database_url, "owner-1", frozenset({1})) as second,
            caller(database_url, "writer") as writer,
            caller(database_url, "reader") as client,
        ):
            reader = Reader()
            client.watch(org, reader)
            await until(lambda: reader.position == 0)
            await first.owner.rebalance(set())
            first.server.announce_move(0)
            await second.owner.rebalance({0, 1})
            assert isinstance(await writer.submit(publish(org, "room:1")), Committed)
            await until(lambda: reader.position == 1)
            assert isinstance(await writer.submit(publish(org, "room:1")), Committed)
            await until(lambda: reader.position == 2)
            assert reader.holes == []

    run(scenario())


def test_ephemeral_publications_are_heard_and_move_no_position(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with node(database_url), caller(database_url) as client:
            ears = Ears()
            client.watch(org, ears)
            await until(lambda: ears.told)
            typing = Publish(("room:1",), b"typing", ephemeral=True)
            await client.submit(Command(org, ENTROPY.id(), typing, 5_000))
            await until(lambda: len(ears.told) > 1)
            assert ears.seqs == []
            assert (await client.head(org)).seq == 0

    run(scenario())


def test_a_listener_that_fails_harms_neither_the_link_nor_its_neighbours(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with node(database_url) as one, caller(database_url) as client:
            broken: LiveListener = Broken()
            sound = Ears()
            client.watch(org, broken)
            client.watch(org, sound)
            await until(lambda: sound.told)
            for _ in range(3):
                await client.submit(publish(org, "room:1"))
            await until(lambda: sound.seqs == [1, 2, 3])
            assert one.proxy.accepted == 1

    run(scenario())


def test_a_watch_without_an_owner_begins_when_there_is_one(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with caller(database_url) as client:
            ears = Ears()
            client.watch(org, ears)
            async with node(database_url):
                await until(lambda: ears.heads)

    run(scenario())

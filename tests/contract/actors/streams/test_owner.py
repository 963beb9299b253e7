"""The owner's promises, against a real database."""

import asyncio

import asyncpg
import orjson
import pytest

from core.errors import Code, TidingsError
from core.streams.append import REFERRERS_MAX
from core.streams.command import Atomic, Condition, Create, Delete, Item, Patch, Publish, Put, Target
from core.streams.event import EphemeralPublication, Head, LiveBatch
from core.streams.outcome import Committed, Outcome, Refused
from settings import Log
from tests.helpers.eventually import eventually
from tests.helpers.loop import run
from tests.helpers.organizations import make_organization
from tests.helpers.owners import ENTROPY, command, owner_of, publish

SET_LEASE = """
UPDATE partitions SET owner = 'another', lease_until = now() + $2::text::interval WHERE partition_id = $1
"""


class Ears:
    """Notes what a listener is told."""

    def __init__(self) -> None:
        self.events: list[int] = []
        self.heads: list[int] = []
        self.ephemeral: list[bytes] = []
        self.heard = asyncio.Event()

    def on_live(self, batch: LiveBatch) -> None:
        self.events += [event.seq for event in batch.events]

    def on_head(self, head: Head) -> None:
        self.heads.append(head.seq)
        self.heard.set()

    def on_ephemeral(self, publication: EphemeralPublication) -> None:
        self.ephemeral.append(publication.data)


def committed(outcome: Outcome) -> Committed:
    assert isinstance(outcome, Committed), outcome
    return outcome


def refused(outcome: Outcome) -> Refused:
    assert isinstance(outcome, Refused), outcome
    return outcome


def test_numbers_are_contiguous_per_organization_and_channel(database_url: str) -> None:
    async def scenario() -> None:
        first, second = await make_organization(database_url), await make_organization(database_url)
        async with owner_of(database_url) as owner:
            outcomes = await asyncio.gather(
                *(owner.submit(publish(org, f"room:{n % 3}")) for n in range(60) for org in (first, second))
            )
        for number in (0, 1):
            mine = [committed(outcome) for outcome in outcomes[number::2]]
            assert [outcome.seq for outcome in mine] == list(range(1, 61))
            for channel in range(3):
                assert [outcome.offsets for outcome in mine[channel::3]] == [(n,) for n in range(1, 21)]

    run(scenario())


def test_who_went_away_while_the_partition_is_looked_up_holds_up_nobody_behind_it(database_url: str) -> None:
    async def scenario() -> None:
        org, nobody = await make_organization(database_url), ENTROPY.id()
        async with owner_of(database_url) as owner:
            for one in (nobody, org):
                sources = (None, "link", None)
                gone, lost, waiting = (owner.submit(publish(one, "a"), source) for source in sources)
                gone.cancel()
                lost.cancel()
                owner.forget("link")
                async with asyncio.timeout(5):
                    outcome = await waiting
                assert (refused(outcome).code == "not_found") if one is nobody else committed(outcome)

    run(scenario())


def test_a_head_that_the_database_does_not_confirm_in_time_is_unavailable(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        admin = await asyncpg.connect(database_url)
        async with owner_of(database_url, settings=Log(request_deadline_ms=200)) as owner:
            assert (await owner.head(org)).seq == 0
            async with admin.transaction():
                await admin.execute("LOCK partitions IN ACCESS EXCLUSIVE MODE")
                async with asyncio.timeout(2):
                    with pytest.raises(TidingsError) as refusal:
                        await owner.head(org)
                assert refusal.value.code is Code.UNAVAILABLE
            assert (await owner.head(org)).seq == 0
        await admin.close()

    run(scenario())


def test_an_owner_that_restarts_goes_on_where_it_stopped(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        for expected in (1, 2, 3):
            async with owner_of(database_url) as owner:
                outcome = committed(await owner.submit(publish(org, "room:1")))
                assert (outcome.seq, outcome.offsets, outcome.epoch) == (expected, (expected,), "epochone")

    run(scenario())


def test_a_hundred_identical_requests_have_one_effect(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with owner_of(database_url) as owner:
            outcomes = await asyncio.gather(
                *(owner.submit(publish(org, "room:1", key="once")) for _ in range(100))
            )
            again = committed(await owner.submit(publish(org, "room:1", key="once")))
            head = await owner.head(org)
        effects = {outcome.seq for outcome in outcomes if isinstance(outcome, Committed)}
        others = {outcome.code for outcome in outcomes if isinstance(outcome, Refused)}
        assert effects == {1}
        assert others <= {"idempotency_in_flight"}
        assert again.replayed
        assert again.seq == 1
        assert head.seq == 1

    run(scenario())


def test_the_same_key_with_another_request_is_refused(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with owner_of(database_url) as owner:
            operation = Publish(("room:1",), b"{}")
            await owner.submit(command(org, operation, key="k", fingerprint=b"one"))
            other = await owner.submit(command(org, operation, key="k", fingerprint=b"two"))
            assert refused(other).code == "idempotency_mismatch"

    run(scenario())


def test_a_repeat_in_flight_with_the_same_event_id_joins_the_first(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with owner_of(database_url) as owner:
            one = publish(org, "room:1")
            first, second = await asyncio.gather(owner.submit(one), owner.submit(one))
            assert committed(first).seq == committed(second).seq == 1
            assert await owner.find(org, one.event_id) == first
            assert await owner.find(org, ENTROPY.id()) is None

    run(scenario())


def test_a_stale_owner_writes_nothing_and_says_that_it_is_fenced(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with owner_of(database_url, name="old") as old:
            committed(await old.submit(publish(org, "room:1")))
            epoch = old.status()["partitions"]["0"]
            async with owner_of(database_url, name="new", partitions=frozenset()) as new:
                await new.suspect(0, epoch)
                assert committed(await new.submit(publish(org, "room:1"))).seq == 2
                late = await old.submit(publish(org, "room:1"))
                assert refused(late).code == "partition_moving"
                await asyncio.wait_for(old.fenced.wait(), 5)
                assert committed(await new.submit(publish(org, "room:1"))).seq == 3

    run(scenario())


def test_what_a_silent_owner_left_is_adopted_by_whoever_lives(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url, partition_id=1)
        connection = await asyncpg.connect(database_url)
        try:
            for partition_id, lease in ((0, "1 hour"), (1, "-1 second")):
                await connection.execute(SET_LEASE, partition_id, lease)
        finally:
            await connection.close()
        async with owner_of(database_url, name="new", partitions=frozenset()) as new:
            assert await eventually(lambda: "1" in new.status()["partitions"], within_s=5)
            assert "0" not in new.status()["partitions"]
            assert committed(await new.submit(publish(org, "room:1"))).seq == 1

    run(scenario())


def test_listeners_hear_what_is_committed_in_order_and_heads(database_url: str) -> None:
    async def scenario() -> None:
        org, ears = await make_organization(database_url), Ears()
        async with owner_of(database_url) as owner:
            owner.watch(org, ears)
            await asyncio.wait_for(ears.heard.wait(), 5)
            await asyncio.gather(*(owner.submit(publish(org, "room:1")) for _ in range(50)))
            ephemeral = Publish(("room:1",), b'"typing"', ephemeral=True)
            outcome = committed(await owner.submit(command(org, ephemeral)))
            owner.unwatch(org, ears)
            await owner.submit(publish(org, "room:1"))
        assert ears.heads[0] == 0
        assert ears.events == list(range(1, 51))
        assert ears.ephemeral == [b'"typing"']
        assert (outcome.seq, outcome.offsets) == (50, ())

    run(scenario())


def test_a_full_queue_refuses_and_says_when_to_come_back(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with owner_of(database_url, settings=Log(queue_commands_max=10)) as owner:
            await owner.submit(publish(org, "room:1"))
            outcomes = await asyncio.gather(*(owner.submit(publish(org, "room:1")) for _ in range(50)))
        codes = [outcome.code for outcome in outcomes if isinstance(outcome, Refused)]
        assert set(codes) == {"capacity_reduced"}
        assert len(codes) == 40

    run(scenario())


def test_resources_are_created_patched_and_deleted_with_their_events(database_url: str) -> None:
    async def scenario() -> None:
        org, room_id, message_id = await make_organization(database_url), ENTROPY.id(), ENTROPY.id()
        async with owner_of(database_url) as owner:
            room = Create("room", room_id, b'{"name":"Lobby"}', "lobby")
            assert committed(await owner.submit(command(org, room))).version == 1
            message = Create("message", message_id, b'{"room_id":"ext:lobby","text":"Hello"}')
            created = committed(await owner.submit(command(org, message)))
            document = orjson.loads(created.document)
            assert document["room_id"].startswith("room_")
            assert created.offsets == (1, 2)  # the room itself stands first in its channel
            target = Target("message", message_id)
            patched = committed(
                await owner.submit(command(org, Patch(target, b'{"text":"Hi"}', Condition(1))))
            )
            assert (patched.effect, patched.version, patched.seq) == ("patched", 2, 3)
            same = committed(await owner.submit(command(org, Patch(target, b'{"text":"Hi"}'))))
            assert (same.effect, same.version, same.seq) == ("unchanged", 2, 3)
            stale = refused(await owner.submit(command(org, Patch(target, b'{"text":"x"}', Condition(1)))))
            assert (stale.code, stale.version) == ("precondition_failed", 2)
            fixed = refused(await owner.submit(command(org, Patch(target, b'{"room_id":"ext:other"}'))))
            assert fixed.errors[0].code == "not_found"
            used = refused(await owner.submit(command(org, Delete(Target("room", room_id)))))
            assert used.code == "conflict"
            deleted = committed(await owner.submit(command(org, Delete(target))))
            assert (deleted.effect, deleted.seq) == ("deleted", 4)
            assert committed(await owner.submit(command(org, Delete(Target("room", room_id))))).seq == 5
            assert refused(await owner.submit(command(org, Delete(target)))).code == "not_found"

    run(scenario())


def test_one_bad_command_fails_alone(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with owner_of(database_url) as owner:
            outcomes = await asyncio.gather(
                owner.submit(publish(org, "room:1")),
                owner.submit(
                    command(org, Create("message", ENTROPY.id(), b'{"room_id":"room_x","text":"a"}'))
                ),
                owner.submit(command(org, Create("room", ENTROPY.id(), b'{"name":"a\\u0000b"}'))),
                owner.submit(publish(org, "room:1")),
            )
        assert [type(outcome) for outcome in outcomes] == [Committed, Refused, Refused, Committed]
        assert [committed(outcomes[0]).seq, committed(outcomes[3]).seq] == [1, 2]

    run(scenario())


def test_an_atomic_command_takes_effect_wholly_or_not_at_all(database_url: str) -> None:
    async def scenario() -> None:
        org, room_id = await make_organization(database_url), ENTROPY.id()
        create = Item(ENTROPY.id(), Create("room", room_id, b'{"name":"A"}'))
        bad = Item(ENTROPY.id(), Delete(Target("room", ENTROPY.id())))
        message = Item(
            ENTROPY.id(),
            Put(Target("message", external_id="m"), ENTROPY.id(), b'{"room_id":"ext:r","text":"x"}'),
        )
        room = Item(ENTROPY.id(), Create("room", ENTROPY.id(), b'{"name":"R"}', "r"))
        async with owner_of(database_url) as owner:
            outcome = refused(await owner.submit(command(org, Atomic((create, bad)))))
            assert (outcome.code, outcome.index) == ("not_found", 1)
            done = committed(await owner.submit(command(org, Atomic((create, room, message)))))
            assert [item.effect for item in done.items] == ["created"] * 3
            assert [item.seq for item in done.items] == [1, 2, 3]

    run(scenario())


def test_a_delete_that_would_take_too_many_along_is_refused(database_url: str) -> None:
    async def scenario() -> None:
        org, first = await make_organization(database_url), ENTROPY.id()
        async with owner_of(database_url) as owner:
            await owner.submit(command(org, Create("room", ENTROPY.id(), b'{"name":"R"}', "r")))
            await owner.submit(
                command(org, Create("message", first, b'{"room_id":"ext:r","text":"1"}', "first"))
            )
            reply = b'{"room_id":"ext:r","text":"re","reply_to":"ext:first"}'
            count = REFERRERS_MAX + 1
            await asyncio.gather(
                *(owner.submit(command(org, Create("message", ENTROPY.id(), reply))) for _ in range(count))
            )
            outcome = refused(await owner.submit(command(org, Delete(Target("message", first)))))
            assert outcome.code == "conflict"

    run(scenario())

"""The owner's end of the links, spoken to by hand over real sockets."""

import asyncio

import asyncpg
import msgspec
import pytest
from picows import WSError
from structlog.testing import capture_logs

from adapters.links.frames import (
    Announced,
    Answer,
    AskHead,
    Failed,
    Find,
    Found,
    HeadIs,
    Live,
    Submit,
    Unwatch,
    Watch,
)
from adapters.links.handshake import CallerHandshake
from core.streams.command import Command, Publish
from core.streams.outcome import Committed, Refused
from tests.helpers.links import KEY, QUICK, RawCaller, node, raw_caller, until
from tests.helpers.log import until_waiting
from tests.helpers.loop import run
from tests.helpers.organizations import make_organization
from tests.helpers.owners import ENTROPY, publish

WRONG_KEY = b"another cluster key of that size"


def answers_of(link: RawCaller) -> list[Answer]:
    return [message for message in link.messages if isinstance(message, Answer)]


def test_a_caller_with_another_key_is_closed_with_a_log_line(database_url: str) -> None:
    async def scenario() -> None:
        async with node(database_url) as one:
            with capture_logs() as lines:
                async with raw_caller(one.server_address, key=KEY, proves=False) as link:
                    link.send(CallerHandshake(WRONG_KEY, b"n" * 32, "owner-0", "raw").opening())
                    link.proves_with(WRONG_KEY)
                    await until(lambda: link.ended)
            refusals = [line for line in lines if line["event"] == "link.refused"]
            assert [line["reason"] for line in refusals] == ["the caller does not hold the cluster key"]
            assert WRONG_KEY.decode() not in str(lines)
            assert one.server.processes == []

    run(scenario())


def test_nothing_is_decoded_before_the_proof(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with node(database_url) as one:
            async with raw_caller(one.server_address, proves=False) as link:
                link.say(Submit(1, publish(org, "room:1")))
                await until(lambda: link.ended)
            async with raw_caller(one.server_address, proves=False) as link:
                link.send(CallerHandshake(KEY, b"n" * 32, "owner-0", "raw").opening())
                link.say(Submit(1, publish(org, "room:1")))
                await until(lambda: link.ended)
            assert (await one.owner.head(org)).seq == 0

    run(scenario())


def test_a_recorded_handshake_opens_nothing(database_url: str) -> None:
    async def scenario() -> None:
        async with node(database_url) as one:
            async with raw_caller(one.server_address) as link:
                await until(lambda: one.server.processes == ["raw"])
                recorded = list(link.sent)
            assert len(recorded) == 2
            async with raw_caller(one.server_address, proves=False) as replayed:
                for frame in recorded:
                    replayed.send(frame)
                await until(lambda: replayed.ended)
            assert one.server.processes == []

    run(scenario())


def test_a_link_that_proves_nothing_is_closed_though_it_pings(database_url: str) -> None:
    async def scenario() -> None:
        async with node(database_url) as one, raw_caller(one.server_address, proves=False) as link:
            await until(lambda: link.ended, 3)

    run(scenario())


def test_links_without_proof_are_few(database_url: str) -> None:
    async def scenario() -> None:
        few = QUICK.model_copy(update={"unproven_links_max": 1})
        async with (
            node(database_url, links=few) as one,
            raw_caller(one.server_address, proves=False),
        ):
            with pytest.raises(WSError, match="404"):
                async with raw_caller(one.server_address):
                    pass

    run(scenario())


def test_a_silent_link_is_closed(database_url: str) -> None:
    async def scenario() -> None:
        async with node(database_url) as one, raw_caller(one.proxy.address) as link:
            await until(lambda: one.server.processes == ["raw"])
            one.proxy.up.stall()
            await until(lambda: one.server.processes == [])
            one.proxy.up.resume()
            await until(lambda: link.ended)

    run(scenario())


def test_a_new_link_of_a_process_ends_its_older_one_unread_bytes_included(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        one_event = publish(org, "room:1")
        async with node(database_url) as one, raw_caller(one.proxy.address) as older:
            await until(lambda: one.server.processes == ["raw"])
            one.proxy.up.stall()
            older.say(Submit(1, one_event))
            async with raw_caller(one.server_address) as newer:
                newer.say(Find(7, org, one_event.event_id))
                await until(lambda: newer.messages)
                assert newer.messages == [Found(7, None)]
                one.proxy.up.resume()
                await until(lambda: older.ended)
                newer.say(AskHead(8, org))
                await until(lambda: len(newer.messages) == 2)
                head = newer.messages[1]
                assert isinstance(head, HeadIs)
                assert head.head.seq == 0
                assert one.server.processes == ["raw"]

    run(scenario())


def test_the_outcomes_of_one_committed_batch_leave_in_one_frame(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with node(database_url) as one, raw_caller(one.server_address) as link:
            link.say(*(Submit(number, publish(org, "room:1")) for number in range(200)))
            await until(lambda: link.frames)
            assert [answer.number for answer in answers_of(link)] == list(range(200))
            assert len(link.frames) == 1
            assert all(isinstance(answer.outcome, Committed) for answer in answers_of(link))

    run(scenario())


def test_every_watching_link_hears_the_head_and_then_what_is_committed(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with (
            node(database_url) as one,
            raw_caller(one.server_address, "first") as first,
            raw_caller(one.server_address, "second") as second,
        ):
            for link in (first, second):
                link.say(Watch(org))
                await until(lambda link=link: link.messages)
                assert isinstance(link.messages[0], Announced)
            first.say(Submit(1, publish(org, "room:1", b"one")))
            for link in (first, second):
                await until(lambda link=link: any(isinstance(message, Live) for message in link.messages))
            second.say(Unwatch(org), AskHead(1, org))
            await until(lambda: any(isinstance(message, HeadIs) for message in second.messages))
            heard = len(second.messages)
            first.say(Submit(2, publish(org, "room:1", b"two")))
            lives = lambda link: [m for m in link.messages if isinstance(m, Live)]  # noqa: E731
            await until(lambda: len(lives(first)) == 2)
            assert len(second.messages) == heard

    run(scenario())


def test_a_link_that_does_not_read_is_dropped_and_the_others_go_on(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        small = QUICK.model_copy(update={"unsent_bytes_max": 1_000_000, "silence_s": 30.0})
        async with (
            node(database_url, links=small) as one,
            raw_caller(one.server_address, "writer") as writer,
            raw_caller(one.server_address, "sleeper") as sleeper,
        ):
            sleeper.say(Watch(org))
            await until(lambda: sleeper.messages)
            sleeper.transport.underlying_transport.pause_reading()
            with capture_logs() as lines:
                for number in range(400):
                    writer.say(Submit(number, publish(org, "room:1", b"x" * 60_000)))
                    await until(lambda number=number: len(answers_of(writer)) > number)
                    if one.server.processes == ["writer"]:
                        break
            assert one.server.processes == ["writer"]
            ended = [line["reason"] for line in lines if line["event"] == "link.ended"]
            assert ended == ["unsent bytes past the limit"]
            sleeper.transport.underlying_transport.resume_reading()

    run(scenario())


def test_what_a_lost_link_had_queued_never_takes_effect_after_the_owner_said_so(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        commands = [publish(org, "room:1") for _ in range(500)]
        async with node(database_url) as one:
            async with raw_caller(one.server_address) as link:
                for number, command in enumerate(commands):
                    link.say(Submit(number, command))
            async with raw_caller(one.server_address) as link:
                link.say(*(Find(n, org, command.event_id) for n, command in enumerate(commands)))
                await until(lambda: len(link.messages) == 500)
                told = {m.number: m.outcome for m in link.messages if isinstance(m, Found)}
                head = (await one.owner.head(org)).seq
                assert sum(outcome is not None for outcome in told.values()) == head
                link.say(Submit(1_000, publish(org, "room:1")))  # behind whatever was still queued
                await until(lambda: answers_of(link))
                (answer,) = answers_of(link)
                assert isinstance(answer.outcome, Committed)
                assert answer.outcome.seq == head + 1

    run(scenario())


def test_past_the_outstanding_commands_the_owner_refuses(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        small = QUICK.model_copy(update={"outstanding_commands_max": 10})
        async with node(database_url, links=small) as one, raw_caller(one.server_address) as link:
            link.say(*(Submit(number, publish(org, "room:1")) for number in range(30)))
            await until(lambda: len(answers_of(link)) == 30)
            codes = [a.outcome.code for a in answers_of(link) if isinstance(a.outcome, Refused)]
            assert codes == ["capacity_reduced"] * 20

    run(scenario())


def test_a_malformed_frame_closes_the_link(database_url: str) -> None:
    async def scenario() -> None:
        async with node(database_url) as one:
            with capture_logs() as lines:
                async with raw_caller(one.server_address) as link:
                    link.send(msgspec.msgpack.encode([[99, "what is this"]]))
                    await until(lambda: link.ended)
            assert any(line["event"] == "link.violated" for line in lines)

    run(scenario())


def test_a_frame_of_nearly_the_limit_passes_and_a_longer_one_closes_the_link(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with node(database_url) as one, raw_caller(one.server_address) as link:
            big = Command(org, ENTROPY.id(), Publish(("room:1",), bytes(16_000_000)), 10_000)
            link.say(Watch(org), Submit(1, big))
            await until(lambda: any(isinstance(message, Live) for message in link.messages), 20)
            assert isinstance(answers_of(link)[0].outcome, Committed)
            longer = Command(org, ENTROPY.id(), Publish(("room:1",), bytes(17_000_000)), 10_000)
            link.say(Submit(2, longer))
            await until(lambda: link.ended)

    run(scenario())


def test_a_question_that_the_owner_cannot_answer_names_its_code(database_url: str) -> None:
    async def scenario() -> None:
        here, elsewhere = [await make_organization(database_url, partition_id=n) for n in (0, 1)]
        async with node(database_url) as one, raw_caller(one.server_address) as link:
            link.say(AskHead(1, elsewhere), Find(2, elsewhere, ENTROPY.id()), AskHead(3, here))
            await until(lambda: len(link.messages) == 3)
            codes = {m.number: m.code for m in link.messages if isinstance(m, Failed)}
            assert codes == {1: "partition_moving", 2: "partition_moving"}

    run(scenario())


def test_an_owner_that_closes_sends_the_answers_that_it_knows(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        holder, witness = await asyncpg.connect(database_url), await asyncpg.connect(database_url)
        async with node(database_url) as one, raw_caller(one.server_address) as link:
            transaction = holder.transaction()
            await transaction.start()
            await holder.execute("SELECT FROM stream_heads FOR UPDATE")  # an append waits there
            link.say(*(Submit(number, publish(org, "room:1")) for number in range(100)))
            await until_waiting(witness)
            closing = asyncio.create_task(one.owner.close())
            await transaction.rollback()
            await closing
            await one.server.close()
            await until(lambda: link.ended)
            assert len(answers_of(link)) == 100
            assert all(isinstance(answer.outcome, Committed) for answer in answers_of(link))
        await holder.close()
        await witness.close()

    run(scenario())

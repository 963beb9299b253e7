"""One process's link as its owner serves it: every question has an answer, whatever becomes of it."""

from picows import WSMsgType
from structlog.testing import capture_logs

from adapters.links.frames import (
    Announced,
    Answer,
    AskHead,
    Failed,
    Find,
    Found,
    HeadIs,
    Submit,
    Suspect,
    Watch,
)
from core.errors import Code, TidingsError
from core.streams.command import Command, Publish
from core.streams.event import Head
from core.streams.outcome import Committed, Outcome, Refused, Unknown
from tests.contract.adapters.links.desk import ORG, OTHER, Desk, effect, one_command, served
from tests.helpers.links import QUICK, RawCaller, raw_caller, until
from tests.helpers.loop import run


def outcome_of(link: RawCaller, number: int) -> Outcome:
    (outcome,) = [
        said.outcome for said in link.messages if isinstance(said, Answer) and said.number == number
    ]
    return outcome


def test_commands_reach_the_handler_in_the_order_in_which_they_were_said() -> None:
    async def scenario() -> None:
        desk = Desk()
        async with served(desk) as (_, address), raw_caller(address) as link:
            commands = [one_command() for _ in range(300)]
            for start in range(0, 300, 7):
                link.say(*(Submit(start + n, one) for n, one in enumerate(commands[start : start + 7])))
            await until(lambda: len(link.messages) == 300)
            assert desk.commands == commands
            assert [said.number for said in link.messages if isinstance(said, Answer)] == list(range(300))

    run(scenario())


def test_outcomes_come_as_they_become_known_under_the_number_of_their_command() -> None:
    async def scenario() -> None:
        desk = Desk(holds=True)
        async with served(desk) as (_, address), raw_caller(address) as link:
            commands = [one_command() for _ in range(3)]
            link.say(*(Submit(n, one) for n, one in enumerate(commands)))
            await until(lambda: len(desk.held) == 3)
            for turn, number in enumerate((2, 0, 1), 1):
                desk.held[commands[number].event_id].set_result(effect(commands[number]))
                await until(lambda turn=turn: len(link.messages) == turn)
            assert link.messages == [Answer(n, effect(commands[n])) for n in (2, 0, 1)]

    run(scenario())


def test_a_handler_that_fails_or_gives_up_leaves_the_outcome_unknown() -> None:
    async def scenario() -> None:
        desk = Desk(holds=True)
        failing, given_up, sound = one_command(), one_command(), one_command()
        desk.failures[failing.event_id] = RuntimeError("broken")
        async with served(desk) as (_, address), raw_caller(address) as link:
            with capture_logs() as lines:
                link.say(Submit(1, failing), Submit(2, given_up), Submit(3, sound))
                await until(lambda: len(desk.held) == 2)
                desk.held[given_up.event_id].cancel()
                desk.held[sound.event_id].set_result(effect(sound))
                await until(lambda: len(link.messages) == 3)
            assert isinstance(outcome_of(link, 1), Unknown)
            assert isinstance(outcome_of(link, 2), Unknown)
            assert outcome_of(link, 3) == effect(sound)
            assert [line["event"] for line in lines if line["log_level"] == "error"] == ["command.failed"]

    run(scenario())


def test_an_answer_that_no_frame_can_hold_is_unknown_and_harms_no_other() -> None:
    async def scenario() -> None:
        desk = Desk()
        small = QUICK.model_copy(update={"frame_bytes_max": 4_000})
        long, short = one_command(), one_command()
        desk.outcomes[long.event_id] = Committed("created", long.event_id, 1, "e", 1, document=bytes(5_000))
        async with served(desk, links=small) as (_, address), raw_caller(address) as link:
            desk.finds = desk.outcomes.get
            link.say(
                Submit(1, long), Submit(2, short), Find(3, ORG, long.event_id), Find(4, ORG, short.event_id)
            )
            await until(lambda: len(link.messages) == 4)
            assert isinstance(outcome_of(link, 1), Unknown)
            assert isinstance(outcome_of(link, 2), Committed)
            failed = [said for said in link.messages if isinstance(said, Failed)]
            assert [(said.number, said.code) for said in failed] == [(3, "internal")]
            assert Found(4, None) in link.messages
            assert not link.ended

    run(scenario())


def test_bytes_that_wait_for_an_outcome_are_bounded_as_commands_are() -> None:
    async def scenario() -> None:
        desk = Desk(holds=True)
        small = QUICK.model_copy(update={"outstanding_bytes_max": 10_000})
        async with served(desk, links=small) as (_, address), raw_caller(address) as link:
            commands = [one_command(bytes(4_000)) for _ in range(5)]
            for number, one in enumerate(commands):
                link.say(Submit(number, one))
            await until(lambda: len(link.messages) == 2)
            for number in (3, 4):
                refusal = outcome_of(link, number)
                assert isinstance(refusal, Refused)
                assert (refusal.code, refusal.retry_after_s) == ("capacity_reduced", 1)
            assert len(desk.commands) == 3
            for one in commands[:3]:
                desk.held[one.event_id].set_result(effect(one))
            await until(lambda: len(link.messages) == 5)
            link.say(Submit(9, one_command()))
            await until(lambda: len(desk.commands) == 4)

    run(scenario())


def test_questions_are_bounded_and_answered_again_when_there_is_room() -> None:
    async def scenario() -> None:
        desk = Desk()
        small = QUICK.model_copy(update={"outstanding_commands_max": 3})
        async with served(desk, links=small) as (_, address), raw_caller(address) as link:
            link.say(*(AskHead(number, ORG) for number in range(5)))
            await until(lambda: len(link.messages) == 2)
            assert link.messages == [
                Failed(number, "capacity_reduced", "too many questions") for number in (3, 4)
            ]
            for _ in range(3):
                desk.heads.put_nowait(Head(ORG, "epoch", 7))
            await until(lambda: len(link.messages) == 5)
            desk.heads.put_nowait(Head(ORG, "epoch", 8))
            link.say(AskHead(9, ORG))
            await until(lambda: HeadIs(9, Head(ORG, "epoch", 8)) in link.messages)

    run(scenario())


def test_a_question_that_cannot_be_answered_says_why_and_tells_nothing_of_a_bug() -> None:
    async def scenario() -> None:
        desk = Desk()
        desk.heads.put_nowait(TidingsError(Code.PARTITION_MOVING))
        desk.heads.put_nowait(RuntimeError("a secret of the owner"))
        async with served(desk) as (_, address), raw_caller(address) as link:
            with capture_logs() as lines:
                link.say(AskHead(1, ORG))
                await until(lambda: len(link.messages) == 1)
                link.say(AskHead(2, ORG))
                await until(lambda: len(link.messages) == 2)
            assert link.messages == [Failed(1, "partition_moving", ""), Failed(2, "internal", "")]
            assert [line["event"] for line in lines if line["log_level"] == "error"] == ["question.failed"]
            assert not link.ended

    run(scenario())


def test_a_suspicion_is_handed_on_and_not_answered() -> None:
    async def scenario() -> None:
        desk = Desk()
        async with served(desk) as (_, address), raw_caller(address) as link:
            link.say(Suspect(3, 12), Find(1, ORG, b"e" * 16))
            await until(lambda: desk.suspects == [(3, 12)])
            await until(lambda: link.messages == [Found(1, None)])

    run(scenario())


def test_a_link_that_ends_is_forgotten_once_with_what_it_watched() -> None:
    async def scenario() -> None:
        desk = Desk(holds=True)
        async with served(desk) as (server, address):
            async with raw_caller(address) as link:
                link.say(Watch(ORG), Watch(OTHER), Submit(1, one_command()))
                await until(lambda: len(desk.held) == 1)
                assert desk.listeners.keys() == {ORG, OTHER}
                assert [said for said in link.messages if isinstance(said, Announced)]
            await until(lambda: desk.forgotten)
            assert desk.listeners == {}
            (outcome,) = desk.held.values()
            outcome.set_result(Unknown())  # nobody hears of it, and nothing fails
            await until(lambda: server.processes == [])
            assert len(desk.forgotten) == 1

    run(scenario())


def test_a_caller_who_says_goodbye_is_gone_at_once() -> None:
    async def scenario() -> None:
        desk = Desk()
        patient = QUICK.model_copy(update={"silence_s": 600.0})
        async with served(desk, links=patient) as (server, address), raw_caller(address) as link:
            await until(lambda: server.processes == ["raw"])
            link.transport.send_close()
            await until(lambda: server.processes == [])
            await until(lambda: link.ended)

    run(scenario())


def test_what_follows_a_malformed_message_has_no_effect() -> None:
    async def scenario() -> None:
        desk = Desk()
        async with served(desk) as (_, address), raw_caller(address) as link:
            link.send(b"\xc1")
            for _ in range(10):
                link.say(Submit(1, one_command()))
            await until(lambda: link.ended)
            assert desk.commands == []

    run(scenario())


def test_what_is_no_message_is_heard_and_means_nothing() -> None:
    async def scenario() -> None:
        async with served(Desk()) as (_, address), raw_caller(address) as link:
            link.transport.send(WSMsgType.TEXT, b"hello")
            link.say(Submit(1, Command(ORG, b"e" * 16, Publish(("room:1",), b"{}"), 1_000)))
            await until(lambda: link.messages)
            assert isinstance(outcome_of(link, 1), Committed)

    run(scenario())

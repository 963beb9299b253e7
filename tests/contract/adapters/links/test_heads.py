"""Who shares a question for a head, and who must not."""

import asyncio
import gc
import weakref

import pytest

from adapters.links.heads import HeadRequests
from adapters.telemetry.tasks import Tasks
from core.errors import Code, TidingsError
from core.streams.event import Head
from tests.helpers.links import QUICK, caller, node, until
from tests.helpers.loop import run
from tests.helpers.organizations import make_organization
from tests.helpers.owners import ENTROPY, publish

ORG, OTHER = b"1" * 16, b"2" * 16


class Questions:
    """An owner who answers when he is told to."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.answers: asyncio.Queue[int | TidingsError] = asyncio.Queue()

    async def ask(self, organization_id: bytes) -> Head:
        self.asked.append(organization_id)
        answer = await self.answers.get()
        if isinstance(answer, TidingsError):
            raise answer
        return Head(organization_id, "epoch", answer)


def test_those_who_ask_in_one_tick_share_a_question() -> None:
    async def scenario() -> None:
        questions = Questions()
        heads = HeadRequests(questions.ask, Tasks("test"), 1.0)
        questions.answers.put_nowait(7)
        answers = await asyncio.gather(*(heads.head(ORG) for _ in range(100)))
        assert {head.seq for head in answers} == {7}
        assert questions.asked == [ORG]

    run(scenario())


def test_who_comes_while_a_question_is_on_its_way_waits_for_the_next() -> None:
    async def scenario() -> None:
        questions = Questions()
        heads = HeadRequests(questions.ask, Tasks("test"), 1.0)
        early = asyncio.create_task(heads.head(ORG))
        await until(lambda: questions.asked)
        late = [asyncio.create_task(heads.head(ORG)) for _ in range(10)]
        questions.answers.put_nowait(7)
        assert (await early).seq == 7
        assert not any(task.done() for task in late)
        questions.answers.put_nowait(8)
        assert {head.seq for head in await asyncio.gather(*late)} == {8}
        assert questions.asked == [ORG, ORG]

    run(scenario())


def test_an_error_reaches_all_who_asked_and_none_who_ask_later() -> None:
    async def scenario() -> None:
        questions = Questions()
        heads = HeadRequests(questions.ask, Tasks("test"), 1.0)
        questions.answers.put_nowait(TidingsError(Code.NOT_FOUND))
        failed = await asyncio.gather(*(heads.head(ORG) for _ in range(3)), return_exceptions=True)
        assert [isinstance(error, TidingsError) for error in failed] == [True] * 3
        questions.answers.put_nowait(1)
        assert (await heads.head(ORG)).seq == 1

    run(scenario())


def test_a_head_that_nobody_tells_is_unavailable_at_its_deadline() -> None:
    async def scenario() -> None:
        tasks = Tasks("test")
        heads = HeadRequests(Questions().ask, tasks, 0.05)
        with pytest.raises(TidingsError) as refusal:
            await heads.head(ORG)
        assert refusal.value.code is Code.UNAVAILABLE
        await tasks.close()

    run(scenario())


def test_whoever_gave_up_is_kept_by_nobody_however_long_the_owner_is_away() -> None:
    class Request:
        """What a caller holds while it waits."""

    async def scenario() -> None:
        tasks, questions, requests = Tasks("test"), Questions(), list[weakref.ref[Request]]()
        heads = HeadRequests(questions.ask, tasks, 0.05)

        async def ask() -> None:
            request = Request()
            requests.append(weakref.ref(request))
            with pytest.raises(TidingsError):
                await heads.head(ORG)

        first = asyncio.create_task(ask())
        await until(lambda: questions.asked)
        await asyncio.gather(first, *(ask() for _ in range(10)))
        del first
        gc.collect()
        assert [request() for request in requests] == [None] * 11
        questions.answers.put_nowait(1)
        questions.answers.put_nowait(2)
        assert (await heads.head(ORG)).seq == 2
        await tasks.close()

    run(scenario())


def test_a_head_covers_what_was_acknowledged_to_another_process_before(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        async with (
            node(database_url) as one,
            caller(database_url, "writer") as writer,
            caller(database_url, "reader") as reader,
        ):
            for turn in range(1, 30):
                await writer.submit(publish(org, "room:1"))
                assert (await reader.head(org)).seq == turn
                if turn % 10 == 0:
                    one.proxy.cut()

    run(scenario())


def test_the_head_of_an_unknown_organization_is_not_found(database_url: str) -> None:
    async def scenario() -> None:
        async with node(database_url), caller(database_url) as client:
            with pytest.raises(TidingsError) as refusal:
                await client.head(ENTROPY.id())
            assert refusal.value.code is Code.NOT_FOUND

    run(scenario())


def test_a_head_without_an_owner_is_unavailable(database_url: str) -> None:
    async def scenario() -> None:
        org = await make_organization(database_url)
        hasty = QUICK.model_copy(update={"head_s": 0.2})
        async with caller(database_url, links=hasty) as client:
            with pytest.raises(TidingsError) as refusal:
                await client.head(org)
            assert refusal.value.code is Code.UNAVAILABLE

    run(scenario())

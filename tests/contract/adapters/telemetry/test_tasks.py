"""Background tasks: kept until they end, heard of when they fail, cancelled with their owner."""

import asyncio
import gc

from structlog.testing import capture_logs

from adapters.telemetry.tasks import Tasks
from tests.helpers.loop import run


async def fail() -> None:
    raise ValueError("why")


def test_a_task_is_kept_though_nobody_holds_it_and_is_named_after_its_owner() -> None:
    async def scenario() -> None:
        tasks, seen = Tasks("owner"), asyncio.Event()
        go = asyncio.Event()

        async def work() -> None:
            await go.wait()
            task = asyncio.current_task()
            assert task is not None
            assert task.get_name() == "owner.work"
            seen.set()

        tasks.spawn("work", work())
        await asyncio.sleep(0)
        gc.collect()
        go.set()
        await asyncio.wait_for(seen.wait(), 5)

    run(scenario())


def test_a_failure_is_logged_with_the_name_and_an_end_is_told_either_way() -> None:
    async def scenario() -> None:
        ended: list[str] = []
        with capture_logs() as logs:
            tasks = Tasks("owner")
            failing = tasks.spawn("failing", fail(), on_end=lambda: ended.append("failing"))
            good = tasks.spawn("good", asyncio.sleep(0), on_end=lambda: ended.append("good"))
            await asyncio.wait({failing, good})
            await asyncio.sleep(0)
        assert sorted(ended) == ["failing", "good"]
        (entry,) = logs
        assert (entry["event"], entry["task"], entry["owner"]) == ("task.failed", "owner.failing", "owner")
        assert isinstance(entry["exc_info"], ValueError)

    run(scenario())


def test_closing_cancels_what_runs_and_waits_for_its_end() -> None:
    async def scenario() -> None:
        tasks, ended = Tasks("owner"), []

        async def work() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                ended.append(1)

        for _ in range(3):
            tasks.spawn("work", work(), on_end=lambda: ended.append(2))
        await asyncio.sleep(0)
        await tasks.close()
        assert ended == [1, 1, 1]
        await tasks.close()

    run(scenario())

"""Look-ups of one tick are one look-up, and everybody gets the answer to his own question."""

import asyncio
from collections.abc import Sequence

import pytest

from adapters.postgres.coalesced import BATCH_MAX, Coalesced
from adapters.telemetry.tasks import Tasks
from tests.helpers.loop import run


class Doubles:
    """Doubles even numbers, knows no odd ones, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.was_asked = asyncio.Event()

    async def look_up(self, keys: Sequence[int]) -> dict[int, int]:
        self.asked.append(list(keys))
        self.was_asked.set()
        await asyncio.sleep(0)
        return {key: key * 2 for key in keys if key % 2 == 0}


def test_calls_of_one_tick_share_a_look_up() -> None:
    async def work() -> None:
        source = Doubles()
        coalesced = Coalesced(source.look_up, Tasks("test"))
        assert await asyncio.gather(*(coalesced.get(key) for key in (2, 3, 2, 4))) == [4, None, 4, 8]
        assert source.asked == [[2, 3, 4]]

    run(work())


def test_a_later_call_is_not_answered_by_an_earlier_look_up() -> None:
    async def work() -> None:
        source = Doubles()
        coalesced = Coalesced(source.look_up, Tasks("test"))
        first = asyncio.ensure_future(coalesced.get(2))
        await source.was_asked.wait()
        assert await coalesced.get(2) == 4
        assert await first == 4
        assert source.asked == [[2], [2]]

    run(work())


def test_a_look_up_is_bounded() -> None:
    async def work() -> None:
        source = Doubles()
        coalesced = Coalesced(source.look_up, Tasks("test"))
        await asyncio.gather(*(coalesced.get(key) for key in range(BATCH_MAX + 1)))
        assert [len(keys) for keys in source.asked] == [BATCH_MAX, 1]

    run(work())


def test_a_failure_reaches_everybody_who_waits_and_nobody_later() -> None:
    async def fail(keys: Sequence[int]) -> dict[int, int]:
        raise LookupError(keys)

    async def work() -> None:
        coalesced = Coalesced(fail, Tasks("test"))
        for _ in range(2):
            got = await asyncio.gather(*(coalesced.get(key) for key in (1, 2)), return_exceptions=True)
            assert [type(error) for error in got] == [LookupError, LookupError]

    run(work())


def test_a_caller_who_gives_up_does_not_disturb_the_others() -> None:
    async def work() -> None:
        source = Doubles()
        coalesced = Coalesced(source.look_up, Tasks("test"))
        given_up, waiting = (asyncio.ensure_future(coalesced.get(2)) for _ in range(2))
        await asyncio.sleep(0)
        given_up.cancel()
        assert await waiting == 4
        with pytest.raises(asyncio.CancelledError):
            await given_up

    run(work())

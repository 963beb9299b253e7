"""An answer that stays open: its reader's leaving is noticed at once, and silence is broken by comments."""

import asyncio
from typing import Any

import pytest

from gateway.realtime import heartbeat as module
from gateway.realtime.exchange import TRANSPORT, Exchange
from gateway.realtime.heartbeat import COMMENT, Heartbeat
from tests.helpers.eventually import eventually
from tests.helpers.loop import run
from tests.helpers.memory_log import MemoryLog
from tests.helpers.replica import MemoryReplica


class Reader:
    """The other side of an ASGI answer."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.heard: list[bytes] = []
        self.reads = True
        self.is_cut = False

    async def send(self, message: dict[str, Any]) -> None:
        assert message["type"] == "http.response.body"
        assert message["more_body"]
        self.heard.append(message["body"])
        if not self.reads:
            await asyncio.Event().wait()

    def leave(self) -> None:
        self.messages.put_nowait({"type": "http.disconnect"})

    def abort(self) -> None:
        self.is_cut = True

    def answer(self) -> Heartbeat:
        scope = {
            "method": "GET", "raw_path": b"/", "query_string": b"", "headers": [], "client": None,
            "extensions": {TRANSPORT: {"transport": self}},
        }  # fmt: skip
        exchange = Exchange(scope, self.messages.get, self.send, "req_test", 0.05)
        return Heartbeat(MemoryReplica(MemoryLog()).parts, exchange)


def test_a_race_ends_with_its_event_and_says_nothing_before_it_is_time() -> None:
    async def scenario() -> None:
        reader, event = Reader(), asyncio.Event()

        async def happen() -> None:
            await event.wait()

        answer = reader.answer()
        racing = asyncio.ensure_future(answer.race(happen()))
        event.set()
        await asyncio.wait_for(racing, 5)
        assert (answer.gone, reader.heard) == (False, [])
        await answer.close()

    run(scenario())


def test_a_race_ends_when_the_reader_leaves_and_what_it_waited_for_is_stopped() -> None:
    async def scenario() -> None:
        reader, stopped = Reader(), asyncio.Event()

        async def never() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                stopped.set()

        answer = reader.answer()
        racing = asyncio.ensure_future(answer.race(never()))
        # What else comes of the request is none of its business.
        reader.messages.put_nowait({"type": "http.request", "body": b"", "more_body": False})
        await asyncio.sleep(0)
        assert not racing.done()
        reader.leave()
        await asyncio.wait_for(racing, 5)
        await asyncio.wait_for(stopped.wait(), 5)
        assert answer.gone

    run(scenario())


def test_a_reader_who_has_left_is_not_waited_for() -> None:
    async def scenario() -> None:
        reader = Reader()
        answer = reader.answer()
        reader.leave()
        assert await eventually(lambda: answer.gone, within_s=5)
        await asyncio.wait_for(answer.race(asyncio.sleep(3_600)), 5)

    run(scenario())


def test_silence_is_broken_by_comments_until_something_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        reader, event = Reader(), asyncio.Event()

        async def happen() -> None:
            await event.wait()

        answer = reader.answer()
        racing = asyncio.ensure_future(answer.race(happen()))
        assert await eventually(lambda: len(reader.heard) >= 3, within_s=5)
        event.set()
        await asyncio.wait_for(racing, 5)
        assert set(reader.heard) == {COMMENT}
        await answer.close()

    assert module.HEARTBEAT_S == 15
    monkeypatch.setattr(module, "HEARTBEAT_S", 0.01)
    run(scenario())


def test_a_race_ends_when_the_answer_shall_end() -> None:
    async def scenario() -> None:
        reader = Reader()
        answer = reader.answer()
        racing = asyncio.ensure_future(answer.race(asyncio.sleep(3_600)))
        await asyncio.sleep(0)
        answer.end()
        await asyncio.wait_for(racing, 5)
        assert (answer.gone, answer.beats) == (False, False)

    run(scenario())


def test_a_reader_who_takes_nothing_is_cut_off() -> None:
    async def scenario() -> None:
        reader = Reader()
        reader.reads = False
        answer = reader.answer()
        await asyncio.wait_for(answer.send(b"x"), 5)
        assert reader.is_cut
        await answer.close()

    run(scenario())


def test_a_comment_is_one_that_readers_of_events_ignore() -> None:
    # "If the line starts with a U+003A COLON character (:), ignore the line." (HTML §9.2.6)
    assert COMMENT.startswith(b":")
    assert COMMENT.endswith(b"\n\n")

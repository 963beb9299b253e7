"""An application's own backend: answers what it is told to, and remembers what it was asked."""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Queue
from typing import Any

from aiohttp import web

WITHIN_S = 30.0
EVENTS = ("connect", "refresh", "subscribe", "publish", "rpc", "message")


@dataclass(slots=True)
class Backend:
    """`answers` holds what each event gets, `asked` what came in turn, `headers` the last ones."""

    port: int = 0
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: Queue[tuple[str, dict[str, Any]]] = field(default_factory=Queue)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def endpoints(self) -> dict[str, str]:
        """Where each event is asked about."""
        return {event: f"http://127.0.0.1:{self.port}/{event}" for event in EVENTS}

    def next(self, event: str) -> dict[str, Any]:
        """Return the next question, which is about this event."""
        found, question = self.asked.get(timeout=WITHIN_S)
        assert found == event, (found, question)
        return question

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one question."""
        event = request.path.removeprefix("/")
        question = await request.json()
        self.headers = request.headers
        self.asked.put((event, question))
        return web.json_response(self.answers.get(event, {"result": {}}))


@contextmanager
def backend() -> Iterator[Backend]:
    """Run one on a port of its own, in a thread: tests of many event loops ask it."""
    made, loop, ready = Backend(), asyncio.new_event_loop(), threading.Event()
    ended = asyncio.Event()

    async def serve() -> None:
        app = web.Application()
        app.router.add_post("/{event}", made.answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        made.port = runner.addresses[0][1]
        ready.set()
        await ended.wait()
        await runner.cleanup()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(WITHIN_S)
    try:
        yield made
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(WITHIN_S)
        loop.close()

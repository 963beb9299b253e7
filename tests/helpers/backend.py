"""An organization's backend on this machine, and what it was asked."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from aiohttp import web

from adapters.clock import SystemClock
from adapters.entropy import SystemEntropy
from adapters.http.backend import Backends
from core.connections.backend_options import BackendOptions, Endpoints
from settings import Backend

EVENTS: Final = ("connect", "refresh", "subscribe", "publish", "rpc", "message")

Answer = dict[str, Any] | int | Callable[[dict[str, Any]], dict[str, Any]]
"""A body, a status, or what makes a body of the question."""


@dataclass
class Scene:
    """What the backend answers to each event, and what it was asked. It fails where it has no answer."""

    options: BackendOptions
    backends: Backends
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def bodies(self, event: str) -> list[dict[str, Any]]:
        """Return what it was asked about one kind of event."""
        return [body for name, body in self.asked if name == event]


@asynccontextmanager
async def backend(*events: str, **options: Any) -> AsyncIterator[Scene]:
    """Give a backend that is asked about these events of every organization, or about all."""

    async def find(_organization_id: bytes) -> BackendOptions:
        return scene.options

    async def serve(request: web.BaseRequest) -> web.Response:
        event, body = request.path.strip("/"), orjson.loads(await request.read())
        scene.asked.append((event, body))
        scene.headers.append({name.lower(): value for name, value in request.headers.items()})
        answer = scene.answers.get(event, 500)
        if callable(answer):
            answer = answer(body)
        if isinstance(answer, int):
            return web.Response(status=answer)
        return web.Response(body=orjson.dumps(answer), content_type="application/json")

    runner = web.ServerRunner(web.Server(serve), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0]
    endpoints = Endpoints(**{event: f"http://{host}:{port}/{event}" for event in events or EVENTS})
    calls = Backends(find, Backend(private=True), SystemClock(), SystemEntropy())
    scene = Scene(BackendOptions(endpoints=endpoints, timeout_ms=5_000, **options), calls)
    try:
        yield scene
    finally:
        await calls.close()
        await runner.cleanup()

"""What an installation tells anybody: is it alive, ready, how is it doing, and what an error means."""

from collections.abc import Awaitable, Callable
from typing import Final

import orjson

from adapters.telemetry.metrics import RequestMetrics
from core.errors import REGISTRY, Code, TidingsError
from gateway.api.call import PUBLIC, Answer, Call, Endpoint, Route

TEXT: Final = b"text/plain; charset=utf-8"


class Installation:
    """Serves `/healthz`, `/readyz`, `/metrics` and `/problems/{code}`.

    Args:
        is_ready: returns when the database answers, else raises.
        metrics: what `/metrics` shows.
        origin: of this installation.
    """

    def __init__(self, is_ready: Callable[[], Awaitable[None]], metrics: RequestMetrics, origin: str) -> None:
        self._is_ready = is_ready
        self._metrics = metrics
        self._origin = origin

    def routes(self) -> list[Route]:
        """Return what is served here."""
        return [
            Route("/healthz", {"GET": Endpoint(self._alive, None)}),
            Route("/readyz", {"GET": Endpoint(self._ready, None)}),
            Route("/metrics", {"GET": Endpoint(self._figures, None)}),
            Route("/problems/{code:str}", {"GET": Endpoint(self._problem, None)}),
        ]

    async def _alive(self, _call: Call) -> Answer:
        return Answer(200, b"ok", media_type=TEXT)

    async def _ready(self, _call: Call) -> Answer:
        await self._is_ready()
        return Answer(200, b'{"status":"ready"}')

    async def _figures(self, _call: Call) -> Answer:
        return Answer(200, self._metrics.render(), media_type=self._metrics.content_type.encode())

    async def _problem(self, call: Call) -> Answer:
        try:
            code = Code(call.params["code"])
        except ValueError:
            raise TidingsError(Code.NOT_FOUND) from None
        row = REGISTRY[code]
        page = {
            "object": "problem_type",
            "type": f"{self._origin}/problems/{code.value}",
            "code": code.value,
            "title": row.title,
            "status": row.status,
            "retry": row.retry,
            "advice": row.advice,
        }
        return Answer(200, orjson.dumps(page), cache=PUBLIC)

"""One REST replica: uvicorn on a socket that is bound already, in a process that is not its own."""

import asyncio
import contextlib
import socket

import structlog
import uvicorn

from adapters.telemetry.tasks import Tasks
from gateway.api.app import ApiParts, application

GRACE_S = 5.0


class _Server(uvicorn.Server):
    def capture_signals(self) -> contextlib.AbstractContextManager[None]:  # type: ignore[override]  # uvicorn's is a generator
        return contextlib.nullcontext()


class ApiServer:
    """Listens from `open` to `close`."""

    def __init__(self, parts: ApiParts) -> None:
        self._parts = parts
        self._tasks = Tasks("api")
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None

    async def open(self, listener: socket.socket) -> None:
        """Serve on the socket, which is bound already, and return once it accepts."""
        config = uvicorn.Config(
            application(self._parts),
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=True,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=int(GRACE_S),
        )
        self._server = _Server(config)
        self._serving = self._tasks.spawn("serving", self._server.serve(sockets=[listener]))
        self._tasks.spawn("warning", self._warn())
        while not self._server.started and not self._serving.done():
            await self._parts.clock.sleep(0.01)

    async def _warn(self) -> None:
        if await self._parts.server_api.open_organization() is not None:
            structlog.get_logger().warning("api.open", advice="Anybody may use /api: keep others away.")

    @property
    def is_healthy(self) -> bool:
        """Whether the listener still serves."""
        return self._serving is not None and not self._serving.done()

    async def close(self) -> None:
        """Take no new request, finish those under way, and stop."""
        if self._server is not None:
            self._server.should_exit = True
        if self._serving is not None:
            await asyncio.wait({self._serving}, timeout=GRACE_S + 1)
        await self._tasks.close()

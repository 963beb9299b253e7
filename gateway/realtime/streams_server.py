"""The HTTP server of the streams port: uvicorn, in a process that is not its own."""

import contextlib
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.realtime.exchange import TRANSPORT

KEEP_ALIVE_S: Final = 75
"""Longer than the edge keeps an idle connection: it never sends a request on one that is being closed."""


class Http(HttpToolsProtocol):
    """Shows an application the transport of its request.

    ASGI says neither how much waits for a reader nor how to be rid of one who does not read.
    """

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self.scope["extensions"] = {TRANSPORT: {"transport": self.transport}}


class StreamsServer(uvicorn.Server):
    """Serves an ASGI application on sockets that are bound already; signals are the process's business."""

    def __init__(self, application: Any) -> None:
        super().__init__(
            uvicorn.Config(
                application,
                http=Http,
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                lifespan="off",
                ws="none",
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=1,
            )
        )

    def capture_signals(self) -> contextlib.AbstractContextManager[None]:  # type: ignore[override]  # uvicorn's is a generator
        """Leave them alone."""
        return contextlib.nullcontext()

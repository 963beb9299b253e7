"""One SSE answer that is open for long: notices at once that its reader is gone, and shows a sign of life."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from gateway.realtime.parts import Replica

HEARTBEAT_S = 15.0
COMMENT = b":\n\n"


class Heartbeat:
    """Sends, waits, and comments, until the reader leaves.

    The server's own flow control holds `send` back while the reader does not read, so nothing gathers here.
    """

    def __init__(
        self,
        replica: Replica,
        receive: Callable[[], Awaitable[dict[str, Any]]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        self._replica = replica
        self._send = send
        self.gone = False
        self._left = replica.tasks.spawn("stream.reader", self._watch(receive))

    async def _watch(self, receive: Callable[[], Awaitable[dict[str, Any]]]) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.gone = True

    async def send(self, body: bytes) -> None:
        """Send a part of the answer."""
        await self._send({"type": "http.response.body", "body": body, "more_body": True})

    async def race(self, event: Coroutine[Any, Any, None]) -> None:
        """Return when `event` comes, or the reader left; say something meanwhile."""
        waiting = self._replica.tasks.spawn("stream.wait", event)
        try:
            while not waiting.done() and not self.gone:
                await asyncio.wait(
                    {waiting, self._left}, timeout=HEARTBEAT_S, return_when=asyncio.FIRST_COMPLETED
                )
                if not waiting.done() and not self.gone:
                    await self.send(COMMENT)
        finally:
            waiting.cancel()

    async def close(self) -> None:
        """Stop watching the reader."""
        self._left.cancel()

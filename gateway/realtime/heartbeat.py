"""One SSE answer that is open for long: notices at once that its reader is gone, and shows a sign of life."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from gateway.realtime.exchange import Exchange
from gateway.realtime.parts import Replica

HEARTBEAT_S = 15.0
COMMENT = b":\n\n"


class Heartbeat:
    """Sends, waits, and comments, until the reader leaves or is asked to.

    The server's own flow control holds `send` back while the reader does not read, so nothing gathers here;
    who takes nothing for `stalled_s` is cut off.
    """

    def __init__(self, replica: Replica, exchange: Exchange) -> None:
        self._replica = replica
        self._exchange = exchange
        self.gone = False
        self.ended = False
        self._left = replica.tasks.spawn("stream.reader", self._watch())

    @property
    def beats(self) -> bool:
        """Whether there is still somebody to send to."""
        return not (self.gone or self.ended)

    async def _watch(self) -> None:
        while (await self._exchange.receive())["type"] != "http.disconnect":
            pass
        self.gone = True

    async def send(self, body: bytes) -> None:
        """Send a part of the answer."""
        await self._exchange.send(body)

    async def race(self, event: Coroutine[Any, Any, None]) -> None:
        """Return when `event` comes, the reader left or shall leave; say something meanwhile."""
        waiting = self._replica.tasks.spawn("stream.wait", event)
        try:
            while not waiting.done() and self.beats:
                await asyncio.wait(
                    {waiting, self._left}, timeout=HEARTBEAT_S, return_when=asyncio.FIRST_COMPLETED
                )
                if not waiting.done() and self.beats:
                    await self.send(COMMENT)
        finally:
            waiting.cancel()

    def end(self) -> None:
        """Let the answer end: its reader comes back, and goes on elsewhere."""
        self.ended = True
        self._left.cancel()

    async def close(self) -> None:
        """Stop watching the reader."""
        self._left.cancel()

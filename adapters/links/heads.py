"""One question for all who ask for the same head at that moment."""

import asyncio
from collections.abc import Awaitable, Callable

from adapters.telemetry.tasks import Tasks
from core.errors import Code, TidingsError
from core.streams.event import Head


class HeadRequests:
    """Shares questions for heads.

    Callers of one organization and tick share a question. Who comes while one is on its way waits for the
    next, since the answer to the earlier one may not cover what was acknowledged before his call.

    Args:
        ask: asks the present owner, however long that takes.
        tasks: owner of the questions.
        deadline_s: how long a caller waits.
    """

    def __init__(self, ask: Callable[[bytes], Awaitable[Head]], tasks: Tasks, deadline_s: float) -> None:
        self._ask = ask
        self._tasks = tasks
        self._deadline_s = deadline_s
        self._waiting: dict[bytes, set[asyncio.Future[Head]]] = {}
        self._asking: set[bytes] = set()

    async def head(self, organization_id: bytes) -> Head:
        """Return a head that covers everything acknowledged before this call.

        Raises:
            TidingsError: `unavailable` past the deadline, `not_found`, or what the owner answered.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Head] = loop.create_future()
        waiting = self._waiting.setdefault(organization_id, set())
        waiting.add(future)
        if organization_id not in self._asking:
            self._asking.add(organization_id)
            self._tasks.spawn("head", self._serve(organization_id))
        timer = loop.call_later(self._deadline_s, _lapse, future)  # asked at each subscribe: the cheap way
        try:
            return await future
        finally:
            timer.cancel()
            waiting.discard(future)  # an owner may be away for long: who gave up meanwhile is not kept

    async def _serve(self, organization_id: bytes) -> None:
        try:
            while waiting := self._waiting.pop(organization_id, None):
                await self._answer(organization_id, waiting)
        finally:
            self._asking.discard(organization_id)

    async def _answer(self, organization_id: bytes, waiting: set[asyncio.Future[Head]]) -> None:
        try:
            head = await self._ask(organization_id)
        except TidingsError as error:
            for future in waiting:
                if not future.done():
                    future.set_exception(error)
            return
        for future in waiting:
            if not future.done():
                future.set_result(head)


def _lapse(future: asyncio.Future[Head]) -> None:
    if not future.done():
        future.set_exception(TidingsError(Code.UNAVAILABLE))

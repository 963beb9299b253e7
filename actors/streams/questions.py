"""What others ask about a partition: where its logs end, and what became of a command."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from core.errors import Code, TidingsError
from core.streams.append import Found, Needs, StreamState
from core.streams.event import Event, Head
from core.streams.memory import Memory
from core.streams.outcome import Outcome
from core.streams.settled import settle


class Log(Protocol):
    """What answers need of the database; `adapters.postgres.commit.CommitConnection` has it."""

    async def owns(self, partition_id: int, epoch: int) -> bool:
        """Say whether the partition is still under this epoch."""
        ...

    async def read(self, partition_id: int, needs: Needs) -> Found:
        """Return what is asked for."""
        ...

    async def find_event(self, organization_id: bytes, event_id: bytes) -> Event | None:
        """Return an event, or None."""
        ...


class Questions:
    """Gathers questions until the partition's loop has its hands free, and answers them all at once.

    Args:
        on_asked: called when there is one more.
        waiting_max: past it `capacity_reduced`; who gave up counts until the database answers.
    """

    def __init__(self, on_asked: Callable[[], None], waiting_max: int) -> None:
        self._on_asked = on_asked
        self._waiting_max = waiting_max
        self._heads: list[tuple[bytes, asyncio.Future[Head | None]]] = []
        self._searches: list[tuple[bytes, bytes, asyncio.Future[Outcome | None]]] = []

    @property
    def heads(self) -> int:
        """How many wait for a head."""
        return len(self._heads)

    def __bool__(self) -> bool:
        return bool(self._heads or self._searches)

    def head(self, organization_id: bytes) -> Awaitable[Head | None]:
        """Ask for a head; None is the answer when there is no such organization."""
        self._require_room()
        future: asyncio.Future[Head | None] = asyncio.get_running_loop().create_future()
        self._heads.append((organization_id, future))
        self._on_asked()
        return future

    def find(self, organization_id: bytes, event_id: bytes) -> Awaitable[Outcome | None]:
        """Ask what became of a command; None is the answer when it is not in the log."""
        self._require_room()
        future: asyncio.Future[Outcome | None] = asyncio.get_running_loop().create_future()
        self._searches.append((organization_id, event_id, future))
        self._on_asked()
        return future

    def _require_room(self) -> None:
        if len(self._heads) + len(self._searches) >= self._waiting_max:
            raise TidingsError(Code.CAPACITY_REDUCED)

    async def answer_heads(
        self, log: Log, partition_id: int, epoch: int, memory: Memory, asked: int, *, is_proved: bool
    ) -> bool:
        """Answer the first `asked` of those who wait for a head.

        Args:
            log: where to look.
            partition_id: which partition.
            epoch: under which it is ours, as we believe.
            memory: its heads.
            asked: how many.
            is_proved: the database has confirmed the epoch since they asked.

        Returns:
            Whether the partition is still ours; if not, nobody was answered.
        """
        streams = memory.streams
        unknown = {id_ for id_, _ in self._heads[:asked] if id_ not in streams}
        if unknown:
            found = await log.read(partition_id, Needs(organizations=unknown))
            streams.update(found.streams)
        if not is_proved and not await log.owns(partition_id, epoch):
            return False
        answered, self._heads = self._heads[:asked], self._heads[asked:]
        for organization_id, future in answered:
            if not future.done():
                future.set_result(_head_of(organization_id, streams.get(organization_id)))
        return True

    async def answer_searches(self, log: Log, memory: Memory) -> None:
        """Answer those who look for a command."""
        while self._searches:
            organization_id, event_id, future = self._searches[0]
            event = await log.find_event(organization_id, event_id)
            self._searches.pop(0)
            if not future.done():
                epoch = memory.streams[organization_id].epoch if event is not None else ""
                future.set_result(None if event is None else settle(event, epoch))

    def refuse_all(self) -> None:
        """Answer nobody any more: another owner knows."""
        futures: list[asyncio.Future[Head | None] | asyncio.Future[Outcome | None]]
        futures = [*(future for _, future in self._heads), *(future for _, _, future in self._searches)]
        self._heads, self._searches = [], []
        for future in futures:
            if not future.done():
                future.set_exception(TidingsError(Code.PARTITION_MOVING))


def _head_of(organization_id: bytes, state: StreamState | None) -> Head | None:
    return None if state is None else Head(organization_id, state.epoch, state.last_seq)

"""One timer for all clients: each stands in the second in which it has something to do next."""

from math import inf
from typing import Protocol

from core.ports import Clock

TICK_S = 0.5
_TICKED = -2


class Timed(Protocol):
    """Somebody to whom time matters."""

    due_slot: int

    @property
    def due_s(self) -> float:
        """When it is due, on the monotonic clock."""
        ...

    def tick(self) -> None:
        """Do what is due."""
        ...


class Wheel:
    """Slots of half a second; a client costs one entry, and no task or timer of its own."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._slots: dict[int, set[Timed]] = {}
        self._next = self._slot_of(clock.monotonic())

    @staticmethod
    def _slot_of(at_s: float) -> int:
        return int(at_s / TICK_S) + 1

    def add(self, timed: Timed) -> None:
        """Put somebody into the slot of its next due time, if it has one, out of the one it stood in."""
        self.remove(timed)
        if timed.due_s == inf:
            return
        slot = max(self._slot_of(timed.due_s), self._next)
        timed.due_slot = slot
        self._slots.setdefault(slot, set()).add(timed)

    def remove(self, timed: Timed) -> None:
        """Forget somebody."""
        slot = self._slots.get(timed.due_slot)
        if slot is not None:
            slot.discard(timed)
            if not slot:
                del self._slots[timed.due_slot]
        timed.due_slot = -1

    def advance(self) -> None:
        """Tick everybody who has become due."""
        now_slot = self._slot_of(self._clock.monotonic()) - 1
        while self._next <= now_slot:
            due = self._slots.pop(self._next, set())
            self._next += 1
            for timed in due:
                timed.due_slot = _TICKED
                timed.tick()
                if timed.due_slot == _TICKED:  # else it was removed, or stands somewhere already
                    self.add(timed)

    async def run(self) -> None:
        """Advance for ever."""
        while True:
            await self._clock.sleep(TICK_S)
            self.advance()

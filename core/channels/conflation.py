"""Conflation: at most so many publications a second to one subscription, and of each key the latest.

What is sent bears its own offset and goes out in ascending order, so a client that comes back recovers
everything behind the last one that it read: those that wait, and those that newer ones replaced.

What waits is sent in rounds. A round holds the latest of each key as it was when the round began, and while
it goes out the next one is gathered: so a key that changes all the time has its turn like any other.
"""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, Generic, TypeVar

PENDING_MAX: Final = 1_024
PENDING_BYTES_MAX: Final = 1_048_576
"""How many publications wait at once, and how many bytes of several. With more the oldest go out, whatever
the rate: none is lost."""
KEY: Final = "key"

Item = TypeVar("Item")


def key_of(tags: Mapping[str, str] | None) -> str:
    """Return what a publication tells the latest of; without the tag `key` that is the channel itself."""
    return tags.get(KEY, "") if tags else ""


class Conflation(Generic[Item]):
    """What one subscription with a `max_rate` is still to get.

    After each call, call `tick` again at `due_s`. Called later, it sends what was due meanwhile: the rate is
    an average from the first publication after a pause on.
    """

    def __init__(self, max_rate: float, size_of: Callable[[Item], int]) -> None:
        """`max_rate` is above zero, in publications a second; `size_of` tells the bytes that one takes."""
        self._interval_s = 1 / max_rate
        self._size_of = size_of
        self._bytes = 0
        self._round: deque[tuple[int, Item]] = deque()
        self._next_round: dict[str, tuple[int, Item]] = {}
        self._free_s = float("-inf")

    @property
    def due_s(self) -> float | None:
        """When the next publication may go out; None while none waits."""
        return self._free_s if self._round or self._next_round else None

    def offer(self, offset: int, key: str, item: Item, now_s: float) -> list[tuple[int, Item]]:
        """Take a publication that came after all others, and return what goes out now, with its offsets."""
        if self.due_s is None:
            self._free_s = max(self._free_s, now_s)
        replaced = self._next_round.pop(key, None)
        if replaced is not None:
            self._bytes -= self._size_of(replaced[1])
        # At the end, so that a round ascends by offset.
        self._next_round[key] = offset, item
        self._bytes += self._size_of(item)
        sent = []
        while self._is_crowded:
            sent.append(self._oldest())
        return [*sent, *self.tick(now_s)]

    @property
    def _is_crowded(self) -> bool:
        count = len(self._round) + len(self._next_round)
        return count > PENDING_MAX or (count > 1 and self._bytes > PENDING_BYTES_MAX)

    def tick(self, now_s: float) -> list[tuple[int, Item]]:
        """Return what goes out now, with its offsets."""
        sent = []
        while self.due_s is not None and self._free_s <= now_s:
            sent.append(self._oldest())
            self._free_s += self._interval_s
        return sent

    def _oldest(self) -> tuple[int, Item]:
        if not self._round:
            self._round.extend(self._next_round.values())
            self._next_round.clear()
        oldest = self._round.popleft()
        self._bytes -= self._size_of(oldest[1])
        return oldest

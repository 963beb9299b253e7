"""How many are in a channel, as its organization is told: the level, not each coming and going.

What is published is always what holds at that moment. So it may be told late or left out while it changes, as
long as the last level arrives; and whoever reads on from any position ends with what holds.
"""

import heapq
from typing import NamedTuple

import orjson

from core.instants import Instant, format_instant

Watched = tuple[bytes, str]
"""(organization id, channel)."""


class Level(NamedTuple):
    """How many clients are in a channel, and how many users they are."""

    clients: int
    users: int


def occupancy_data(channel: str, level: Level, at: Instant) -> bytes:
    """Return what is published of a channel."""
    return orjson.dumps(
        {
            "channel": channel,
            "clients": level.clients,
            "users": level.users,
            "occupied": level.clients > 0,
            "at": format_instant(at),
        }
    )


class Agenda:
    """Channels to be looked at, each once, when its time has come.

    What changes before that look is seen by it, so a channel that is noted already need not be noted again.

    Args:
        channels_max: noted at a time; what comes then is not noted, and must be found in another way.
    """

    def __init__(self, channels_max: int) -> None:
        self._channels_max = channels_max
        self._noted: set[Watched] = set()
        self._line: list[tuple[float, int, Watched]] = []
        self._number = 0

    def __len__(self) -> int:
        return len(self._noted)

    def note(self, watched: Watched, at_s: float) -> bool:
        """Note a channel for a time on the monotonic clock; False: there is no room."""
        if watched in self._noted:
            return True
        if len(self._noted) >= self._channels_max:
            return False
        self._number += 1
        self._noted.add(watched)
        heapq.heappush(self._line, (at_s, self._number, watched))
        return True

    def due(self, now_s: float, limit: int) -> list[Watched]:
        """Return channels whose time has come, the earliest first, and forget them."""
        found: list[Watched] = []
        while self._line and self._line[0][0] <= now_s and len(found) < limit:
            watched = heapq.heappop(self._line)[2]
            self._noted.discard(watched)
            found.append(watched)
        return found

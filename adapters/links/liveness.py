"""A silent link is a lost link: each end pings each second, and hears at least as often."""

import math


class Liveness:
    """Tells when the other end has been silent for too long.

    Counts beats rather than seconds: a process that was itself stopped or stalled hears first what waits for
    it, and does not take its own silence for another's.
    """

    def __init__(self, ping_s: float, silence_s: float) -> None:
        self._beats_max = max(2, math.ceil(silence_s / ping_s))
        self._silent_beats = 0

    def heard(self) -> None:
        """Note that something arrived."""
        self._silent_beats = 0

    def beat(self) -> bool:
        """Return whether the link still lives; called once every `ping_s`."""
        self._silent_beats += 1
        return self._silent_beats <= self._beats_max

"""The pulse of a connection: a ping at every interval, a pong in time for each (§6 of the protocol)."""

from math import inf

from core.connections.codes import NO_PONG
from core.connections.effects import Close, Effect, Ping
from core.connections.moment import Moment


class Pulse:
    """Pings and pongs of one connection.

    Args:
        ping_s: from one ping to the next.
        pong_s: that a client has to answer one; less than `ping_s`.
        is_answered: it is asked for pongs; else it is pinged, and never missed.
    """

    __slots__ = ("_awaits_pong", "_is_answered", "_ping_s", "_pong_s", "due_s")

    def __init__(self, ping_s: float, pong_s: float, *, is_answered: bool) -> None:
        self._ping_s = ping_s
        self._pong_s = pong_s
        self._is_answered = is_answered
        self._awaits_pong = False
        self.due_s: float = inf

    def begin(self, at: Moment) -> None:
        """Let the first ping come after half to one interval: not all clients are pinged at once."""
        self.due_s = at.monotonic_s + self._ping_s * (0.5 + at.jitter / 2)

    def ponged(self) -> bool:
        """Take a pong; False: none was awaited."""
        if not self._awaits_pong:
            return False
        self._awaits_pong = False
        self.due_s += self._ping_s - self._pong_s
        return True

    def tick(self, now_s: float, *, is_read: bool) -> list[Effect]:
        """Ping if it is time; end a client whose pong is missing.

        `is_read`: what the client says comes through; else its pong may wait with the rest of it.
        """
        if now_s < self.due_s:
            return []
        if self._awaits_pong and is_read:
            return [Close(NO_PONG)]
        if self._awaits_pong:
            self.due_s = now_s + self._pong_s  # it has all its time again
            return []
        self._awaits_pong = self._is_answered
        self.due_s = now_s + (self._pong_s if self._is_answered else self._ping_s)
        return [Ping()]

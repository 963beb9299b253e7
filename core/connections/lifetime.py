"""How long a connection lives: as long as its credential, and a grace for a client that brings a new one.

Of a client that the organization's backend let in for a time, the backend may be asked at that time whether
it stays. Then there is no grace.
"""

from math import inf

from core.connections.codes import CONNECTION_EXPIRED
from core.connections.effects import AskToStay, Close, Effect
from core.connections.moment import Moment
from core.instants import Instant


class Lifetime:
    """The end of one connection, if it has one.

    Args:
        grace_s: how long it lives past its credential.

    Attributes:
        asks_to_stay: it is the backend that prolongs it; set before `last_until`.
        due_s: when it ends, or is asked about, on the monotonic clock; never: inf.
    """

    __slots__ = ("_grace_s", "asks_to_stay", "due_s")

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self.asks_to_stay = False
        self.due_s: float = inf

    @property
    def is_limited(self) -> bool:
        """Whether an end is known: of none that never expires, nor while the backend is being asked."""
        return self.due_s != inf

    def last_until(self, expires_at: Instant | None, at: Moment) -> int | None:
        """Take the expiry of a credential; return in how many seconds that is, None for never."""
        expires_s, ttl_s = at.until(expires_at)
        if expires_s is None:
            self.due_s = inf
        else:
            self.due_s = expires_s + (0 if self.asks_to_stay else self._grace_s)
        return ttl_s

    def tick(self, now_s: float) -> list[Effect]:
        """End what is over, or ask once whether it may stay."""
        if now_s < self.due_s:
            return []
        if not self.asks_to_stay:
            return [Close(CONNECTION_EXPIRED)]
        self.due_s = inf  # until the answer is there
        return [AskToStay()]

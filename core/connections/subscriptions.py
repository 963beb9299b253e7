"""The subscriptions of one connection: on what terms, and until when."""

from collections.abc import Iterator
from math import inf

from core.connections.subscription import Grant, Grants


class Subscriptions:
    """By channel, each with its grant; None while it is still being decided.

    Args:
        shared: the grants of this process.
        channels_max: how many there may be.
        grace_s: how long a subscription lives past its token.
    """

    __slots__ = ("_ends", "_grace_s", "_grants", "_shared", "channels_max")

    def __init__(self, shared: Grants, *, channels_max: int, grace_s: float) -> None:
        self._shared = shared
        self.channels_max = channels_max
        self._grace_s = grace_s
        self._grants: dict[str, Grant | None] = {}
        self._ends: dict[str, float] | None = None

    def __contains__(self, channel: str) -> bool:
        return channel in self._grants

    def __len__(self) -> int:
        return len(self._grants)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._grants))

    @property
    def are_full(self) -> bool:
        """Whether there may be no more."""
        return len(self._grants) >= self.channels_max

    def reserve(self, channel: str) -> None:
        """Hold the place of a subscription that is being decided."""
        self._grants[channel] = None

    def begin(self, channel: str, grant: Grant, ends_s: float | None = None) -> Grant:
        """Begin a subscription and return its terms, as all alike ones share them.

        `ends_s`: when its token ends, on the monotonic clock.
        """
        shared = self._grants[channel] = self._shared.shared(grant)
        self.end_at(channel, ends_s)
        return shared

    def end_at(self, channel: str, ends_s: float | None) -> None:
        """Give a subscription another end; None: it has none."""
        if ends_s is not None:
            if self._ends is None:
                self._ends = {}
            self._ends[channel] = ends_s
        elif self._ends is not None:
            self._ends.pop(channel, None)
            self._ends = self._ends or None

    def drop(self, channel: str) -> Grant | None:
        """Forget a subscription; return its terms, if it had got so far."""
        if self._ends is not None:
            self.end_at(channel, None)
        return self._grants.pop(channel, None)

    def grant(self, channel: str) -> Grant | None:
        """Return the terms of a subscription; None: there is none, or not yet."""
        return self._grants.get(channel)

    @property
    def due_s(self) -> float:
        """When the next one is over, its grace included."""
        return inf if self._ends is None else min(self._ends.values()) + self._grace_s

    def expired(self, now_s: float) -> list[str]:
        """Return those that are over, each once."""
        if self._ends is None:
            return []
        over = [channel for channel, ends_s in self._ends.items() if now_s >= ends_s + self._grace_s]
        self._ends.update(dict.fromkeys(over, inf))
        return over

    def is_over(self, channel: str) -> bool:
        """Say whether `expired` returned a subscription, and it was given no other end since."""
        return self._ends is not None and self._ends.get(channel) == inf

"""A moment, as the shell hands it in: on the wall, on the monotonic clock, and a grain of chance."""

from dataclasses import dataclass

from core.auth.tokens import LIFETIME_MAX
from core.instants import MICROSECONDS, Instant


@dataclass(frozen=True, slots=True)
class Moment:
    """`monotonic_s` for intervals, `wall` for what tokens say, `jitter` in [0, 1) to spread load."""

    monotonic_s: float
    wall: Instant
    jitter: float = 0.0

    def until(self, ends_at: Instant | None) -> tuple[float | None, int | None]:
        """Return when something ends on the monotonic clock, and in how many whole seconds, at least 1.

        None for both when it does not end. What ends later than any token does ends with the longest.
        """
        if ends_at is None:
            return None, None
        left_s = min(ends_at - self.wall, LIFETIME_MAX) / MICROSECONDS
        return self.monotonic_s + left_s, max(1, int(left_s))

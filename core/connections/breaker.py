"""A circuit breaker: who fails again and again is left alone for a while, and then tried with one call.

| state | a call | it succeeds | it fails |
|---|---|---|---|
| closed | goes out | closed | closed; after `failures_max` in a row open |
| open, within the pause | is refused | closed (it began before) | open, for another pause |
| open, after the pause | goes out, as the only one of the next pause | closed | open, for another pause |

A call that ends without an outcome needs no word: the pause before the next one began when it went out.
"""

from dataclasses import dataclass


@dataclass(slots=True)
class Breaker:
    """What is known of one receiver. `failures_max` in a row open it, for `pause_s` each time."""

    failures_max: int
    pause_s: float
    failures: int = 0
    closed_from_s: float = 0.0
    """Of an open one: when the next call may go out, in seconds of a clock that never falls."""

    @property
    def is_open(self) -> bool:
        """Whether the receiver has failed too often in a row."""
        return self.failures >= self.failures_max

    def admits(self, now_s: float) -> bool:
        """Say whether a call may go out now; tell `succeeded` or `failed` afterwards."""
        if not self.is_open:
            return True
        if now_s < self.closed_from_s:
            return False
        self.closed_from_s = now_s + self.pause_s
        return True

    def succeeded(self) -> None:
        """Take note that the receiver answered."""
        self.failures = 0

    def failed(self, now_s: float) -> None:
        """Take note that it did not."""
        self.failures = min(self.failures + 1, self.failures_max)
        self.closed_from_s = now_s + self.pause_s

"""What one half of the system may ask of the other, of time and of chance.

A port exists only where the import law needs it (gateways ask the log's writer without knowing that actors
exist) and for time and chance. Each method says what it guarantees; the contract tests are named after
these sentences.
"""

from collections.abc import Awaitable
from typing import Protocol

from core.instants import Instant
from core.streams.command import Command
from core.streams.event import EphemeralPublication, Head, LiveBatch
from core.streams.outcome import Outcome


class Clock(Protocol):
    """Time, as a value that somebody hands in."""

    def now(self) -> Instant:
        """Return the wall-clock time. It may jump; only what people see is made of it."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never fall, for deadlines and intervals within one process."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` of monotonic time."""
        ...


class Entropy(Protocol):
    """Chance, as a value that somebody hands in."""

    def id(self) -> bytes:
        """Return a new UUIDv7 (16 bytes): rising within the process, unique everywhere."""
        ...

    def token(self, size_bytes: int) -> bytes:
        """Return unpredictable bytes for secrets."""
        ...

    def jitter(self) -> float:
        """Return a number in [0, 1), good enough to spread load, not for secrets."""
        ...


class StreamWriter(Protocol):
    """The way to an organization's single writer, wherever it lives."""

    def submit(self, command: Command) -> Awaitable[Outcome]:
        """Hand one write to the organization's log.

        Starts at the call, not at the await; commands of one caller for one organization take effect in the
        order of the calls. The outcome is `Committed` only after the commit was acknowledged; `Refused`
        never has an effect; `Unknown` only when `left_ms` ran out unsettled. Never raises for these; never
        cancelled by the caller's cancellation. Idempotent by `key` for its retention, and by `event_id`
        while in flight.
        """
        ...


class LiveListener(Protocol):
    """Receives one organization's committed events; each method is called on the loop and returns at once."""

    def on_live(self, batch: LiveBatch) -> None:
        """Take events of one commit. Batches may repeat, overlap or skip: the receiver compares `seq`."""
        ...

    def on_head(self, head: Head) -> None:
        """Take the announced head: repeated each second, after every (re)connection, and on request."""
        ...

    def on_ephemeral(self, publication: EphemeralPublication) -> None:
        """Take a publication that is not in the log. At most once, ordered with the batches around it."""
        ...


class LiveFeed(Protocol):
    """The way to hear of an organization's committed events."""

    def watch(self, organization_id: bytes, listener: LiveListener) -> None:
        """Begin to deliver: first `on_head`, then by `on_live` what is committed after that head.

        Survives lost links and moved partitions by itself: after each, `on_head` comes again, and what was
        missed in between is for the listener to read from the log up to that head. Several listeners
        may watch one organization; watching twice with the same one is one watch.
        """
        ...

    def unwatch(self, organization_id: bytes, listener: LiveListener) -> None:
        """Stop delivering; the listener is not called any more."""
        ...

    async def head(self, organization_id: bytes) -> Head:
        """Return a head that covers everything acknowledged before this call, whoever wrote it.

        Raises:
            TidingsError: `unavailable` when no owner answers before the request deadline.
        """
        ...

"""One submitted command on its way to its outcome, and the counts that bound how many there are."""

import asyncio
from typing import Final, Protocol

import msgspec

from core.errors import Code
from core.streams.command import (
    Atomic,
    Claim,
    Command,
    Create,
    Delete,
    Operation,
    Patch,
    Publish,
    Put,
    size_of_publication,
)
from core.streams.outcome import Committed, Outcome, Refused, Unknown

OVERHEAD_BYTES: Final = 256
"""What a command weighs besides its payload."""

_BEFORE_THE_KEY: Final = frozenset(
    code.value
    for code in (
        Code.DEADLINE_EXCEEDED,
        Code.CAPACITY_REDUCED,
        Code.PARTITION_MOVING,
        Code.UNAVAILABLE,
        Code.IDEMPOTENCY_IN_FLIGHT,
    )
)
"""Refusals that an owner gives without having looked for the command's key in the log."""


class Budget:
    """How many commands and bytes are outstanding on one link, or wait for one."""

    def __init__(self, commands_max: int, bytes_max: int) -> None:
        self._commands_left = commands_max
        self._bytes_left = bytes_max

    @property
    def has_room(self) -> bool:
        """Whether one more command may come in."""
        return self._commands_left > 0 and self._bytes_left > 0

    def take(self, size: int) -> None:
        """Count one command of `size` bytes in."""
        self._commands_left -= 1
        self._bytes_left -= size

    def release(self, size: int) -> None:
        """Count it out."""
        self._commands_left += 1
        self._bytes_left += size


class Home(Protocol):
    """Where a command comes back to when its link is lost or its owner has moved."""

    def take_back(self, pending: "Pending") -> None:
        """Keep a command whose fate on a lost link nobody knows."""
        ...

    def undecided(self, pending: "Pending") -> None:
        """Keep a command whose fate its owner could not tell: the present owner is asked."""
        ...

    def moved(self, pending: "Pending", refusal: Refused) -> None:
        """Keep a command that surely had no effect, since its owner no longer owns the partition."""
        ...


class Pending:
    """A command, the future that its caller holds, and what is known about its fate.

    `doubtful`: it was sent on a link that was lost, so it may have taken effect; until the owner has said
    what became of it, or has met its key, no refusal is believed. Exactly one outcome is given; a caller who
    went away changes nothing.
    """

    __slots__ = (
        "budget",
        "command",
        "deadline",
        "doubtful",
        "future",
        "home",
        "number",
        "refusal",
        "sendings",
        "settled",
        "size",
    )

    def __init__(
        self, number: int, command: Command, future: asyncio.Future[Outcome], deadline: float, budget: Budget
    ) -> None:
        self.number = number
        self.command = command
        self.future = future
        self.deadline = deadline
        self.size = weight(command.operation)
        self.budget = budget
        self.home: Home | None = None
        self.doubtful = False
        self.sendings = 0
        self.refusal: Refused | None = None
        self.settled = False
        budget.take(self.size)

    @property
    def is_ephemeral(self) -> bool:
        """Whether it leaves no trace in the log, so that it must not be sent twice."""
        operation = self.command.operation
        return type(operation) is Publish and operation.ephemeral

    def settle(self, outcome: Outcome) -> None:
        """Give the outcome to the caller."""
        if self.settled:
            return
        self.settled = True
        self.budget.release(self.size)
        if self.sendings > 1:
            outcome = self._of_all_sendings(outcome)
        if not self.future.done():
            self.future.set_result(outcome)

    def move(self, budget: Budget) -> None:
        """Count against another budget from now on."""
        self.budget.release(self.size)
        self.budget = budget
        budget.take(self.size)

    def lapse(self, *, sent: bool) -> None:
        """Give the outcome of a deadline that ran out: `Unknown` unless it surely had no effect.

        Args:
            sent: it is on a link and unanswered.
        """
        if sent or self.doubtful:
            self.settle(Unknown("no answer before the deadline"))
        else:
            self.settle(self.refusal or Refused(Code.DEADLINE_EXCEEDED.value, "no owner could be reached"))

    def left(self, now: float) -> Command:
        """Return the command with the time that its caller still has at `now`."""
        left_ms = max(0, int((self.deadline - now) * 1000))
        return msgspec.structs.replace(self.command, left_ms=left_ms)

    def _of_all_sendings(self, outcome: Outcome) -> Outcome:
        if type(outcome) is Refused and self.doubtful and outcome.code in _BEFORE_THE_KEY:
            return Unknown("the link was lost, and the command could not be sent again")
        if type(outcome) is Committed and outcome.replayed and outcome.event_id == self.command.event_id:
            # It met its own key: to its caller that is the first answer.
            return msgspec.structs.replace(outcome, replayed=False)
        return outcome


def weight(operation: Operation) -> int:
    """Return about how many bytes an operation has on the wire."""
    match operation:
        case Publish():
            return OVERHEAD_BYTES + size_of_publication(operation)
        case Create() | Put():
            return OVERHEAD_BYTES + len(operation.document)
        case Patch():
            return OVERHEAD_BYTES + len(operation.patch)
        case Delete() | Claim():
            return OVERHEAD_BYTES
        case Atomic():
            return OVERHEAD_BYTES + sum(weight(item.change) for item in operation.items)

"""Commands that wait for the next batch: fair among organizations, bounded in number and bytes."""

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass

from core.streams.command import (
    Atomic,
    Command,
    Create,
    Operation,
    Patch,
    Publish,
    Put,
    size_of_publication,
)
from core.streams.outcome import Outcome

COMMAND_BYTES = 200
"""What a command costs besides its payload; an estimate that only has to bound memory."""


@dataclass(slots=True)
class Pending:
    """One command on its way, and everybody who waits for it. `begun`: it may take effect from now on."""

    command: Command
    outcome: asyncio.Future[Outcome]
    source: object
    deadline: float
    size_bytes: int
    begun: bool = False


def size_of(operation: Operation) -> int:
    """Return about how many bytes an operation holds."""
    match operation:
        case Publish():
            return COMMAND_BYTES + size_of_publication(operation)
        case Create() | Put():
            return COMMAND_BYTES + len(operation.document)
        case Patch():
            return COMMAND_BYTES + len(operation.patch)
        case Atomic():
            return sum(size_of(item.change) for item in operation.items)
        case _:
            return COMMAND_BYTES


class FairQueue:
    """First in, first out per organization; between organizations one command of each in turn.

    A flood of one organization delays another's command by one batch at most (reliability rule R4).
    """

    def __init__(self, commands_max: int, bytes_max: int) -> None:
        self._lines: OrderedDict[bytes, deque[Pending]] = OrderedDict()
        self._commands_max = commands_max
        self._bytes_max = bytes_max
        self._commands = 0
        self._bytes = 0

    def __len__(self) -> int:
        return self._commands

    def put(self, pending: Pending) -> bool:
        """Add a command at the end of its organization's line; False: the queue is full."""
        if self._commands >= self._commands_max or self._bytes + pending.size_bytes > self._bytes_max:
            return False
        self._lines.setdefault(pending.command.organization_id, deque()).append(pending)
        self._commands += 1
        self._bytes += pending.size_bytes
        return True

    def take(self, commands_max: int, bytes_max: int) -> list[Pending]:
        """Remove and return the next batch: one command of each organization in turn until a limit is met."""
        taken: list[Pending] = []
        size = 0
        lines = self._lines
        if len(lines) == 1:  # the usual case needs no turns
            line = next(iter(lines.values()))
            while line and len(taken) < commands_max and size < bytes_max:
                pending = line.popleft()
                size += pending.size_bytes
                taken.append(pending)
            if not line:
                lines.clear()
        else:
            while lines and len(taken) < commands_max and size < bytes_max:
                organization_id, line = lines.popitem(last=False)
                pending = line.popleft()
                size += pending.size_bytes
                taken.append(pending)
                if line:
                    lines[organization_id] = line
        self._commands -= len(taken)
        self._bytes -= size
        return taken

    def drop(self, source: object) -> list[Pending]:
        """Remove and return everything that one source has queued."""
        kept: OrderedDict[bytes, deque[Pending]] = OrderedDict()
        dropped: list[Pending] = []
        for organization_id, line in self._lines.items():
            dropped += [pending for pending in line if pending.source is source]
            if rest := deque(pending for pending in line if pending.source is not source):
                kept[organization_id] = rest
        self._lines = kept
        self._commands -= len(dropped)
        self._bytes -= sum(pending.size_bytes for pending in dropped)
        return dropped

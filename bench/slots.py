"""A few integers that the generator's processes share: where the run stands, and what each has counted."""

import mmap
from enum import IntEnum


class Stage(IntEnum):
    """What the generator's processes do at the moment."""

    OPEN = 0
    WARM = 1
    MEASURE = 2
    DRAIN = 3
    END = 4


class Slots:
    """Anonymous shared memory, inherited by fork. Each integer has one writer, so nothing is locked."""

    _PER_PROCESS = 3

    def __init__(self, processes: int) -> None:
        self._memory = mmap.mmap(-1, 8 * (1 + processes * self._PER_PROCESS))
        self._numbers = memoryview(self._memory).cast("q")
        self._processes = processes

    @property
    def stage(self) -> int:
        """Where the run stands."""
        return self._numbers[0]

    @stage.setter
    def stage(self, stage: Stage) -> None:
        self._numbers[0] = stage

    def set_delivered(self, process: int, publications: int) -> None:
        """Write how many publications the process's sockets have received."""
        self._numbers[1 + process * self._PER_PROCESS] = publications

    def set_closed(self, process: int, sockets: int) -> None:
        """Write how many of the process's sockets the server has closed."""
        self._numbers[2 + process * self._PER_PROCESS] = sockets

    def set_acknowledged(self, process: int, publishes: int) -> None:
        """Write how many publishes of the process were acknowledged."""
        self._numbers[3 + process * self._PER_PROCESS] = publishes

    def delivered(self) -> int:
        """Return the publications received by all."""
        return self._sum(1)

    def closed(self) -> int:
        """Return the sockets that the server closed."""
        return self._sum(2)

    def acknowledged(self) -> int:
        """Return the publishes acknowledged to all."""
        return self._sum(3)

    def _sum(self, first: int) -> int:
        return sum(self._numbers[first + n * self._PER_PROCESS] for n in range(self._processes))

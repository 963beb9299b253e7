"""The most memory that processes hold while something goes on."""

import multiprocessing
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from multiprocessing.sharedctypes import Synchronized

from bench.machine import resident_bytes

LOOK_S = 0.5
_FORK = multiprocessing.get_context("fork")


@contextmanager
def peak_bytes(pids: Iterable[int]) -> "Iterator[Synchronized[int]]":
    """Look at them from a process of its own until the block ends; `value` is the most that was seen."""
    most = _FORK.Value("q", 0)
    watcher = _FORK.Process(target=_watch, args=(list(pids), most))
    watcher.start()
    try:
        yield most
    finally:
        watcher.terminate()
        watcher.join()


def _watch(pids: list[int], most: "Synchronized[int]") -> None:
    while True:
        most.value = max(most.value, resident_bytes(pids))
        time.sleep(LOOK_S)

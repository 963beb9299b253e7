"""One measured run: counting processes, a publishing process, a window, a drain."""

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import TypedDict

from bench.counter import count
from bench.encoding import JSON
from bench.machine import Cpu, CpuMeter
from bench.publisher import Driven, Work, publish
from bench.slots import Slots, Stage
from bench.wire import Door, LoadError

SOCKETS_PER_PROCESS = 8_000
WARM_S = 1.0
DRAIN_S = 8.0
PROBES = 4
_FORK = multiprocessing.get_context("fork")  # the slots are inherited, and nothing has threads yet


@dataclass(frozen=True, slots=True)
class Load:
    """Who subscribes to what, and what is published.

    Subscriber n and publisher n use channel n modulo `channels`. Of the subscribers, up to four measure
    latency as well, in JSON and without wishes; the others only count.
    """

    subscribers: int
    publishers: int
    depth: int = 1
    channels: int = 1
    rate_hz: float = 0.0
    prefix: str = "bench"
    payload_bytes: int = 90

    def channel(self, number: int) -> str:
        """Return the channel of subscriber or publisher `number`."""
        return f"{self.prefix}{number % self.channels}"


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run showed. `missing`: acknowledged publications not delivered at the end of the drain."""

    publishes_hz: float
    deliveries_hz: float
    driven: Driven
    cpu: Cpu
    seconds: float
    closed: int
    missing: int


def run(door: Door, load: Load, seconds: float) -> Measured:
    """Open everything, warm up, measure for `seconds`, let it drain, and return what was seen.

    Raises:
        LoadError: a socket could not be opened, or a publisher lost its own.
    """
    probes = min(PROBES, load.subscribers)
    counted = [(load.channel(n),) for n in range(probes, load.subscribers)]
    parts = [counted[i : i + SOCKETS_PER_PROCESS] for i in range(0, len(counted), SOCKETS_PER_PROCESS)]
    slots = Slots(len(parts) + 1)
    with counting(door, parts, slots) as counters:
        work = Work(
            publishers=load.publishers,
            channels=[load.channel(n) for n in range(load.channels)],
            depth=load.depth,
            rate_hz=load.rate_hz,
            payload_bytes=load.payload_bytes,
            probe_channels=[load.channel(n) for n in range(probes)],
        )
        here, there = _FORK.Pipe()
        plain = replace(door, encoding=JSON, wish={})
        driver = _FORK.Process(target=publish, args=(plain, work, slots, len(parts), there))
        driver.start()
        there.close()  # so that the end of the process is heard
        try:
            _opened(here)
            return _measure(load, slots, [*counters, driver], here, seconds)
        finally:
            slots.stage = Stage.END
            _end(driver)


@contextmanager
def counting(
    door: Door, parts: Sequence[Sequence[Sequence[str]]], slots: Slots
) -> Iterator[list[BaseProcess]]:
    """Hold subscribers in one process per part until the block ends; process n counts in slot n."""
    processes: list[BaseProcess] = []
    try:
        for number, part in enumerate(parts):
            here, there = _FORK.Pipe()
            processes.append(_FORK.Process(target=count, args=(door, part, slots, number, there)))
            processes[-1].start()
            there.close()
            _opened(here)
        yield processes
    finally:
        slots.stage = Stage.END
        for process in processes:
            _end(process)


def _opened(pipe: Connection) -> float:
    answer = _received(pipe)
    assert isinstance(answer, float)
    return answer


def _received(pipe: Connection) -> object:
    try:
        answer = pipe.recv()
    except EOFError:
        raise LoadError("a process of the load ended") from None
    if isinstance(answer, str):
        raise LoadError(answer)
    return answer


def _measure(
    load: Load, slots: Slots, processes: Sequence[BaseProcess], pipe: Connection, seconds: float
) -> Measured:
    slots.stage = Stage.WARM
    time.sleep(WARM_S)
    meter = CpuMeter([p.pid for p in processes if p.pid is not None])
    began, acknowledged, delivered = time.monotonic(), slots.acknowledged(), slots.delivered()
    slots.stage = Stage.MEASURE
    time.sleep(seconds)
    slots.stage = Stage.DRAIN
    elapsed = time.monotonic() - began
    acknowledged, delivered = slots.acknowledged() - acknowledged, slots.delivered() - delivered
    cpu = meter.read()
    missing = _drain(load, slots)
    slots.stage = Stage.END
    driven = _received(pipe)
    assert isinstance(driven, Driven)
    return Measured(
        acknowledged / elapsed, delivered / elapsed, driven, cpu, elapsed, slots.closed(), missing
    )


def _drain(load: Load, slots: Slots) -> int:
    # Each acknowledged publication goes to the subscribers of its channel; publishers and subscribers are
    # spread over the channels alike, so with one channel the sum is exact and else it is not asked for.
    if load.channels != 1:
        time.sleep(0.5)
        return 0
    deadline = time.monotonic() + DRAIN_S
    while time.monotonic() < deadline:
        missing = slots.acknowledged() * load.subscribers - slots.delivered()
        time.sleep(0.1)
        if missing <= 0 and missing == slots.acknowledged() * load.subscribers - slots.delivered():
            return missing
    return slots.acknowledged() * load.subscribers - slots.delivered()


def _end(process: BaseProcess) -> None:
    process.join(5)
    if process.is_alive():
        process.kill()
        process.join()


class Judged(TypedDict):
    """What every figure of a run bears beside its value."""

    cpu: Cpu
    fault: str


def judged(seen: Measured) -> Judged:
    """Return the processor seconds per second of a run, and what makes it invalid."""
    faults = [
        f"{seen.missing:,} publications missing" * (seen.missing != 0),
        f"{seen.closed} sockets closed" * (seen.closed != 0),
        f"{seen.driven.errors} refusals, e.g. {seen.driven.first_error[:120]}" * (seen.driven.errors != 0),
    ]
    cpu = Cpu(seen.cpu.generator_s / seen.seconds, seen.cpu.rest_s / seen.seconds)
    return Judged(cpu=cpu, fault="; ".join(filter(None, faults)))

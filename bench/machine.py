"""What the machine says: who used its processors, what a process holds in memory, what it is."""

import os
import platform
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Cpu:
    """Processor seconds of a measured part: the generator's own, and all else on the machine."""

    generator_s: float
    rest_s: float


NO_CPU = Cpu(0.0, 0.0)


class CpuMeter:
    """Measures the processor time between its making and `read`."""

    def __init__(self, generator: Iterable[int]) -> None:
        self._processes = [psutil.Process(pid) for pid in generator]
        self._generator, self._machine = self._now()

    def read(self) -> Cpu:
        """Return what has been used since."""
        generator, machine = self._now()
        own = generator - self._generator
        return Cpu(own, max(0.0, machine - self._machine - own))

    def _now(self) -> tuple[float, float]:
        own = 0.0
        for process in self._processes:
            times = process.cpu_times()
            own += times.user + times.system
        all_times = psutil.cpu_times()
        return own, sum(all_times) - all_times.idle - all_times.iowait - all_times.steal


def listeners(port: int) -> set[int]:
    """Return the processes that listen on a TCP port of this machine."""
    return {
        c.pid
        for c in psutil.net_connections("tcp")
        if c.status == psutil.CONN_LISTEN and c.laddr and c.laddr.port == port and c.pid is not None
    }


def resident_bytes(pids: Iterable[int]) -> int:
    """Return the proportional set size of the processes together."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


@dataclass(frozen=True, slots=True)
class Machine:
    """Where and of what a result is: without these a figure says nothing."""

    at: str
    commit: str
    cpu: str
    cores: int
    memory_gib: int
    system: str
    python: str


def describe() -> Machine:
    """Return this machine and this commit; a commit with uncommitted changes ends in `+`."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    changed = _git("status", "--porcelain", "--untracked-files=no")
    return Machine(
        at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        commit=_git("rev-parse", "--short", "HEAD") + ("+" if changed else ""),
        cpu=model,
        cores=os.cpu_count() or 0,
        memory_gib=round(psutil.virtual_memory().total / 2**30),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
    )


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 (ours)
    return done.stdout.strip()

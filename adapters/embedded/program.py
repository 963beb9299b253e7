"""A program beside us: started with its log in a file, ended by its own pid, never left behind unseen.

Its pid and start time are written down, so that the next start can end what a crash of the supervisor
left over.
"""

import asyncio
import json
import signal
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from adapters.embedded.errors import StartError

STOP_TIMEOUT_S = 5.0
LOG_TAIL_BYTES = 600
TICK_S = 0.02


class Program:
    """One child process.

    Args:
        name: what people call it.
        command: the program and its arguments.
        log_file: gets what it prints.
        record: file that remembers its pid.
        environment: of the child, nothing else is inherited.
    """

    def __init__(
        self, name: str, command: Sequence[str], log_file: Path, record: Path, environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self.log_file = log_file
        self.environment = dict(environment)
        self._command = list(command)
        self._record = record
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The child, while it lives."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self, *, hold_stdin: bool = False) -> None:
        """Start it, after ending what an earlier run left.

        Args:
            hold_stdin: give it a pipe that closes when this process ends, however it ends.
        """
        end_left_over(self._record)
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 (our own commands)
                self._command,
                stdin=subprocess.PIPE if hold_stdin else subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in the terminal is for the supervisor: it stops us in order
                env=self.environment,
            )
        created = psutil.Process(self._process.pid).create_time()
        self._record.write_text(json.dumps({"pid": self._process.pid, "created": created}))

    def say(self, line: str) -> None:
        """Write a line to the child's standard input."""
        assert self._process is not None  # noqa: S101 (only after start)
        assert self._process.stdin is not None  # noqa: S101 (only with hold_stdin)
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    async def wait(self) -> int:
        """Return the exit code when it has ended."""
        assert self._process is not None  # noqa: S101 (only after start)
        return await asyncio.to_thread(self._process.wait)

    async def restart(self) -> None:
        """Start it again after it has ended."""
        await asyncio.to_thread(self.start)

    async def end_input(self, timeout_s: float) -> None:
        """End its standard input, which tells it to stop; what is left after the timeout is killed."""
        process = self._process
        if process is None or process.stdin is None:
            return
        family = _family(process.pid) if process.poll() is None else []
        process.stdin.close()
        try:
            await asyncio.to_thread(process.wait, timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait)
        await asyncio.to_thread(_end, family)
        self._record.unlink(missing_ok=True)

    async def stop(self, sign: signal.Signals = signal.SIGTERM, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """End it and what it started: politely, and after the timeout at once."""
        process = self._process
        if process is None:
            return
        family = _family(process.pid) if process.poll() is None else []
        if process.poll() is None:
            process.send_signal(sign)
            try:
                await asyncio.to_thread(process.wait, timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()
                await asyncio.to_thread(process.wait)
        await asyncio.to_thread(_end, family)
        self._record.unlink(missing_ok=True)

    def log_tail(self) -> str:
        """Return the end of its log, for an error message."""
        try:
            return self.log_file.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace").strip()
        except FileNotFoundError:
            return ""

    def check(self) -> None:
        """Make sure that it lives.

        Raises:
            StartError: it has ended, and this is what it said.
        """
        if self._process is not None and self._process.poll() is not None:
            raise StartError(f"{self.name} ended at once; its log {self.log_file} says: {self.log_tail()}")


def left_over(record: Path) -> psutil.Process | None:
    """Return the process that an earlier run wrote down, if it still is the same one."""
    try:
        noted = json.loads(record.read_text())
        process = psutil.Process(noted["pid"])
        same = abs(process.create_time() - noted["created"]) < 1.0
    except (FileNotFoundError, ValueError, KeyError, psutil.NoSuchProcess):
        return None
    return process if same else None


def end_left_over(record: Path) -> int | None:
    """End the process that an earlier run wrote down, if it still is the same one, and return its pid."""
    process = left_over(record)
    if process is not None:
        _end([process, *process.children(recursive=True)])
    record.unlink(missing_ok=True)
    return None if process is None else process.pid


def kill_all(processes: Collection[psutil.Process], timeout_s: float) -> None:
    """Kill processes without asking, and return when none of them runs any more or the time is up."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    for _ in range(round(timeout_s / TICK_S)):
        if not any(_runs(process) for process in processes):
            return
        time.sleep(TICK_S)


def _runs(process: psutil.Process) -> bool:
    try:
        # Whoever waits for what has ended, if anybody does, is not our business.
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _family(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _end(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=STOP_TIMEOUT_S)
    kill_all(alive, STOP_TIMEOUT_S)

"""The published record: one line a trial, each of a commit that everybody can look at."""

import json
import math
import os
import subprocess
from dataclasses import asdict, dataclass, field

from bench.machine import ROOT, describe

RECORD = ROOT / "bench" / "results" / "faults.jsonl"
# What a run writes itself does not make another program of the one that it runs.
RESULTS = ("bench/results", "docs/reliability.md")


@dataclass(frozen=True, slots=True)
class Trial:
    """What one trial showed; the fields are those of the record. Infinite times are written as null."""

    fault: str
    injections: int
    back_s: float
    back_bound_s: float
    unavailable_s: float
    unavailable_bound_s: float
    again_s: float
    again_bound_s: float
    acknowledged: int
    subscribers: int
    duplicates: int
    breaks: int
    violations: int
    details: list[str]
    counts: dict[str, int] = field(default_factory=dict)


class Recorder:
    """Writes what was run on a commit, and nothing else.

    `TIDINGS_FAULTS_RECORD=clean` writes while the tree is that commit without a change, `any` always, with a
    `+` behind a commit that is not all there was. Without it nothing is written.
    """

    def __init__(self) -> None:
        self._mode = os.environ.get("TIDINGS_FAULTS_RECORD", "")
        assert self._mode in ("", "clean", "any"), "TIDINGS_FAULTS_RECORD is clean or any"
        self._commit = _commit() if self._mode else ""
        self.written = self.refused = 0

    def plan(self) -> str:
        """Say what will be written, before the time is spent."""
        if not self._mode:
            return "nothing is recorded (`make faults` does it)"
        changed = _changed()
        if changed and self._mode == "clean":
            return f"nothing is recorded, since {len(changed)} files are changed: {', '.join(changed[:5])} …"
        return f"recorded as {self._commit}{'+' if changed else ''}"

    def write(self, found: Trial) -> None:
        """Append one line, if it is to be recorded."""
        if not self._mode:
            return
        same = not _changed() and _commit() == self._commit
        if self._mode == "clean" and not same:
            self.refused += 1
            return
        machine = describe()
        commit = self._commit + ("" if same else "+")
        line = {"at": machine.at, "commit": commit, "cpu": machine.cpu, "cores": machine.cores}
        finite = {name: None if value == math.inf else value for name, value in asdict(found).items()}
        with RECORD.open("a") as record:
            record.write(json.dumps({**line, **finite}, allow_nan=False) + "\n")
        self.written += 1


def _commit() -> str:
    return _git("rev-parse", "--short", "HEAD")


def _changed() -> list[str]:
    return _git("status", "--porcelain", "--", ".", *(f":!{path}" for path in RESULTS)).splitlines()


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603 (ours)
    return done.stdout.strip()


RECORDER = Recorder()

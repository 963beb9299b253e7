"""One trial: load, a fault, recovery, a full read, the checker, and a line in the published record."""

import itertools
import json
import time
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field

from bench.machine import ROOT, describe
from tests.faults.load import Account, Load
from tests.faults.target import Target
from tests.helpers.eventually import eventually
from tests.helpers.history import Record, Report, check

RECORD = ROOT / "bench" / "results" / "faults.jsonl"
ACKNOWLEDGED_BEFORE, ACKNOWLEDGED_AFTER, ACKNOWLEDGED_MIN = 300, 400, 1_000
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Trial:
    """What one trial showed; the fields are those of the published record."""

    fault: str
    bound_s: float
    injections: int
    back_s: float
    unavailable_s: float
    acknowledged: int
    duplicates: int
    violations: list[str]
    counts: dict[str, int] = field(default_factory=dict)


async def trial(
    target: Target,
    accounts: Sequence[Account],
    fault: str,
    inject: Callable[[], Awaitable[int]],
    *,
    bound_s: float,
    injections: int = 1,
    gone: Callable[[], bool] | None = None,
) -> Trial:
    """Run the load through one fault and judge the whole history.

    Args:
        inject: causes the fault and heals it where it does not heal by itself; returns the moment that
            recovery counts from, on the monotonic clock in ns.
        bound_s: within this time everybody must be back: each writer acknowledged, each subscriber served.
        injections: how often `inject` does it.
        gone: the fault has taken effect; who is served before then is served by those about to end.
    """
    load = Load(target.system.port, accounts, f"{time.time_ns() // 1_000_000:x}{next(_numbers)}")
    await load.start()
    notes = load.notes
    assert await eventually(lambda: notes.acknowledged() >= ACKNOWLEDGED_BEFORE, within_s=60), "no load"
    fault_ns = await inject()
    effect_ns = fault_ns
    if gone is not None:
        assert await eventually(gone, within_s=bound_s), "the fault has no effect"
        effect_ns = time.monotonic_ns()
    clients = load.clients()
    await eventually(lambda: back_s(notes.records, effect_ns, clients) < float("inf"), within_s=2 * bound_s)
    enough = max(ACKNOWLEDGED_MIN, notes.acknowledged() + ACKNOWLEDGED_AFTER)
    await eventually(lambda: notes.acknowledged() >= enough, within_s=120)
    await load.stop()
    report = check([*notes.records, *await target.log(load.channels())])
    back = (effect_ns - fault_ns) / 1e9 + back_s(notes.records, effect_ns, clients)
    found = _trial(fault, bound_s, injections, back, report, notes.acknowledged())
    _publish(found)
    return found


def judge(found: Trial) -> None:
    """Fail unless every promise held and everybody was back in time."""
    assert found.violations == []
    assert found.acknowledged >= ACKNOWLEDGED_MIN, "too little happened for a verdict"
    assert found.back_s <= found.bound_s, f"back after {found.back_s:.1f} s of {found.bound_s:.0f} s"


def back_s(records: Sequence[Record], fault_ns: int, clients: frozenset[str]) -> float:
    """Return when the last of all clients was served again, in seconds after the fault; infinity for not yet.

    A writer is back with the first acknowledgement of an attempt that began after the fault, a subscriber
    with the first publication of such an attempt.
    """
    began: set[str] = set()
    asked: set[str] = set()
    back: dict[str, int] = {}
    for record in records[bisect_left(records, fault_ns, key=lambda r: r.at_ns) :]:
        if record.type == "invoke":
            began.add(record.operation)
            asked.add(record.id)
        elif record.operation in began if record.type == "ok" else record.f == "push" and record.id in asked:
            back.setdefault(record.process, record.at_ns)
    return (max(back.values()) - fault_ns) / 1e9 if back.keys() >= clients else float("inf")


def _trial(
    fault: str, bound_s: float, injections: int, back: float, report: Report, acknowledged: int
) -> Trial:
    return Trial(
        fault=fault,
        bound_s=bound_s,
        injections=injections,
        back_s=back,
        unavailable_s=report.unavailable_s,
        acknowledged=acknowledged,
        duplicates=report.counts["duplicates"],
        violations=[f"{v.anomaly.name}: {v.detail}" for v in report.violations][:20],
        counts=report.counts,
    )


def _publish(found: Trial) -> None:
    machine = describe()
    line = {"at": machine.at, "commit": machine.commit, "cpu": machine.cpu, "cores": machine.cores}
    with RECORD.open("a") as record:
        record.write(json.dumps({**line, **asdict(found)}) + "\n")

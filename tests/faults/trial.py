"""One trial: load, a fault, recovery, a full read, the checker, and a line in the published record."""

import asyncio
import itertools
import math
import time
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from tests.faults.load import SUBSCRIBERS, Account, Load
from tests.faults.record import RECORDER, Trial
from tests.faults.target import Target
from tests.helpers.eventually import eventually
from tests.helpers.history import Record, check

ACKNOWLEDGED_BEFORE, ACKNOWLEDGED_AFTER, ACKNOWLEDGED_MIN = 300, 400, 1_000
LOOK_S = 0.2
_numbers = itertools.count(1)


class InvalidTrialError(AssertionError):
    """Nothing can be said: the fault did not happen, or too little else did. It is not recorded."""


@dataclass(frozen=True, slots=True)
class Injected:
    """What the injector saw of its own doing.

    `at_ns`: recovery counts from here, on the monotonic clock: the fault, or its end if it was healed.
    `effect_ns`: from here on nobody is served by what the fault has hit. `times`: how often it took effect.
    `outage_s`: somebody must have waited so long, or it did not.
    """

    at_ns: int
    effect_ns: int
    times: int = 1
    outage_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """The promised times.

    `back_s`: every writer is acknowledged and every subscriber served again. `unavailable_s`: the longest
    that a writer waits between two acknowledgements; counts while a fault lasts, too. `again_s`: what died
    runs again.
    """

    back_s: float
    unavailable_s: float
    again_s: float = 0.0


async def trial(
    target: Target,
    accounts: Sequence[Account],
    fault: str,
    inject: Callable[[], Awaitable[Injected]],
    bounds: Bounds,
    *,
    injections: int = 1,
    again: Callable[[], Awaitable[bool]] | None = None,
) -> Trial:
    """Run the load through one fault and judge the whole history.

    Args:
        accounts: two organizations or more, so that one's data under another's name is seen.
        inject: causes the fault, and heals it where it does not heal by itself.
        injections: how often `inject` must have done it.
        again: what died runs again.

    Raises:
        InvalidTrialError: there was no load or no fault, or too little after it.
    """
    assert len({account.organization for account in accounts}) >= 2, "one organization shows no isolation"
    run = f"{time.time_ns() // 1_000_000:x}{next(_numbers)}"
    async with Load(target.system.port, accounts, run) as load:
        await load.start()
        notes = load.notes
        loaded = await eventually(lambda: notes.acknowledged() >= ACKNOWLEDGED_BEFORE, within_s=60)
        _demand(loaded, "no load")
        injected = await inject()
        _demand(injected.times >= injections, f"the fault took effect {injected.times} of {injections} times")
        seeing = asyncio.get_running_loop().create_task(_again_s(again, injected.at_ns, 2 * bounds.again_s))
        await _go_on(load, injected, 2 * bounds.back_s)
        again_s = await seeing
        await load.stop()
        log = await target.log(load.channels(), [account.organization for account in accounts])
    report = check([*notes.records, *log])
    _demand(report.unavailable_s >= injected.outage_s, "nobody waited: the fault has hit nobody")
    back = back_s(notes.records, injected.effect_ns, load.clients())
    found = Trial(
        fault=fault,
        injections=injected.times,
        back_s=(injected.effect_ns - injected.at_ns) / 1e9 + back,
        back_bound_s=bounds.back_s,
        unavailable_s=report.unavailable_s,
        unavailable_bound_s=bounds.unavailable_s,
        again_s=again_s,
        again_bound_s=bounds.again_s,
        acknowledged=notes.acknowledged(),
        subscribers=report.counts.get("observe end", 0),
        duplicates=report.counts["duplicates"],
        breaks=report.counts["observe start"] - SUBSCRIBERS,
        violations=len(report.violations),
        details=[f"{v.anomaly.name}: {v.detail}" for v in report.violations[:20]],
        counts=report.counts,
    )
    RECORDER.write(found)
    return found


async def _go_on(load: Load, injected: Injected, within_s: float) -> None:
    """Return when everybody is back and enough has happened since, or when it is clear that they are not."""
    notes, clients = load.notes, load.clients()
    is_back = await eventually(
        lambda: back_s(notes.records, injected.effect_ns, clients) < math.inf, within_s=within_s
    )
    if is_back:
        enough = max(ACKNOWLEDGED_MIN, notes.acknowledged() + ACKNOWLEDGED_AFTER)
        went_on = await eventually(lambda: notes.acknowledged() >= enough, within_s=120)
        _demand(went_on, "too little was acknowledged for a verdict")


def judge(found: Trial) -> None:
    """Fail unless every promise held and everybody was back in time."""
    assert not found.violations, found.details
    # None of these faults changes a stream's epoch: whoever comes back with a position recovers from it.
    assert not found.breaks, f"{found.breaks} subscriptions were told that they could not be recovered"
    assert found.subscribers == SUBSCRIBERS, f"only {found.subscribers} subscriptions stood at the end"
    for what, took_s, bound_s in (
        ("everybody back", found.back_s, found.back_bound_s),
        ("a writer served again", found.unavailable_s, found.unavailable_bound_s),
        ("what died running again", found.again_s, found.again_bound_s),
    ):
        assert took_s <= bound_s, f"{what} after {took_s:.1f} s, promised within {bound_s:.1f} s"


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
    return (max(back.values()) - fault_ns) / 1e9 if back.keys() >= clients else math.inf


async def _again_s(again: Callable[[], Awaitable[bool]] | None, fault_ns: int, within_s: float) -> float:
    if again is None:
        return 0.0
    while True:
        is_again, since_s = await again(), (time.monotonic_ns() - fault_ns) / 1e9
        if is_again or since_s > within_s:
            return since_s if is_again else math.inf
        await asyncio.sleep(LOOK_S)


def _demand(condition: bool, otherwise: str) -> None:  # noqa: FBT001 (the condition is all it is about)
    if not condition:
        raise InvalidTrialError(otherwise)

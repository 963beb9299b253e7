"""Was a promise broken? Decides it from what writers, readers and the database wrote down, without I/O.

A history is a list of records in the order in which each process wrote its own. A writer notes `invoke`
before it sends and `ok`, `refused` or `unknown` when it knows; everybody who sees a publication notes
`observe`. Each publication carries an id of its own and its organization's canary in its payload, so what is
seen names what was sent. Times are one machine's monotonic clock. Every pass is a sort or a scan.
"""

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import msgspec


class Anomaly(StrEnum):
    """The ways in which a history can break a promise."""

    LOST_WRITE = "an acknowledged write is not in the log"
    PHANTOM = "something was seen that nobody sent"
    ABORTED_READ = "something was seen whose write was refused"
    TWO_VALUES = "one position names two events"
    GAP = "the log has a hole"
    SILENT_SKIP = "a connection skipped a publication without being told"
    INVERSION = "a write that began after another was acknowledged stands before it"
    EPOCH_REGRESS = "an older owner wrote after a newer one"
    DOUBLE_EFFECT = "one request took effect twice"
    DIFFERENT_REPLAY = "one key was answered in two ways"
    FOREIGN_CANARY = "an organization saw another's data"
    HEAD_BEYOND_LOG = "a head names what the log does not hold"
    UNDELIVERED = "a live subscriber never got what the log holds"


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of a history.

    `f` says what an `observe` saw: `push` a publication on a connection, `read` one over REST, `log` a row
    of the final read of the database, `head` the head row of an organization (`seq`) or channel (`offset`),
    `start` where a connection's subscription begins (also after `recovered: false`, the explicit break),
    `end` that the connection was still subscribed when the run ended. `operation` names one attempt;
    attempts that repeat a request share its `key` and `id`. `answer` is the answer's body, byte for byte.
    """

    process: str
    type: Literal["invoke", "ok", "refused", "unknown", "observe"]
    at_ns: int
    f: Literal["publish", "push", "read", "log", "head", "start", "end"] = "publish"
    organization: str = ""
    channel: str = ""
    operation: str = ""
    id: str = ""
    key: str = ""
    seq: int = 0
    offset: int = 0
    epoch: str = ""
    partition_epoch: int = 0
    canary: str = ""
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken promise, and the record that shows it."""

    anomaly: Anomaly
    record: Record
    detail: str


@dataclass(frozen=True, slots=True)
class Report:
    """The verdict. `unavailable_s`: the longest time between two acknowledgements of one writer."""

    violations: list[Violation]
    counts: dict[str, int]
    unavailable_s: float

    def anomalies(self) -> set[Anomaly]:
        """Return the classes that were found."""
        return {violation.anomaly for violation in self.violations}


class History:
    """Records sorted by what they speak of, for the passes below."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.records = list(records)
        self.invokes: dict[str, Record] = {}
        self.results: dict[str, Record] = {}
        self.log: list[Record] = []
        self.heads: list[Record] = []
        self.seen: list[Record] = []
        self.by_connection: defaultdict[tuple[str, str, str], list[Record]] = defaultdict(list)
        for record in self.records:
            self._sort_in(record)
        self.log.sort(key=lambda r: (r.organization, r.epoch, r.seq))
        self.first_attempts: dict[tuple[str, str], str] = {}
        for invoke in sorted(self.invokes.values(), key=lambda r: r.at_ns):
            if invoke.key:
                self.first_attempts.setdefault((invoke.organization, invoke.key), invoke.operation)
        self.sent = {(r.organization, r.id) for r in self.invokes.values()}
        self.acknowledged = [r for r in self.results.values() if r.type == "ok"]

    def _sort_in(self, record: Record) -> None:
        match record:
            case Record(type="invoke"):
                self.invokes[record.operation] = record
            case Record(type="observe", f="log"):
                self.log.append(record)
                self.seen.append(record)
            case Record(type="observe", f="head"):
                self.heads.append(record)
            case Record(type="observe", f="read"):
                self.seen.append(record)
            case Record(type="observe"):
                if record.f == "push":
                    self.seen.append(record)
                self.by_connection[record.process, record.organization, record.channel].append(record)
            case _:
                self.results[record.operation] = record


def check(records: Iterable[Record]) -> Report:
    """Return every violation of the invariants in the history, in the order of the passes."""
    history = History(records)
    violations = [violation for one in PASSES for violation in one(history)]
    counts = Counter(f"{r.type} {r.f}" if r.type == "observe" else r.type for r in history.records)
    counts["duplicates"] = _duplicates(history)
    return Report(violations, dict(counts), unavailability_s(history.records))


def unavailability_s(records: Iterable[Record], since_ns: int = 0) -> float:
    """Return the longest time between two acknowledgements after `since_ns` of the same writer.

    Of the same, since others on another path or partition may be served all the time.
    """
    times: defaultdict[str, list[int]] = defaultdict(list)
    for record in records:
        if record.type == "ok" and record.at_ns >= since_ns:
            times[record.process].append(record.at_ns)
    waits = (b - a for own in times.values() for a, b in itertools.pairwise(sorted(own)))
    return max(waits, default=0) / 1e9


def recovery_s(records: Iterable[Record], fault_ns: int) -> float:
    """Return how long after a fault a write was acknowledged that began after it; infinity for none."""
    began = {r.operation for r in records if r.type == "invoke" and r.at_ns >= fault_ns}
    times = [r.at_ns for r in records if r.type == "ok" and r.operation in began]
    return (min(times) - fault_ns) / 1e9 if times else float("inf")


def _lost_writes(history: History) -> Iterator[Violation]:
    logged = {(r.organization, r.id) for r in history.log}
    for record in history.acknowledged:
        if (record.organization, record.id) not in logged:
            yield Violation(Anomaly.LOST_WRITE, record, f"{record.id} was acknowledged at seq {record.seq}")


def _phantoms(history: History) -> Iterator[Violation]:
    attempts: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for operation, invoke in history.invokes.items():
        result = history.results.get(operation)
        attempts[invoke.organization, invoke.id].append(result.type if result else "unknown")
    refused = {what for what, ends in attempts.items() if set(ends) == {"refused"}}
    for record in history.seen:
        if record.canary != record.organization:
            yield Violation(Anomaly.FOREIGN_CANARY, record, f"{record.canary} under {record.organization}")
        elif (record.organization, record.id) not in history.sent:
            yield Violation(Anomaly.PHANTOM, record, f"nobody sent {record.id}")
        elif (record.organization, record.id) in refused:
            yield Violation(Anomaly.ABORTED_READ, record, f"{record.id} was refused")


def _two_values(history: History) -> Iterator[Violation]:
    named: dict[tuple[str, str, str, int], Record] = {}
    for record in (*history.seen, *history.acknowledged):
        places = (("", record.seq), (record.channel, record.offset))
        for channel, number in places:
            if number:
                first = named.setdefault((record.organization, record.epoch, channel, number), record)
                if first.id != record.id:
                    where = f"{channel or 'seq'} {number}"
                    yield Violation(Anomaly.TWO_VALUES, record, f"{where} is {first.id} and {record.id}")


def _gaps(history: History) -> Iterator[Violation]:
    seqs: dict[tuple[str, str], int] = {}
    offsets: dict[tuple[str, str, str], int] = {}
    for record in history.log:  # by seq, and so by offset in each channel
        stream, channel = (
            (record.organization, record.epoch),
            (record.organization, record.epoch, record.channel),
        )
        before, last = seqs.get(stream, record.seq - 1), offsets.get(channel, record.offset - 1)
        # An event in several channels has a row for each, all with its seq.
        if record.seq > before + 1:
            yield Violation(Anomaly.GAP, record, f"seq {record.seq} after {before}")
        if record.offset != last + 1:
            yield Violation(Anomaly.GAP, record, f"{record.channel} {record.offset} after {last}")
        seqs[stream], offsets[channel] = record.seq, record.offset


def _heads(history: History) -> Iterator[Violation]:
    seqs: dict[str, int] = {}
    offsets: dict[tuple[str, str], int] = {}
    for record in history.log:
        seqs[record.organization] = max(seqs.get(record.organization, 0), record.seq)
        channel = (record.organization, record.channel)
        offsets[channel] = max(offsets.get(channel, 0), record.offset)
    for record in (*history.heads, *history.acknowledged):
        top = seqs.get(record.organization, 0)
        if record.seq > top:
            yield Violation(Anomaly.HEAD_BEYOND_LOG, record, f"seq {record.seq} of {top}")
        top = offsets.get((record.organization, record.channel), 0)
        if record.offset > top:
            yield Violation(Anomaly.HEAD_BEYOND_LOG, record, f"{record.channel} {record.offset} of {top}")


def _skips(history: History) -> Iterator[Violation]:
    tops: dict[tuple[str, str], int] = {}
    for record in history.log:
        channel = (record.organization, record.channel)
        tops[channel] = max(tops.get(channel, 0), record.offset)
    for (_, organization, channel_name), seen in history.by_connection.items():
        last = seen[0].offset
        for record in seen:
            if record.f == "push":
                if record.offset > last + 1:
                    yield Violation(Anomaly.SILENT_SKIP, record, f"{record.offset} after {last}")
                last = max(last, record.offset)
            elif record.f == "start":
                last = record.offset
            elif (top := tops.get((organization, channel_name), 0)) > last:
                yield Violation(Anomaly.UNDELIVERED, record, f"ended at {last} of {top}")


def _inversions(history: History) -> Iterator[Violation]:
    # At one instant invocations come first: only a write acknowledged before the other began binds it.
    moments: list[tuple[int, int, Record]] = []
    for done in history.acknowledged:
        begun = history.invokes.get(done.operation)
        if begun is not None and done.seq:
            moments += [(begun.at_ns, 0, done), (done.at_ns, 1, done)]
    newest: dict[tuple[str, str], int] = {}
    floors: dict[str, int] = {}
    for _, is_end, done in sorted(moments, key=lambda m: m[:2]):
        stream = (done.organization, done.epoch)
        if not is_end:
            floors[done.operation] = newest.get(stream, 0)
            continue
        # A replay answers with the position of the first effect, older than the attempt: I7 judges it.
        if done.seq <= floors[done.operation] and not _is_repeat(history, done):
            yield Violation(
                Anomaly.INVERSION, done, f"seq {done.seq}, though {floors[done.operation]} was known"
            )
        newest[stream] = max(newest.get(stream, 0), done.seq)


def _is_repeat(history: History, done: Record) -> bool:
    return bool(done.key) and history.first_attempts[done.organization, done.key] != done.operation


def _epochs(history: History) -> Iterator[Violation]:
    newest: dict[tuple[str, str], int] = {}
    for record in history.log:
        stream = (record.organization, record.epoch)
        if record.partition_epoch < newest.get(stream, 0):
            yield Violation(Anomaly.EPOCH_REGRESS, record, f"{record.partition_epoch} after {newest[stream]}")
        newest[stream] = max(newest.get(stream, 0), record.partition_epoch)


def _effects(history: History) -> Iterator[Violation]:
    keys = {(r.organization, r.id): r.key for r in history.invokes.values() if r.key}
    effects: dict[tuple[str, str], int] = {}
    for record in history.log:
        request = keys.get((record.organization, record.id), record.id)
        seq = effects.setdefault((record.organization, request), record.seq)
        if seq != record.seq:
            yield Violation(Anomaly.DOUBLE_EFFECT, record, f"{request} at seq {seq} and {record.seq}")
    answers: dict[tuple[str, str], str] = {}
    for record in history.acknowledged:
        if record.key:
            answer = answers.setdefault((record.organization, record.key), record.answer)
            if answer != record.answer:
                yield Violation(Anomaly.DIFFERENT_REPLAY, record, f"{answer!r} and {record.answer!r}")


def _duplicates(history: History) -> int:
    found = 0
    for seen in history.by_connection.values():
        last = 0
        for record in seen:
            found += record.f == "push" and record.offset <= last
            last = record.offset if record.f == "start" else max(last, record.offset)
    return found


PASSES: Sequence[Callable[[History], Iterator[Violation]]] = (
    _lost_writes,
    _phantoms,
    _two_values,
    _gaps,
    _heads,
    _skips,
    _inversions,
    _epochs,
    _effects,
)

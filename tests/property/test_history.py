"""The checker finds every anomaly that is planted in a clean history, and nothing in clean ones."""

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.history import Anomaly, Record, check, recovery_s, unavailability_s

ORGANIZATIONS = ("alder", "birch")
CHANNELS = ("room:1", "room:2")
MS = 1_000_000


@dataclass
class World:
    """A tiny perfect system: what it does goes straight into its history."""

    records: list[Record] = field(default_factory=list)
    now: int = 0
    seqs: dict[str, int] = field(default_factory=dict)
    offsets: dict[tuple[str, str], int] = field(default_factory=dict)
    owners: dict[str, int] = field(default_factory=dict)
    log: list[Record] = field(default_factory=list)
    operations: int = 0

    def note(self, process: str, kind: str, **fields: object) -> Record:
        self.now += MS
        record = msgspec.convert({"process": process, "type": kind, "at_ns": self.now, **fields}, Record)
        self.records.append(record)
        return record

    def append(self, organization: str, channel: str, request: str) -> Record:
        seq = self.seqs[organization] = self.seqs.get(organization, 0) + 1
        where = (organization, channel)
        offset = self.offsets[where] = self.offsets.get(where, 0) + 1
        row = Record(
            "database", "observe", 0, "log", organization, channel, "", request, "", seq, offset, "e1",
            self.owners.get(organization, 1), organization,
        )  # fmt: skip
        self.log.append(row)
        return row

    def push(self, row: Record, subscriber: str) -> None:
        self.records.append(msgspec.structs.replace(row, process=subscriber, f="push", seq=0, at_ns=self.now))

    def finish(self) -> list[Record]:
        for (organization, channel), offset in self.offsets.items():
            self.note(
                f"s-{organization}-{channel}", "observe", f="end", organization=organization, channel=channel
            )
            self.note(
                "database", "observe", f="head", organization=organization, channel=channel, offset=offset
            )
        for organization, seq in self.seqs.items():
            self.note("database", "observe", f="head", organization=organization, seq=seq)
        return [*self.records, *self.log]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(ORGANIZATIONS),
        st.sampled_from(CHANNELS),
        st.sampled_from(
            ("ok", "unknown in effect", "unknown without", "refused", "replayed", "owner", "break")
        ),
    ),
    max_size=40,
)


def write(world: World, organization: str, channel: str, kind: str, number: int) -> None:
    request, subscriber = f"p{number}", f"s-{organization}-{channel}"
    key = f"k{number}" if kind == "replayed" else ""
    common = {
        "organization": organization,
        "channel": channel,
        "id": request,
        "key": key,
        "canary": organization,
    }
    if kind == "break":
        offset = world.offsets.get((organization, channel), 0)
        world.note(
            subscriber, "observe", f="start", organization=organization, channel=channel, offset=offset
        )
        return
    if kind == "owner":
        world.owners[organization] = world.owners.get(organization, 1) + 1
        kind = "ok"
    world.note("writer", "invoke", operation=f"o{number}", **common)
    if kind in ("refused", "unknown without"):
        world.note("writer", kind.split()[0], operation=f"o{number}", **common)
        return
    row = world.append(organization, channel, request)
    world.push(row, subscriber)
    position = {"seq": row.seq, "offset": row.offset, "epoch": row.epoch, "answer": f"{row.seq}"}
    if kind == "ok":
        world.note("writer", "ok", operation=f"o{number}", **common, **position)
        return
    world.note("writer", "unknown", operation=f"o{number}", **common)
    if kind == "replayed":
        for again in ("a", "b"):
            world.note("writer", "invoke", operation=f"o{number}{again}", **common)
            world.note("writer", "ok", operation=f"o{number}{again}", **common, **position)


def play(steps: list[tuple[str, str, str]]) -> list[Record]:
    world = World()
    for organization in ORGANIZATIONS:
        for channel in CHANNELS:
            subscriber = f"s-{organization}-{channel}"
            world.note(subscriber, "observe", f="start", organization=organization, channel=channel)
    for number, (organization, channel, kind) in enumerate(steps):
        write(world, organization, channel, kind, number)
    return world.finish()


# What every planted history begins with: enough of each kind to break.
BASE = [
    ("alder", "room:1", kind) for kind in ("ok", "ok", "refused", "replayed", "owner", "ok", "ok", "ok")
] + [("birch", "room:1", "ok"), ("birch", "room:2", "ok")]


@settings(max_examples=1_000)
@given(STEPS)
def test_a_clean_history_raises_no_alarm(steps: list[tuple[str, str, str]]) -> None:
    assert check(play(steps)).violations == []


def of(records: list[Record], f: str, *, number: int = 0, kind: str = "observe", process: str = "") -> int:
    found = [
        n
        for n, r in enumerate(records)
        if r.type == kind and r.f == f and r.organization == "alder" and (not process or r.process == process)
    ]
    return found[number]


def changed(records: list[Record], at: int, **fields: object) -> list[Record]:
    return [*records[:at], msgspec.structs.replace(records[at], **fields), *records[at + 1 :]]


def without(records: list[Record], at: int) -> list[Record]:
    return [*records[:at], *records[at + 1 :]]


def lost_write(records: list[Record]) -> list[Record]:
    lost = records[of(records, "publish", number=-1, kind="ok")]
    return [r for r in records if r.f == "publish" or r.id != lost.id]


def phantom(records: list[Record]) -> list[Record]:
    at = of(records, "push")
    return [*records, msgspec.structs.replace(records[at], f="read", process="reader", id="nobody", offset=0)]


def aborted_read(records: list[Record]) -> list[Record]:
    refused = records[of(records, "publish", kind="refused")]
    return [*records, msgspec.structs.replace(refused, type="observe", f="read", process="reader")]


def two_values(records: list[Record]) -> list[Record]:
    a, b = (of(records, "push", number=n, process="s-alder-room:1") for n in (0, 1))
    return [
        *records,
        msgspec.structs.replace(records[a], process="other", f="read", offset=records[b].offset),
    ]


def gap(records: list[Record]) -> list[Record]:
    middle = records[of(records, "log", number=1)]
    return [r for r in records if r.id != middle.id]


def gap_of_offsets(records: list[Record]) -> list[Record]:
    at = max(
        n
        for n, r in enumerate(records)
        if r.f == "log" and r.organization == "alder" and r.channel == "room:1"
    )
    return changed(records, at, offset=records[at].offset + 1)


def silent_skip(records: list[Record]) -> list[Record]:
    # Between two pushes: before an explicit break a loss would be no silent one.
    mine = [n for n, r in enumerate(records) if r.process == "s-alder-room:1"]
    between = zip(mine, mine[1:], mine[2:], strict=False)
    return without(records, next(b for a, b, c in between if {records[n].f for n in (a, b, c)} == {"push"}))


def inversion(records: list[Record]) -> list[Record]:
    # The last acknowledged write moves, in time, before everything; its position stays where it is.
    last = records[of(records, "publish", number=-1, kind="ok")]
    early = [
        msgspec.structs.replace(r, at_ns=1 if r.type == "invoke" else 2)
        if r.operation == last.operation
        else r
        for r in records
    ]
    return sorted(early, key=lambda r: r.at_ns)


def epoch_regress(records: list[Record]) -> list[Record]:
    return changed(records, of(records, "log", number=-1), partition_epoch=0)


def double_effect(records: list[Record]) -> list[Record]:
    at = of(records, "log", number=-1)
    again = msgspec.structs.replace(records[at], seq=records[at].seq + 1, offset=records[at].offset + 1)
    return [*records, again]


def double_effect_of_a_key(records: list[Record]) -> list[Record]:
    keyed = next(r for r in records if r.key and r.type == "invoke" and r.organization == "alder")
    at = of(records, "log", number=-1)
    again = msgspec.structs.replace(
        records[at], id="other", seq=records[at].seq + 1, offset=records[at].offset + 1
    )
    sent = msgspec.structs.replace(keyed, operation="other", id="other")
    return [*records, sent, again]


def different_replay(records: list[Record]) -> list[Record]:
    at = next(n for n, r in reversed(list(enumerate(records))) if r.key and r.type == "ok")
    return changed(records, at, answer="something else")


def foreign_canary(records: list[Record]) -> list[Record]:
    at = of(records, "push")
    return [*records, msgspec.structs.replace(records[at], organization="birch", process="s-birch", f="read")]


def head_beyond_log(records: list[Record]) -> list[Record]:
    at = of(records, "head", number=-1)
    return changed(records, at, seq=records[at].seq + 1)


def undelivered(records: list[Record]) -> list[Record]:
    return without(records, of(records, "push", number=-1, process="s-alder-room:1"))


PLANTED = {
    lost_write: Anomaly.LOST_WRITE,
    phantom: Anomaly.PHANTOM,
    aborted_read: Anomaly.ABORTED_READ,
    two_values: Anomaly.TWO_VALUES,
    gap: Anomaly.GAP,
    gap_of_offsets: Anomaly.GAP,
    silent_skip: Anomaly.SILENT_SKIP,
    inversion: Anomaly.INVERSION,
    epoch_regress: Anomaly.EPOCH_REGRESS,
    double_effect: Anomaly.DOUBLE_EFFECT,
    double_effect_of_a_key: Anomaly.DOUBLE_EFFECT,
    different_replay: Anomaly.DIFFERENT_REPLAY,
    foreign_canary: Anomaly.FOREIGN_CANARY,
    head_beyond_log: Anomaly.HEAD_BEYOND_LOG,
    undelivered: Anomaly.UNDELIVERED,
}


def test_every_class_of_anomaly_is_planted() -> None:
    assert set(PLANTED.values()) == set(Anomaly)


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
@given(before=STEPS, after=STEPS)
@settings(max_examples=50)
def test_a_planted_anomaly_is_found(
    plant: Callable[[list[Record]], list[Record]],
    before: list[tuple[str, str, str]],
    after: list[tuple[str, str, str]],
) -> None:
    quiet = [
        step for step in after if step[2] != "break"
    ]  # a break at the end would rightly hide a late loss
    history = play([*before, *BASE, *quiet])
    assert PLANTED[plant] in check(plant(history)).anomalies()


def test_a_repeated_publication_on_a_connection_is_counted_and_forgiven() -> None:
    records = play(BASE)
    at = of(records, "push", number=1)
    report = check([*records[: at + 1], records[at], *records[at + 1 :]])
    assert report.violations == []
    assert report.counts["duplicates"] == 1


def test_an_explicit_break_is_no_skip() -> None:
    records = play(BASE)
    at = of(records, "push", number=1)
    told = msgspec.structs.replace(records[at], f="start", id="", canary="")
    assert check([*records[:at], told, *records[at + 1 :]]).violations == []


def test_unavailability_is_the_longest_time_between_two_acknowledgements() -> None:
    times = (1, 2, 7, 8)
    records = [Record("w", "ok", at * 1_000_000_000, operation=f"o{at}") for at in times]
    assert unavailability_s(records) == 5
    assert unavailability_s(records, since_ns=7_000_000_000) == 1


def test_recovery_ends_with_the_first_write_that_began_after_the_fault() -> None:
    second = 1_000_000_000
    records = [
        Record("w", "invoke", 1 * second, operation="before"),
        Record("w", "ok", 3 * second, operation="before"),
        Record("w", "invoke", 4 * second, operation="after"),
        Record("w", "ok", 6 * second, operation="after"),
    ]
    assert recovery_s(records, 2 * second) == 4
    assert recovery_s(records, 5 * second) == float("inf")

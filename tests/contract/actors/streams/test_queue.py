"""Who comes into the next batch, whatever the others send."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from actors.streams.queue import COMMAND_BYTES, FairQueue, Pending, size_of
from core.streams.command import Atomic, Command, Create, Delete, Item, Patch, Publish, Put, Target
from core.streams.outcome import Outcome
from tests.helpers.loop import run

ORGS = [bytes([number]) * 16 for number in range(4)]
SOURCES = ["first link", "second link"]
COMMANDS_MAX, BYTES_MAX = 12, 400

PUT = st.tuples(st.just("put"), st.sampled_from(ORGS), st.sampled_from(SOURCES), st.integers(1, 120))
TAKE = st.tuples(st.just("take"), st.integers(1, 6), st.integers(1, 200))
DROP = st.tuples(st.just("drop"), st.sampled_from(SOURCES))
STEPS = st.lists(st.one_of(PUT, PUT, PUT, TAKE, DROP), max_size=60)


class Line:
    """A queue, and beside it the plain lists of what it should hold."""

    def __init__(self, commands_max: int = COMMANDS_MAX, bytes_max: int = BYTES_MAX) -> None:
        self.queue = FairQueue(commands_max, bytes_max)
        self.waiting: dict[bytes, list[Pending]] = defaultdict(list)
        self.made = 0

    def new(self, org: bytes, source: object = "link", size: int = 1) -> Pending:
        self.made += 1
        command = Command(org, self.made.to_bytes(16, "big"), Publish(("room:1",), b""), 1_000)
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        return Pending(command, future, source, 0.0, size)

    def put(self, org: bytes, source: object = "link", size: int = 1) -> bool:
        pending = self.new(org, source, size)
        accepted = self.queue.put(pending)
        if accepted:
            self.waiting[org].append(pending)
        return accepted

    def take(self, commands_max: int = 500, bytes_max: int = 1 << 20) -> list[Pending]:
        batch = self.queue.take(commands_max, bytes_max)
        for pending in batch:
            assert self.waiting[pending.command.organization_id].pop(0) is pending, "an overtaken command"
        return batch

    def drop(self, source: object) -> list[Pending]:
        dropped = self.queue.drop(source)
        for org, line in self.waiting.items():
            assert [p for p in line if p.source is source] == [
                p for p in dropped if p.command.organization_id == org
            ]
            line[:] = [p for p in line if p.source is not source]
        return dropped

    @property
    def left(self) -> list[Pending]:
        return [pending for line in self.waiting.values() for pending in line]


def looped(check: Callable[[], None]) -> None:
    """Run a check where futures can be made."""

    async def scenario() -> None:
        check()

    run(scenario())


@given(STEPS)
def test_whatever_comes_and_goes_nothing_is_lost_doubled_or_overtaken(steps: list[tuple]) -> None:  # type: ignore[type-arg]
    def check() -> None:
        line = Line()
        for step in steps:
            count, size = len(line.left), sum(pending.size_bytes for pending in line.left)
            match step:
                case ("put", org, source, bytes_):
                    fits = count < COMMANDS_MAX and size + bytes_ <= BYTES_MAX
                    assert line.put(org, source, bytes_) is fits
                case ("take", commands_max, bytes_max):
                    batch = line.take(commands_max, bytes_max)
                    before_last = sum(pending.size_bytes for pending in batch[:-1])
                    assert len(batch) <= commands_max
                    assert before_last < bytes_max
                    stopped = len(batch) == commands_max or (
                        batch and before_last + batch[-1].size_bytes >= bytes_max
                    )
                    assert stopped or not line.left, "room was left, and somebody waits"
                case ("drop", source):
                    line.drop(source)
            assert len(line.queue) == len(line.left) <= COMMANDS_MAX
        line.take()
        assert len(line.queue) == 0
        # Its counts of commands and bytes are whole again: as much fits as at the beginning.
        assert line.put(ORGS[0], size=BYTES_MAX)

    looped(check)


@given(STEPS)
def test_nobody_is_served_twice_while_another_waits(steps: list[tuple]) -> None:  # type: ignore[type-arg]
    def check() -> None:
        line = Line()
        served_since: dict[bytes, set[bytes]] = {}
        for step in steps:
            match step:
                case ("put", org, source, bytes_):
                    line.put(org, source, bytes_)
                case ("drop", source):
                    line.drop(source)
                case ("take", commands_max, bytes_max):
                    for pending in line.take(commands_max, bytes_max):
                        org = pending.command.organization_id
                        passed_over = served_since.get(org, set())
                        assert not passed_over, "its turn came again before that of those who waited"
                        for others in served_since.values():
                            others.discard(org)
                        served_since[org] = {
                            other for other, waits in line.waiting.items() if waits and other != org
                        }
            idle = {org for org in ORGS if not line.waiting[org]}
            for others in served_since.values():
                others.difference_update(idle)

    looped(check)


def test_a_flood_of_one_organization_delays_another_by_one_batch_at_most() -> None:
    def check() -> None:
        line = Line(commands_max=10_000, bytes_max=1 << 20)
        for _ in range(5_000):
            line.put(ORGS[0])
        line.take(500)
        line.put(ORGS[1])
        batch = line.take(500)
        assert ORGS[1] in [pending.command.organization_id for pending in batch[:2]]
        assert len(batch) == 500

    looped(check)


def test_organizations_share_a_batch_evenly() -> None:
    def check() -> None:
        line = Line(commands_max=10_000, bytes_max=1 << 20)
        for number, org in enumerate(ORGS):
            for _ in range(10 ** (number + 1) // 5):
                line.put(org)
        shares = Counter(pending.command.organization_id for pending in line.take(100))
        assert [shares[org] for org in ORGS] == [2, 20, 39, 39]

    looped(check)


def test_a_command_longer_than_a_batch_travels_alone() -> None:
    def check() -> None:
        line = Line()
        for size in (BYTES_MAX - 10, 5, 5):
            assert line.put(ORGS[0], size=size)
        assert [len(line.take(bytes_max=50)) for _ in range(3)] == [1, 2, 0]

    looped(check)


def test_an_operation_costs_what_it_holds_and_something_besides() -> None:
    target, payload = Target("room", b"i" * 16), bytes(1_000)
    publish = Publish(("room:1", "room:2"), payload)
    operations = (
        publish,
        Create("room", b"i" * 16, payload),
        Put(target, b"i" * 16, payload),
        Patch(target, payload),
    )
    for operation in operations:
        assert 1_000 + COMMAND_BYTES <= size_of(operation) < 1_500
    assert size_of(Delete(target)) == COMMAND_BYTES
    items = tuple(Item(b"e" * 16, operation) for operation in operations)
    assert size_of(Atomic(items)) == sum(size_of(operation) for operation in operations)

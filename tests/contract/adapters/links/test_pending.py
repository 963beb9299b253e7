"""Every command has exactly one outcome, and none that its fate does not allow."""

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.links.pending import OVERHEAD_BYTES, Budget, Pending, weight
from core.errors import Code
from core.streams.command import Atomic, Command, Create, Delete, Item, Operation, Patch, Publish, Put, Target
from core.streams.outcome import Committed, Outcome, Refused, Unknown
from tests.helpers.loop import run

ORG, EVENT = b"o" * 16, b"e" * 16
BYTES_MAX = 100_000
BEFORE_THE_KEY = ("deadline_exceeded", "capacity_reduced", "partition_moving", "unavailable")
COMMITTED = Committed("published", EVENT, 1, "epoch", 1)
OUTCOMES = st.sampled_from(
    [COMMITTED, Unknown(), *(Refused(code) for code in (*BEFORE_THE_KEY, "conflict", "not_found"))]
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("settle"), OUTCOMES),
        st.tuples(st.just("lapse"), st.booleans()),
        st.tuples(st.just("move"), st.integers(0, 2)),
        st.just(("send",)),
        st.just(("lose",)),
        st.just(("cancel",)),
    ),
    max_size=12,
)


def pending_of(budget: Budget, operation: Operation | None = None, *, key: str = "") -> Pending:
    command = Command(ORG, EVENT, operation or Publish(("room:1",), b"{}"), 1_000, key)
    return Pending(1, command, asyncio.get_running_loop().create_future(), 100.0, budget)


def room(budget: Budget) -> int:
    """Return how many commands of 1 byte a budget still takes."""
    taken = 0
    while budget.has_room:
        budget.take(1)
        taken += 1
    for _ in range(taken):
        budget.release(1)
    return taken


def looped(check: Callable[[], None]) -> None:
    async def scenario() -> None:
        check()

    run(scenario())


@given(STEPS)
def test_whatever_happens_it_has_one_outcome_and_gives_its_room_back_once(steps: list[tuple]) -> None:  # type: ignore[type-arg]
    def check() -> None:
        budgets = [Budget(10, BYTES_MAX) for _ in range(3)]
        pending = pending_of(budgets[0])
        first: Outcome | None = None
        cancelled = False
        for step in steps:
            match step:
                case ("settle", outcome):
                    pending.settle(outcome)
                case ("lapse", sent):
                    pending.lapse(sent=sent)
                case ("move", to) if not pending.settled:
                    pending.move(budgets[to])
                case ("send",):
                    pending.sendings += 1
                case ("lose",):
                    pending.doubtful = True
                case ("cancel",) if not pending.future.done():
                    cancelled = pending.future.cancel()
            if pending.settled and not cancelled:
                first = first or pending.future.result()
                assert pending.future.result() is first
            assert sum(room(budget) for budget in budgets) == (30 if pending.settled else 29)
        pending.settle(Unknown())
        assert pending.future.done()
        assert [room(budget) for budget in budgets] == [10] * 3

    looped(check)


@pytest.mark.parametrize("code", BEFORE_THE_KEY)
def test_no_refusal_is_believed_that_says_nothing_of_an_earlier_sending(code: str) -> None:
    def check() -> None:
        for sendings, doubtful in ((1, False), (2, False), (2, True)):
            pending = pending_of(Budget(10, BYTES_MAX), key="key")
            pending.sendings, pending.doubtful = sendings, doubtful
            pending.settle(Refused(code))
            assert isinstance(pending.future.result(), Unknown if doubtful else Refused)

    looped(check)


def test_a_refusal_by_an_owner_who_has_met_the_key_is_believed() -> None:
    def check() -> None:
        pending = pending_of(Budget(10, BYTES_MAX), key="key")
        pending.sendings, pending.doubtful = 2, True
        pending.settle(Refused("conflict"))
        assert pending.future.result() == Refused("conflict")

    looped(check)


@pytest.mark.parametrize(("event_id", "replayed"), [(EVENT, False), (b"x" * 16, True)])
def test_a_command_that_meets_its_own_effect_was_not_replayed(event_id: bytes, *, replayed: bool) -> None:
    def check() -> None:
        pending = pending_of(Budget(10, BYTES_MAX), key="key")
        pending.sendings, pending.doubtful = 2, True
        pending.settle(Committed("published", event_id, 1, "epoch", 1, replayed=True))
        assert pending.future.result() == Committed("published", event_id, 1, "epoch", 1, replayed=replayed)

    looped(check)


@pytest.mark.parametrize("sent", [False, True])
@pytest.mark.parametrize("doubtful", [False, True])
def test_past_its_deadline_it_is_refused_only_when_it_surely_had_no_effect(
    *, sent: bool, doubtful: bool
) -> None:
    def check() -> None:
        for refusal in (None, Refused(Code.PARTITION_MOVING.value, retry_after_s=1)):
            pending = pending_of(Budget(10, BYTES_MAX))
            pending.doubtful, pending.refusal = doubtful, refusal
            pending.lapse(sent=sent)
            outcome = pending.future.result()
            if sent or doubtful:
                assert isinstance(outcome, Unknown)
            else:
                assert isinstance(outcome, Refused)
                assert outcome.code == (refusal.code if refusal else "deadline_exceeded")

    looped(check)


def test_an_owner_is_told_the_time_that_is_left_and_never_less_than_none() -> None:
    def check() -> None:
        pending = pending_of(Budget(10, BYTES_MAX))
        assert [pending.left(now).left_ms for now in (99.0, 99.9995, 100.0, 200.0)] == [1_000, 0, 0, 0]
        assert pending.command.left_ms == 1_000
        assert pending.left(99.0) == pending.command

    looped(check)


def test_a_budget_has_room_until_either_count_is_used_up() -> None:
    few, small = Budget(2, BYTES_MAX), Budget(10, 100)
    for budget, size, fits in ((few, 1, 2), (small, 40, 3)):
        taken = 0
        while budget.has_room:
            budget.take(size)
            taken += 1
        assert taken == fits
        for _ in range(taken):
            budget.release(size)
        assert budget.has_room


def test_a_command_weighs_what_it_carries_and_something_besides() -> None:
    target, payload = Target("room", b"i" * 16), bytes(1_000)
    operations = (
        Publish(("room:1",), payload),
        Create("room", b"i" * 16, payload),
        Put(target, b"i" * 16, payload),
        Patch(target, payload),
    )
    published, *others = operations
    assert OVERHEAD_BYTES + 1_000 <= weight(published) < OVERHEAD_BYTES + 1_100
    assert [weight(operation) for operation in others] == [OVERHEAD_BYTES + 1_000] * 3
    assert weight(Delete(target)) == OVERHEAD_BYTES
    items = tuple(Item(EVENT, operation) for operation in operations)
    assert weight(Atomic(items)) == OVERHEAD_BYTES + sum(map(weight, operations))

"""A subscription with a greatest rate: what it gets, when, and in which order."""

from collections import defaultdict
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from core.channels.conflation import PENDING_BYTES_MAX, PENDING_MAX, Conflation, key_of

STEPS = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c", "d", ""]), st.sampled_from([0.0, 0.01, 0.1, 0.3, 2.0])),
    max_size=60,
)
RATES = st.sampled_from([0.5, 1.0, 10.0, 100.0])

Sent = list[tuple[float, int, str]]


def run(rate: float, steps: list[tuple[str, float]], *, late_s: float = 0.0) -> Sent:
    """Offer a publication after each pause, tick when it is due (or later), and return what was sent when."""
    conflation: Conflation[str] = Conflation(rate, len)
    sent: Sent = []
    now_s = 0.0

    def tick_until(until_s: float) -> None:
        while (due_s := conflation.due_s) is not None and due_s + late_s < until_s:
            sent.extend((due_s + late_s, *found) for found in conflation.tick(due_s + late_s))

    for offset, (key, pause_s) in enumerate(steps, 1):
        now_s += pause_s
        tick_until(now_s)
        sent.extend((now_s, *found) for found in conflation.offer(offset, key, key, now_s))
    tick_until(float("inf"))
    return sent


def offsets(sent: list[tuple[int, str]]) -> list[int]:
    return [offset for offset, _ in sent]


def test_the_key_is_a_tag_or_the_channel_itself() -> None:
    assert (key_of({"key": "x", "other": "y"}), key_of({"other": "y"}), key_of(None)) == ("x", "", "")


def test_the_first_goes_out_at_once_and_of_the_others_the_latest() -> None:
    conflation: Conflation[str] = Conflation(2.0, len)
    assert conflation.due_s is None
    assert conflation.offer(1, "", "one", 100.0) == [(1, "one")]
    assert conflation.due_s is None
    assert conflation.offer(2, "", "two", 100.1) == []
    assert conflation.offer(3, "", "three", 100.2) == []
    assert conflation.due_s == 100.5
    assert conflation.tick(100.4) == []
    assert conflation.tick(100.5) == [(3, "three")]
    assert conflation.due_s is None


def test_a_pause_saves_up_nothing() -> None:
    conflation: Conflation[str] = Conflation(1.0, len)
    assert conflation.offer(1, "a", "", 0.0) == [(1, "")]
    assert conflation.offer(2, "a", "", 50.0) == [(2, "")]
    assert conflation.offer(3, "b", "", 50.0) == []
    assert conflation.due_s == 51.0


def test_whoever_ticks_late_sends_what_was_due_meanwhile() -> None:
    conflation: Conflation[str] = Conflation(10.0, len)
    for offset, key in enumerate("abcdef", 1):
        conflation.offer(offset, key, key, 0.0)
    assert offsets(conflation.tick(0.35)) == [2, 3, 4]


def test_a_key_that_changes_all_the_time_has_its_turn() -> None:
    steps = [("busy" if step % 10 else "calm", 0.1) for step in range(200)]
    sent = run(1.0, steps)
    assert 8 <= sum(key == "busy" for _, _, key in sent) <= 12


def test_when_too_many_wait_the_oldest_goes_out_and_none_is_lost() -> None:
    conflation: Conflation[str] = Conflation(0.001, len)
    sent = [
        found
        for offset in range(1, PENDING_MAX + 12)
        for found in conflation.offer(offset, str(offset), "", 0.0)
    ]
    assert offsets(sent) == list(range(1, 12))
    assert offsets(conflation.tick(1e9)) == list(range(12, PENDING_MAX + 12))


@given(RATES, STEPS, st.sampled_from([0.0, 0.05, 1.0]))
def test_what_is_sent_ascends_and_ends_with_the_latest_of_each_key(
    rate: float, steps: list[tuple[str, float]], late_s: float
) -> None:
    sent = run(rate, steps, late_s=late_s)
    assert [offset for _, offset, _ in sent] == sorted({offset for _, offset, _ in sent})
    assert all(steps[offset - 1][0] == key for _, offset, key in sent)
    latest = {key: offset for offset, (key, _) in enumerate(steps, 1)}
    assert {key: offset for _, offset, key in sent} == latest


@given(RATES, STEPS)
def test_the_rate_is_never_exceeded(rate: float, steps: list[tuple[str, float]]) -> None:
    times = [at for at, _, _ in run(rate, steps)]
    assert all(later - sooner >= 1 / rate - 1e-9 for sooner, later in pairwise(times))


@given(RATES, STEPS, st.integers(0, 60))
def test_after_any_of_them_the_log_holds_the_latest_of_all_that_was_not_sent(
    rate: float, steps: list[tuple[str, float]], cut: int
) -> None:
    sent = run(rate, steps)[:cut]
    position = sent[-1][1] if sent else 0
    shown: dict[str, int] = defaultdict(int, {key: offset for _, offset, key in sent})
    for offset, (key, _) in enumerate(steps, 1):
        if offset > position:
            shown[key] = offset
    assert dict(shown) == {key: offset for offset, (key, _) in enumerate(steps, 1)}


def test_with_too_many_bytes_the_oldest_go_out_and_one_alone_may_have_any_size() -> None:
    conflation: Conflation[str] = Conflation(0.001, len)
    third = "x" * (PENDING_BYTES_MAX // 3)
    assert offsets(conflation.offer(1, "", "", 0.0)) == [1]
    assert conflation.offer(2, "a", 9 * third, 0.0) == []
    assert offsets(conflation.offer(3, "b", third, 0.0)) == [2]
    assert conflation.offer(4, "c", third, 0.0) == []
    assert conflation.offer(5, "c", third, 0.0) == []  # in place of the one before
    assert conflation.offer(6, "d", third, 0.0) == []
    assert offsets(conflation.offer(7, "e", 2 * third, 0.0)) == [3, 5]
    assert offsets(conflation.tick(1e9)) == [6, 7]

"""What a caller may say of its trace, and how many of its requests leave a span."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.traces import SampledShare, TraceParent, parse_traceparent, read_tracestate

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
IDS = f"{TRACE}-{SPAN}"
A, B, C = b"a" * 16, b"b" * 16, b"c" * 16


@pytest.mark.parametrize(
    ("text", "sampled"),
    [
        (f"00-{IDS}-01", True),
        (f"00-{IDS}-00", False),
        (f"00-{IDS}-02", False),
        (f"00-{IDS}-ff", True),
        (f"cc-{IDS}-01", True),
        (f"cc-{IDS}-01-what-is-to-come", True),
    ],
)
def test_a_valid_parent_is_read(text: str, sampled: bool) -> None:  # noqa: FBT001 (of the table)
    assert parse_traceparent(text.encode()) == TraceParent(bytes.fromhex(TRACE), bytes.fromhex(SPAN), sampled)


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"00-{IDS}",
        f"00-{IDS}-01-more",
        f"00-{IDS}-01-",
        f"00-{IDS}-01, 00-{IDS}-01",
        f"00-{IDS.upper()}-01",
        f"ff-{IDS}-01",
        f"0-{IDS}-01",
        f"00-{IDS}-1",
        f"00-{IDS}-0g",
        f"cc-{IDS}-01.more",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f" 00-{IDS}-01",
        f"00-{IDS}-01\n",
    ],
)
def test_an_invalid_parent_is_none(text: str) -> None:
    assert parse_traceparent(text.encode()) is None


@given(st.binary(max_size=80))
def test_whatever_a_caller_sends_is_read_or_ignored(text: bytes) -> None:
    parent = parse_traceparent(text)
    assert parent is None or (len(parent.trace_id), len(parent.span_id)) == (16, 8)


def test_a_tracestate_is_kept_up_to_its_limit() -> None:
    assert read_tracestate(b"a=1,b=2") == "a=1,b=2"
    assert read_tracestate(b"a=" + b"x" * 510) == "a=" + "x" * 510
    assert read_tracestate(b"a=" + b"x" * 511) == ""


SHARES = st.one_of(st.sampled_from([0.0, 0.01, 0.1, 1 / 3, 0.5, 1.0]), st.floats(0, 1))
REQUESTS = st.lists(st.tuples(st.sampled_from([A, B, C]), st.booleans()), max_size=200)


@given(SHARES, REQUESTS, st.integers(1, 3))
def test_no_window_holds_more_than_its_share_and_one(
    share: float, requests: list[tuple[bytes, bool]], organizations_max: int
) -> None:
    sampling = SampledShare(share, organizations_max)
    kept: dict[bytes, list[bool]] = {A: [], B: [], C: []}
    for organization_id, flagged in requests:
        admitted = sampling.admits(organization_id, flagged=flagged)
        assert flagged or not admitted
        kept[organization_id].append(admitted)
    for answers in kept.values():
        for start in range(len(answers)):
            for end in range(start + 1, len(answers) + 1):
                assert sum(answers[start:end]) <= share * (end - start) + 1


@given(st.floats(0.001, 1), st.integers(1, 300))
def test_a_caller_that_flags_everything_gets_its_whole_share(share: float, requests: int) -> None:
    sampling = SampledShare(share, 1)
    kept = sum(sampling.admits(A, flagged=True) for _ in range(requests))
    # Between two spans lie as few requests as earn a whole one, and the first is free.
    assert kept == math.ceil(requests / math.ceil(1_000_000 / int(share * 1_000_000)))


def test_a_share_of_nothing_keeps_nothing() -> None:
    sampling = SampledShare(0.0, 10)
    assert not any(sampling.admits(A, flagged=True) for _ in range(1_000))


def test_a_whole_share_keeps_every_flagged_request() -> None:
    sampling = SampledShare(1.0, 10)
    assert all(sampling.admits(A, flagged=True) for _ in range(100))
    assert not sampling.admits(A, flagged=False)


def test_organizations_do_not_spend_each_others_share() -> None:
    sampling = SampledShare(0.01, 10)
    for _ in range(50):
        sampling.admits(A, flagged=True)
    assert sampling.admits(B, flagged=True)


def test_who_was_forgotten_gets_no_second_first_span() -> None:
    sampling = SampledShare(0.01, 1)
    assert sampling.admits(A, flagged=True)
    sampling.admits(B, flagged=False)
    assert not sampling.admits(A, flagged=True)

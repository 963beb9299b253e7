"""What is stored under a key, and what its repetition is answered with."""

import pytest

from core.streams.append import KeyRow
from core.streams.command import Claim, Publish
from core.streams.idempotency import STORED_REFUSALS, answer_of, is_key, replay
from core.streams.outcome import Committed, FieldError, Refused, Unknown
from tests.helpers.ledger import ORG, Ledger, command, committed, publish, refused

DONE = Committed("published", b"e" * 16, 7, "epoch", 1, (3,))


def test_an_effect_is_told_again_as_it_was() -> None:
    answer = answer_of(DONE)
    assert answer is not None
    again = replay(KeyRow(ORG, "k", b"f", answer), publish("a", key="k"))
    assert again == Committed("published", b"e" * 16, 7, "epoch", 1, (3,), replayed=True)


@pytest.mark.parametrize("code", sorted(STORED_REFUSALS))
def test_a_refusal_decided_inside_is_told_again_with_its_first_request(code: str) -> None:
    refusal = Refused(code, "why", (FieldError("#/a", "required", "Missing."),), version=3)
    answer = answer_of(refusal, b"r" * 16)
    assert answer is not None
    again = replay(KeyRow(ORG, "k", b"f", answer), publish("a", key="k"))
    assert again == Refused(code, "why", refusal.errors, 3, replayed=True, event_id=b"r" * 16)


@pytest.mark.parametrize("code", ["validation_failed", "precondition_required", "capacity_reduced"])
def test_what_may_go_differently_next_time_is_not_stored(code: str) -> None:
    assert answer_of(Refused(code)) is None
    assert answer_of(Unknown()) is None


def test_a_claim_uses_its_key_up_and_changes_nothing() -> None:
    ledger = Ledger()
    head = committed(ledger.one(Publish(("a",), b"1"))).seq
    first = committed(ledger.one(Claim(), key="k"))
    assert (first.effect, first.event_id, first.seq, first.replayed) == ("claimed", b"", head, False)
    assert committed(ledger.one(Claim(), key="k")).replayed
    for other in (Claim(), Publish(("a",), b"1")):
        again = ledger.write([command(other, key="k", fingerprint=b"another")]).outcomes[0]
        assert refused(again).code == "idempotency_mismatch"
    assert len(ledger.events[ORG]) == head


def test_another_request_under_the_key_is_refused() -> None:
    answer = answer_of(DONE)
    assert answer is not None
    other = replay(KeyRow(ORG, "k", b"another", answer), publish("a", key="k"))
    assert isinstance(other, Refused)
    assert other.code == "idempotency_mismatch"


def test_a_key_is_short_visible_and_needs_no_escape() -> None:
    assert all(is_key(text) for text in ("a", "k" * 255, "5f6c1f0e-2f1b", "!~", "0 1".replace(" ", "")))
    assert not any(is_key(text) for text in ("", "k" * 256, "a b", "a\0", '"', "\\", "\u00e9", "\x7f", "a\n"))

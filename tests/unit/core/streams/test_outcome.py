"""Outcomes cross process borders whole, and are stored as the answer of an idempotency key."""

import msgspec

from core.streams.outcome import Committed, FieldError, Outcome, Refused, Unknown

OUTCOMES: list[Outcome] = [
    Committed("published", b"e" * 16, 7, "k3f9", 1, (3, 4)),
    Committed(
        "atomic", b"", 8, "k3f9", 1, items=(Committed("created", b"f" * 16, 8, "k3f9", 1, (1,), b"{}", 1),)
    ),
    Refused(
        "conflict", "msg_1 refers to it.", (FieldError("#/room_id", "not_found", "No such room."),), 2, 0, 1
    ),
    Unknown("The link was lost."),
]


def test_an_outcome_arrives_as_it_was_sent() -> None:
    decoder = msgspec.msgpack.Decoder(list[Outcome])
    assert decoder.decode(msgspec.msgpack.encode(OUTCOMES)) == OUTCOMES

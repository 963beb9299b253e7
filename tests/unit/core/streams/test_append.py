"""What a batch reads and writes knows when it is empty, so that nothing is asked or written for nothing."""

from core.streams.append import Append, KeyRow, Needs, StreamMove


def test_a_batch_that_memory_can_decide_needs_nothing() -> None:
    assert not Needs()
    assert Needs(keys={(b"o", "k")})
    assert Needs(channels={(b"o", "room:1")})


def test_a_batch_of_refusals_without_keys_writes_nothing() -> None:
    assert not Append()


def test_a_stored_refusal_is_written_without_any_event() -> None:
    assert Append(keys=[(20_000, KeyRow(b"o", "k", b"f", b"a"))])
    assert Append(streams=[StreamMove(b"o", 0, 1, 20_000)])

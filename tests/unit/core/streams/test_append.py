"""What a batch reads and writes knows when it is empty, so that nothing is asked or written for nothing."""

from core.streams.append import Append, KeyRow, Needs, StreamMove, Version


def test_a_batch_that_memory_can_decide_needs_nothing() -> None:
    assert not Needs()
    assert Needs(keys={(b"o", "k")})
    assert Needs(channels={(b"o", "room:1")})
    assert Needs(versions={(b"o", "room:1")})


def test_a_batch_of_refusals_without_keys_writes_nothing() -> None:
    assert not Append()


def test_a_stored_refusal_is_written_without_any_event() -> None:
    assert Append(keys=[(20_000, KeyRow(b"o", "k", b"f", b"a"))])
    assert Append(streams=[StreamMove(b"o", 0, 1, 20_000)])


def test_a_version_comes_after_a_lower_one_and_after_all_of_another_epoch() -> None:
    assert Version(1, "").is_above(None)
    assert [Version(number, "e").is_above(Version(2, "e")) for number in (1, 2, 3)] == [False, False, True]
    assert Version(1, "f").is_above(Version(2, "e"))

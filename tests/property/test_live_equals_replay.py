"""Who stayed and who left and came back hold the same list; a read is a gapless suffix or refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import TidingsError
from core.streams.command import Publish
from core.streams.event import Event
from core.streams.position import Position, is_recoverable, require_readable
from tests.helpers.ledger import ORG, Ledger, command

BATCHES = st.lists(
    st.lists(st.lists(st.sampled_from("ab"), min_size=1, max_size=2, unique=True), min_size=1, max_size=4),
    max_size=10,
)


@given(BATCHES, st.data())
def test_who_dropped_anywhere_and_recovered_holds_what_who_stayed_holds(
    parts: list[list[list[str]]], data: st.DataObject
) -> None:
    ledger, stayed, dropped = Ledger(), [], []
    leaves = data.draw(st.integers(0, len(parts)))
    returns = data.draw(st.integers(leaves, len(parts)))
    live: list[list[Event]] = []
    for number, part in enumerate(parts):
        decision = ledger.write([command(Publish(tuple(channels), b"%d" % number)) for channels in part])
        events = [event for batch in decision.live for event in batch.events]
        live.append(events)
        stayed += events
        if number < leaves:
            dropped += events
    position = dropped[-1].seq if dropped else 0
    # What is read on return overlaps what is pushed after it, as a subscription and its history do.
    read = [event for event in ledger.events[ORG] if event.seq > position]
    dropped += read
    for events in live[returns:]:
        dropped += [event for event in events if event.seq > dropped[-1].seq]
    assert dropped == stayed == ledger.events[ORG]
    for channel in "ab":
        offsets = [offset for event in dropped for name, offset in event.entries if name == channel]
        assert offsets == list(range(1, len(offsets) + 1))


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 40), st.sampled_from(["", "now", "old"]))
def test_a_read_is_a_gapless_suffix_or_refused(dropped: int, kept: int, asked: int, epoch: str) -> None:
    first, last = dropped + 1, dropped + kept
    readable = list(range(first, last + 1))
    position = Position(epoch, asked)
    if is_recoverable(position, epoch="now", first=first, last=last):
        require_readable(position, epoch="now", first=first, last=last)
        suffix = [number for number in readable if number > asked]
        assert suffix == list(range(asked + 1, last + 1))
    else:
        with pytest.raises(TidingsError) as refused:
            require_readable(position, epoch="now", first=first, last=last)
        assert refused.value.code.value in ("history_expired", "epoch_changed")
        assert epoch == "old" or asked > last or asked + 1 < first

"""An event of the log tells what its command was answered with."""

import orjson
import pytest

from core.streams.command import Create, Delete, Patch, Target
from core.streams.outcome import Committed
from core.streams.settled import settle
from tests.helpers.ledger import ORG, Ledger, committed, new_id, publish


def last(ledger: Ledger) -> Committed:
    return settle(ledger.events[ORG][-1], "epochone")


def test_a_publication_is_settled_as_it_was_answered() -> None:
    ledger = Ledger()
    (outcome,) = ledger.write([publish("a")]).outcomes
    assert last(ledger) == outcome


@pytest.mark.parametrize("step", [0, 1, 2])
def test_a_change_of_a_resource_is_settled_with_the_same_document(step: int) -> None:
    ledger, id_ = Ledger(), new_id()
    target = Target("room", id_)
    operations = [Create("room", id_, b'{"name":"A"}'), Patch(target, b'{"name":"B"}'), Delete(target)]
    for operation in operations[: step + 1]:
        outcome = committed(ledger.one(operation))
    found = last(ledger)
    assert (found.effect, found.seq, found.offsets) == (outcome.effect, outcome.seq, outcome.offsets)
    assert orjson.loads(found.document) == orjson.loads(outcome.document)
    assert (found.event_id, found.version) == (outcome.event_id, outcome.version)

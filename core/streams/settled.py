"""What an event in the log says about the command that made it: how a lost answer is made again."""

from typing import Any

import orjson

from core.streams.event import PUBLICATION_CREATED, Event
from core.streams.outcome import Committed, Effect


def settle(event: Event, epoch: str) -> Committed:
    """Return the outcome of the command that appended this event.

    A replaced resource can't be told from a patched one any more; both are answered alike.
    """
    offsets = tuple(offset for _, offset in event.entries)
    if event.type == PUBLICATION_CREATED:
        return Committed("published", event.id, event.seq, epoch, event.created_at, offsets)
    document: dict[str, Any] = orjson.loads(event.data)["object"]
    effect = _EFFECTS[event.type.rpartition(".")[2]]
    rendered = orjson.dumps(document)
    if effect == "deleted":
        rendered = orjson.dumps({"id": document["id"], "object": document["object"], "deleted": True})
    return Committed(
        effect, event.id, event.seq, epoch, event.created_at, offsets, rendered, document["version"]
    )


_EFFECTS: dict[str, Effect] = {"created": "created", "updated": "patched", "deleted": "deleted"}

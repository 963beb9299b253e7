"""From the log's outcome to the answer: only the outcome counts, so a repeated key gives the same bytes."""

from typing import Final

import msgspec

from core.ids import encode
from core.streams.outcome import Committed, Outcome
from gateway.api.call import PRIVATE, Answer, Header
from gateway.api.conditions import etag
from gateway.problems import error_of

REPLAYED: Final[Header] = (b"idempotent-replayed", b"true")

_STATUS: Final = {"created": 201, "published": 201}


class _Identity(msgspec.Struct):
    id: str


_IDENTITY: Final = msgspec.json.Decoder(_Identity)


def committed(outcome: Outcome) -> Committed:
    """Return the effect of a write.

    Raises:
        TidingsError: it had none, or nobody can tell.
    """
    if isinstance(outcome, Committed):
        return outcome
    raise error_of(outcome)


def write_headers(effect: Committed) -> list[Header]:
    """Return the headers of every write: its position in the log, and whether it is an earlier answer."""
    headers = [position_header(effect)]
    if effect.replayed:
        headers.append(REPLAYED)
    return headers


def position_header(effect: Committed) -> Header:
    """Return where the write stands in the log. A write that changed nothing names no event."""
    event = encode("evt", effect.event_id) if effect.event_id else ""
    value = f'"{event}";seq={effect.seq};epoch="{effect.epoch}"'
    return (b"tidings-position", value.encode())


def status_of(effect: Committed) -> int:
    """Return the HTTP status of an effect."""
    return _STATUS.get(effect.effect, 200)


def id_of(effect: Committed) -> str:
    """Return the public id of the resource that was written.

    It is read from the document, which an outcome made again from the log has, too.
    """
    return _IDENTITY.decode(effect.document).id


def resource_answer(effect: Committed, collection_path: str) -> Answer:
    """Return the answer to a write of one resource."""
    headers = write_headers(effect)
    status = status_of(effect)
    if effect.effect != "deleted":
        headers.append((b"etag", etag(effect.version)))
    if status == _STATUS["created"]:
        headers.append((b"location", f"{collection_path}/{id_of(effect)}".encode()))
    return Answer(status, effect.document, tuple(headers), cache=PRIVATE)

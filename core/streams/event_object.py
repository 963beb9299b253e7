"""The event as clients see it: one JSON object for REST, SSE and, for resources, on channels.

Bytes in, bytes out: the stored `data` is embedded as it is. Of a publication it is only asked whether it is
JSON; the bytes that were published are the bytes that are shown.
"""

from base64 import b64encode
from typing import Any, Final

import orjson

from core.ids import encode
from core.instants import Instant, format_instant
from core.streams.event import PUBLICATION_CREATED, Event

API_VERSION: Final = "2026-11-22"


def is_json(data: bytes) -> bool:
    """Say whether a payload is JSON; publications over REST always are."""
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return True


def publication_object(event: Event) -> bytes:
    """Return a publication as the object of its event: its data, or `b64data` when that is no JSON."""
    names = [channel for channel, _ in event.entries]
    where = {"channel": names[0]} if len(names) == 1 else {"channels": names}
    return _with_data({"object": "publication", "id": encode("evt", event.id), **where}, event)


def publication_entry(event: Event, channel: str, offset: int, epoch: str) -> bytes:
    """Return one entry of a channel with its position: what subscribers got, and where it stands.

    A resource's event stands there as its event object.
    """
    head = {
        "object": "publication",
        "id": encode("evt", event.id),
        "channel": channel,
        "offset": offset,
        "seq": event.seq,
        "epoch": epoch,
        "created_at": format_instant(Instant(event.created_at)),
    }
    if event.type == PUBLICATION_CREATED:
        return _with_data(head, event)
    return b'%b,"data":%b}' % (orjson.dumps(head)[:-1], channel_payload(event))


def _with_data(head: dict[str, Any], event: Event) -> bytes:
    if event.tags:
        head["tags"] = event.tags
    if event.info is not None:
        head["info"] = {"user": event.info.user, "client": event.info.client}
    if is_json(event.data):
        return b'%b,"data":%b}' % (orjson.dumps(head)[:-1], event.data)
    head["b64data"] = b64encode(event.data).decode()
    return orjson.dumps(head)


def _data_of(event: Event) -> bytes:
    if event.type == PUBLICATION_CREATED:
        return b'{"object":%b}' % publication_object(event)
    return event.data


def _opening(event: Event) -> bytes:
    head = {
        "id": encode("evt", event.id),
        "object": "event",
        "type": event.type,
        "api_version": API_VERSION,
        "created_at": format_instant(Instant(event.created_at)),
    }
    return orjson.dumps(head)[:-1]


def event_object(event: Event, epoch: str) -> bytes:
    """Return the event with its position: `seq`, `epoch`, and its channels, each with its offset there."""
    position = {
        "seq": event.seq,
        "epoch": epoch,
        "channels": [{"channel": channel, "offset": offset} for channel, offset in event.entries],
    }
    return b'%b,%b,"data":%b}' % (_opening(event), orjson.dumps(position)[1:-1], _data_of(event))


def channel_payload(event: Event) -> bytes:
    """Return what subscribers of a channel get: a publication's own bytes, or a resource's event object.

    The position is left out there: the channel's offset stands beside the payload.
    """
    if event.type == PUBLICATION_CREATED:
        return event.data
    return b'%b,"data":%b}' % (_opening(event), event.data)

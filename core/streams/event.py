"""What the log holds and what leaves it live.

These structs cross process borders on links (msgpack, arrays), so a field is only ever added at the end,
with a default. Ids are 16 raw bytes, instants microseconds (see `core.ids`, `core.instants`).
"""

from typing import Final

import msgspec

PUBLICATION_CREATED: Final = "publication.created"
WANTS_PATCH: Final = 1
SPARES_SENDER: Final = 2
OPAQUE: Final = 4
"""Flags of a publication: its publisher asked for delta; the connection that published does not want it; its
data is not JSON."""
EVENT_BYTES: Final = 300
"""What an event costs besides its payload."""


class Wire(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Base of what travels on links: immutable, compact, and free of reference cycles."""


class ClientInfo(Wire, frozen=True):
    """The connected client that published: what subscribers see as `info`."""

    user: str
    client: str
    connection_info: bytes = b""
    """Raw JSON, or nothing."""
    channel_info: bytes = b""
    """Raw JSON about the client in this channel, or nothing."""


class Event(Wire, frozen=True):
    """One fact of an organization's log, immutable from its commit on.

    `entries` gives the channels it stands in with its offset there, in the order the writer was asked for.
    For a publication `data` is exactly what was published (JSON or not); for a resource's event it is the
    JSON of the event object's `data` member: `{"object":{…},"previous_attributes":{…}}`.
    """

    seq: int
    id: bytes
    type: str
    created_at: int
    data: bytes
    entries: tuple[tuple[str, int], ...]
    info: ClientInfo | None = None
    tags: dict[str, str] | None = None
    actor: str = ""
    trace_id: bytes = b""
    subject: str = ""
    """`<type>/<public id>` of the resource that changed; empty for publications."""
    flags: int = 0
    """`WANTS_PATCH`, `SPARES_SENDER`, `OPAQUE`, added up."""


def size_of(event: Event) -> int:
    """Return about how many bytes an event takes in memory and on the wire; an estimate that bounds both."""
    size = EVENT_BYTES + len(event.data)
    if event.info is not None:
        info = event.info
        size += len(info.user) + len(info.client) + len(info.connection_info) + len(info.channel_info)
    if event.tags:
        size += sum(len(name) + len(value) for name, value in event.tags.items())
    return size


class LiveBatch(Wire, frozen=True):
    """Events of one organization that one commit made durable: contiguous and ascending by `seq`.

    Given out only after the commit was acknowledged (reliability rule R5). The last `seq` is the announced
    head.
    """

    organization_id: bytes
    epoch: str
    events: tuple[Event, ...]


class Head(Wire, frozen=True):
    """The announced head of an organization's log: everything up to `seq` is durable and may be read."""

    organization_id: bytes
    epoch: str
    seq: int


class EphemeralPublication(Wire, frozen=True):
    """A publication that is not stored: delivered at most once, without offset, moving no position.

    With a `kind` it is word to the replicas themselves: who joined or left the channel, or an order about
    connections (`core.connections.orders`).
    """

    organization_id: bytes
    channel: str
    data: bytes
    info: ClientInfo | None = None
    tags: dict[str, str] | None = None
    kind: str = ""
    flags: int = 0


class Envelope(Wire, frozen=True):
    """What a stored event has besides its own columns, as one msgpack value."""

    entries: tuple[tuple[str, int], ...]
    info: ClientInfo | None = None
    tags: dict[str, str] | None = None
    actor: str = ""
    trace_id: bytes = b""
    subject: str = ""
    flags: int = 0


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Envelope)


def seal_envelope(event: Event) -> bytes:
    """Return the envelope of an event as it is stored."""
    return _ENCODER.encode(
        Envelope(
            event.entries, event.info, event.tags, event.actor, event.trace_id, event.subject, event.flags
        )
    )


def open_envelope(envelope: bytes, *, seq: int, id: bytes, type: str, created_at: int, data: bytes) -> Event:  # noqa: A002 (the event's own names)
    """Return the event of a stored row."""
    rest = _DECODER.decode(envelope)
    return Event(
        seq,
        id,
        type,
        created_at,
        data,
        rest.entries,
        rest.info,
        rest.tags,
        rest.actor,
        rest.trace_id,
        rest.subject,
        rest.flags,
    )

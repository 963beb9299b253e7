"""Results and errors as clients of Centrifugo read them.

Some look for the text `"error"` to tell one from the other, so an answer never has both.
"""

from base64 import b64encode
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from core.connections.codes import ERRORS
from core.errors import TidingsError
from core.streams.event import ClientInfo, Event
from core.streams.event_object import channel_payload, is_json

UNKNOWN_METHOD: Final = 104
TEXTS: Final = ERRORS | {UNKNOWN_METHOD: "not found", 113: "conflict"}
STATUSES: Final = {100: 500, 102: 404, 103: 403, 104: 404, 107: 400, 108: 400, 111: 429, 112: 416, 113: 409}
"""The HTTP status of each error, for those who want it told that way."""

_ENCODER: Final = msgspec.json.Encoder()
EMPTY: Final = b"{}"


class _Result(msgspec.Struct, frozen=True, omit_defaults=True):
    pass


class Published(_Result, frozen=True, omit_defaults=True):
    """Where a publication stands; nothing when that is not shown."""

    offset: int = 0
    epoch: str = ""


class Info(_Result, frozen=True, omit_defaults=True):
    """Who published, or who is there."""

    client: str = ""
    user: str = ""
    conn_info: msgspec.Raw | UnsetType = UNSET
    chan_info: msgspec.Raw | UnsetType = UNSET


class Publication(_Result, frozen=True, omit_defaults=True):
    """One entry of a history. What is no JSON stands in `b64data`."""

    data: msgspec.Raw | UnsetType = UNSET
    b64data: str = ""
    info: Info | None = None
    offset: int = 0
    tags: dict[str, str] | None = None


class Page(msgspec.Struct, frozen=True):
    """A history."""

    publications: list[Publication]
    epoch: str
    offset: int


class Presence(msgspec.Struct, frozen=True):
    """Who is in a channel, by client."""

    presence: dict[str, Info]


class Counts(msgspec.Struct, frozen=True):
    """How many are in a channel."""

    num_clients: int
    num_users: int


class Occupied(msgspec.Struct, frozen=True):
    """A channel that has subscribers."""

    num_clients: int


class Channels(msgspec.Struct, frozen=True):
    """All of these."""

    channels: dict[str, Occupied]


Result = Published | Page | Presence | Counts | Channels


def encode(result: Result) -> bytes:
    """Return a bare result."""
    return _ENCODER.encode(result)


def succeeded(result: bytes) -> bytes:
    """Return the answer that holds a bare result."""
    return b'{"result":%b}' % result


def code_of(error: TidingsError) -> int:
    """Return the code that an error has here."""
    code = error.row.realtime
    return code if code in STATUSES else 100


def bare_error(code: int) -> bytes:
    """Return an error by itself."""
    return b'{"code":%d,"message":%b}' % (code, _ENCODER.encode(TEXTS[code]))


def failed(code: int) -> bytes:
    """Return the answer that holds an error."""
    return b'{"error":%b}' % bare_error(code)


def info_of(info: ClientInfo) -> Info:
    """Return a client as others see it."""
    return Info(info.client, info.user, _raw(info.connection_info), _raw(info.channel_info))


def publication_of(event: Event, offset: int) -> Publication:
    """Return an event as the publication that it is in a channel, its payload as it came."""
    payload = channel_payload(event)
    info = None if event.info is None else info_of(event.info)
    if is_json(payload):
        return Publication(msgspec.Raw(payload), "", info, offset, event.tags)
    return Publication(UNSET, b64encode(payload).decode(), info, offset, event.tags)


def _raw(data: bytes) -> msgspec.Raw | UnsetType:
    return msgspec.Raw(data) if data else UNSET

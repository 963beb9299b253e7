"""How presence lies in Redis: its keys, and the form of an entry.

Everything of one organization has the same hash tag, and so has what is known of the replicas: each is in one
slot of a Redis Cluster, as each organization's log has one writer.
"""

from typing import Final, NamedTuple

import msgspec

from core.streams.event import ClientInfo

ALIVE: Final = "tidings:presence:{replicas}:alive"
LOST: Final = "tidings:presence:{replicas}:lost"
CLIENTS: Final = "#clients"
USERS: Final = "#users"

_Infos = tuple[bytes, bytes]
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(_Infos)


class Entry(NamedTuple):
    """Somebody in a channel, and the replica that entered him, by its tag."""

    tag: str
    info: ClientInfo


def channel_key(organization_id: bytes, channel: str) -> str:
    """Return the key of who is in a channel."""
    return f"tidings:presence:{{{organization_id.hex()}}}:channel:{channel}"


def clients_key(organization_id: bytes, channel: str) -> str:
    """Return the key of the clients of a channel in their order."""
    return f"tidings:presence:{{{organization_id.hex()}}}:clients:{channel}"


def index_key(organization_id: bytes) -> str:
    """Return the key of the channels of an organization in which anybody is."""
    return f"tidings:presence:{{{organization_id.hex()}}}:channels"


def held_key(organization_id: bytes, tag: str) -> str:
    """Return the key of the channels of an organization in which a replica has entries."""
    return f"tidings:presence:{{{organization_id.hex()}}}:held:{tag}"


def tags_key(organization_id: bytes) -> str:
    """Return the key of the tags under which somebody may enter a channel of an organization."""
    return f"tidings:presence:{{{organization_id.hex()}}}:tags"


def organizations_key(tag: str) -> str:
    """Return the key of the organizations in which a replica may have entries."""
    return f"tidings:presence:{{replicas}}:organizations:{tag}"


def held_field(tag: str) -> str:
    """Return the field of a channel that counts the entries of a replica."""
    return f"n{tag}"


def pack(tag: str, info: ClientInfo) -> bytes:
    """Return an entry as the script reads it, without the client's id, by which it is found."""
    user = info.user.encode()
    infos = _ENCODER.encode((info.connection_info, info.channel_info))
    return b"%b %d %b%b" % (tag.encode(), len(user), user, infos)


def client_field(client: str) -> str:
    """Return the field of a channel that holds the entry of a client."""
    return f"c{client}"


def unpack(client: str, packed: bytes) -> Entry:
    """Return the entry of a client."""
    tag, size, rest = packed.split(b" ", 2)
    end = int(size)
    infos = _DECODER.decode(rest[end:])
    return Entry(tag.decode(), ClientInfo(rest[:end].decode(), client, *infos))

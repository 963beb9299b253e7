"""Commands of a client and replies of the server, whatever they are encoded in.

Fields and meanings are those of the Centrifuge client protocol v2. Payloads are bytes that nobody here
looks into.
"""

from dataclasses import dataclass, field

from core.streams.event import Event
from core.streams.position import Position


@dataclass(frozen=True, slots=True)
class Connect:
    """The first command: who is there."""

    id: int
    token: str = ""


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Join a channel, with `since` from that position on.

    `reject_unrecoverable`: a position that cannot be served is answered with 112 rather than by a new start.
    """

    id: int
    channel: str
    since: Position | None = None
    reject_unrecoverable: bool = False


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Leave a channel."""

    id: int
    channel: str


@dataclass(frozen=True, slots=True)
class Publish:
    """Publish to a channel; a repeat with the same key gets the first reply again."""

    id: int
    channel: str
    data: bytes
    idempotency_key: str = ""


@dataclass(frozen=True, slots=True)
class History:
    """Read a channel, with `since` from that position on.

    `limit` is the most publications; 0 asks for the position alone, a negative one for as many as a page
    holds.
    """

    id: int
    channel: str
    limit: int = 0
    since: Position | None = None
    reverse: bool = False


@dataclass(frozen=True, slots=True)
class Refresh:
    """Bring a new token before the old one ends."""

    id: int
    token: str


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to a ping; any command without id counts as one."""


@dataclass(frozen=True, slots=True)
class Unserved:
    """A method that the protocol knows and this server does not offer: `method` names it."""

    id: int
    method: str
    channel: str = ""


Command = Connect | Subscribe | Unsubscribe | Publish | History | Refresh | Pong | Unserved


@dataclass(frozen=True, slots=True)
class Connected:
    """`ttl_s` only where the client must refresh its token itself; then at least 1."""

    client: str
    ping_s: int
    ttl_s: int | None = None


@dataclass(frozen=True, slots=True)
class Subscribed:
    """Where the subscription begins: at `offset`, with the recovered `publications` after it."""

    epoch: str
    offset: int
    was_recovering: bool = False
    recovered: bool = False
    publications: list[tuple[int, Event]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Unsubscribed:
    """The channel is left."""


@dataclass(frozen=True, slots=True)
class Published:
    """The publication is durable at this position."""

    epoch: str
    offset: int


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Publications of a channel with their offsets, and its newest position."""

    epoch: str
    offset: int
    publications: list[tuple[int, Event]]


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The connection lives on; `ttl_s` None: it does not expire any more."""

    client: str
    ttl_s: int | None


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """An error reply with a code and text of the protocol."""

    code: int


Reply = Connected | Subscribed | Unsubscribed | Published | HistoryPage | Refreshed | ErrorReply

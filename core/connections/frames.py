"""Commands of a client, replies and pushes of the server, whatever they are encoded in.

Fields and meanings are those of the Centrifuge client protocol v2. Payloads are bytes that nobody here
looks into.
"""

import msgspec

from core.channels.filter import FilterNode
from core.streams.event import ClientInfo, Event
from core.streams.position import Position


class Frame(msgspec.Struct, frozen=True):
    """Base of all of them: a Struct is made in a tenth of the time of a frozen dataclass."""


# --- commands


class Since(Frame, frozen=True):
    """Where a server-side subscription goes on, and whether as patches (`delta`)."""

    since: Position | None = None
    delta: bool = False


class Connect(Frame, frozen=True):
    """The first command: who is there.

    `subs`: positions of server-side subscriptions, and channels that the client asks for. `headers` are text
    of the client's making: never believed.
    """

    id: int
    token: str = ""
    data: bytes = b""
    subs: dict[str, Since] = {}
    name: str = ""
    version: str = ""
    headers: dict[str, str] = {}


class Subscribe(Frame, frozen=True):
    """Join a channel, with `since` from that position on.

    `reject_unrecoverable`: a position that cannot be served is answered with 112 rather than by a new start.
    `join_leave`: the joins and leaves of others are wished for. `delta`: payloads as patches. `filter`: only
    publications whose tags match. `max_rate`: at most so many publications a second, the latest of each
    key (0: all).
    """

    id: int
    channel: str
    since: Position | None = None
    reject_unrecoverable: bool = False
    token: str = ""
    data: bytes = b""
    join_leave: bool = False
    delta: bool = False
    filter: FilterNode | None = None
    max_rate: float = 0.0


class Unsubscribe(Frame, frozen=True):
    """Leave a channel."""

    id: int
    channel: str


class Publish(Frame, frozen=True):
    """Publish to a channel; a repeat with the same key gets the first reply again.

    `exclude_self`: the publishing connection does not want it back.
    """

    id: int
    channel: str
    data: bytes
    idempotency_key: str = ""
    exclude_self: bool = False


class History(Frame, frozen=True):
    """Read a channel, with `since` from that position on.

    `limit` is the most publications; 0 asks for the position alone, a negative one for as many as a page
    holds.
    """

    id: int
    channel: str
    limit: int = 0
    since: Position | None = None
    reverse: bool = False


class Presence(Frame, frozen=True):
    """Ask who is in a channel."""

    id: int
    channel: str


class PresenceStats(Frame, frozen=True):
    """Ask how many are in a channel."""

    id: int
    channel: str


class Rpc(Frame, frozen=True):
    """Call the organization's own backend."""

    id: int
    method: str
    data: bytes = b""


class Message(Frame, frozen=True):
    """Tell the organization's own backend something; no reply."""

    data: bytes


class Refresh(Frame, frozen=True):
    """Bring a new token before the old one ends."""

    id: int
    token: str


class SubRefresh(Frame, frozen=True):
    """Bring a new subscription token; an empty channel is the one that the token names."""

    id: int
    channel: str
    token: str


class Pong(Frame, frozen=True):
    """The answer to a ping; any command without id counts as one."""


class Unserved(Frame, frozen=True):
    """A method that the protocol knows and this server does not offer: `method` names it."""

    id: int
    method: str
    channel: str = ""


Command = (
    Connect | Subscribe | Unsubscribe | Publish | History | Presence | PresenceStats | Rpc | Message
    | Refresh | SubRefresh | Pong | Unserved
)  # fmt: skip

# --- replies


class Subscribed(Frame, frozen=True):
    """Where the subscription begins: at `offset`, with the recovered `publications` after it.

    With `delta` every payload of the subscription is written as the delta form wants it: the first of
    `publications` whole, the others as patches where `patches` allows. `ttl_s` only where the client must
    bring a new subscription token.
    """

    epoch: str
    offset: int
    was_recovering: bool = False
    recovered: bool = False
    publications: list[tuple[int, Event]] = []
    recoverable: bool = True
    delta: bool = False
    patches: bool = False
    ttl_s: int | None = None
    data: bytes = b""

    def with_terms(self, data: bytes, ttl_s: int | None) -> "Subscribed":
        """Return the same with what a token or the backend says to it."""
        return msgspec.structs.replace(self, data=data, ttl_s=ttl_s)


class Connected(Frame, frozen=True):
    """`ttl_s` only where the client must refresh its token itself; then at least 1.

    `subs` are the server-side subscriptions; `session` and `node` are for transports whose commands come by
    another way. `pong`: the client must answer pings.
    """

    client: str
    ping_s: int
    ttl_s: int | None = None
    data: bytes = b""
    subs: dict[str, Subscribed] = {}
    session: str = ""
    node: str = ""
    pong: bool = True


class Unsubscribed(Frame, frozen=True):
    """The channel is left."""


class Published(Frame, frozen=True):
    """The publication is durable at this position; `duplicate`: by an earlier command with the same key."""

    epoch: str
    offset: int
    seq: int = 0
    duplicate: bool = False


class HistoryPage(Frame, frozen=True):
    """Publications of a channel with their offsets, and its newest position."""

    epoch: str
    offset: int
    publications: list[tuple[int, Event]]


class PresenceList(Frame, frozen=True):
    """Who is in a channel, by client id."""

    clients: dict[str, ClientInfo]


class PresenceCount(Frame, frozen=True):
    """How many are in a channel; the empty user counts as one."""

    clients: int
    users: int


class RpcAnswer(Frame, frozen=True):
    """What the organization's backend answered."""

    data: bytes


class Refreshed(Frame, frozen=True):
    """The connection lives on; `ttl_s` None: it does not expire any more."""

    client: str
    ttl_s: int | None


class SubRefreshed(Frame, frozen=True):
    """The subscription lives on; `ttl_s` None: it does not expire any more."""

    ttl_s: int | None


class ErrorReply(Frame, frozen=True):
    """An error reply with a code of the protocol, or one (400 to 1999) of the organization's own backend.

    An empty `message` stands for the text of the code.
    """

    code: int
    message: str = ""
    temporary: bool = False


Reply = (
    Connected | Subscribed | Unsubscribed | Published | HistoryPage | PresenceList | PresenceCount | RpcAnswer
    | Refreshed | SubRefreshed | ErrorReply
)  # fmt: skip

# --- pushes, but for publications, which are encoded once for all subscribers of a channel


class Joined(Frame, frozen=True):
    """Somebody subscribed."""

    channel: str
    info: ClientInfo


class Left(Frame, frozen=True):
    """Somebody's subscription ended."""

    channel: str
    info: ClientInfo


class SubscriptionEnded(Frame, frozen=True):
    """The server ended a subscription; from 2500 on the client subscribes again."""

    channel: str
    code: int
    reason: str = ""


class SubscriptionAdded(Frame, frozen=True):
    """The server added a server-side subscription."""

    channel: str
    subscribed: Subscribed


class ServerMessage(Frame, frozen=True):
    """A message of the organization's backend to this connection alone."""

    data: bytes


class Disconnected(Frame, frozen=True):
    """The end, on transports that have no close frame."""

    code: int
    reason: str = ""


class ConnectionRefreshed(Frame, frozen=True):
    """The server itself prolonged the connection; `ttl_s` None: it does not expire."""

    ttl_s: int | None


class ConnectionOpened(Frame, frozen=True):
    """The connect reply of unidirectional transports."""

    connected: Connected


Push = (
    Joined | Left | SubscriptionEnded | SubscriptionAdded | ServerMessage | Disconnected | ConnectionRefreshed
    | ConnectionOpened
)  # fmt: skip

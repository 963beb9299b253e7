"""What a connection's state machine wants done: its shell runs effects in the order that they come in.

Those that must wait for others name the method that reports what came of them.
"""

from dataclasses import dataclass, field

import msgspec

from core.connections.frames import (
    Connect,
    History,
    Message,
    Presence,
    PresenceStats,
    Publish,
    Push,
    Reply,
    Rpc,
    SubRefresh,
    Subscribe,
)
from core.connections.subscription import Grant


@dataclass(frozen=True, slots=True)
class Authenticate:
    """Verify who connects; report `connected` or `refused`."""

    command: Connect


@dataclass(frozen=True, slots=True)
class Reauthenticate:
    """Verify a new token; report `refreshed` or `refresh_refused`."""

    id: int
    token: str


@dataclass(frozen=True, slots=True)
class AskToStay:
    """Ask the organization's backend whether an expired connection may go on; report `prolonged`."""


@dataclass(frozen=True, slots=True)
class Open:
    """Begin the server-side subscriptions of a new connection, all of them; report `opened`, or `refused`."""

    id: int
    joins: tuple["Join", ...]
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Admit:
    """Verify the subscription's token, or ask the backend; report `admitted` or `not_admitted`."""

    command: Subscribe
    ask_backend: bool


@dataclass(frozen=True, slots=True)
class Join:
    """Subscribe; when the reply is on its way report `finished`, or `join_failed`.

    A subscription that the server adds to an open connection has the id 0: it is pushed instead.
    """

    command: Subscribe
    grant: Grant
    data: bytes = b""
    ttl_s: int | None = None


@dataclass(frozen=True, slots=True)
class Leave:
    """End a subscription. Where presence is kept, others must know it before `left` is reported."""

    channel: str
    grant: Grant
    id: int = 0


@dataclass(frozen=True, slots=True)
class Renew:
    """Verify a subscription's new token; report `renewed` or `not_renewed`."""

    command: SubRefresh


class Write(msgspec.Struct, frozen=True):  # one for each publish: made in a tenth of the time of a dataclass
    """Publish, and reply when it is durable; then report `written`.

    `ask_backend`: it may refuse or change what is published. `is_ephemeral`: it is passed on and not stored.
    `is_opaque`: the data is not JSON.
    """

    command: Publish
    ask_backend: bool = False
    is_ephemeral: bool = False
    is_opaque: bool = False


@dataclass(frozen=True, slots=True)
class Read:
    """Read what the channel's namespace shows of it, and reply; then report `finished`."""

    command: History


@dataclass(frozen=True, slots=True)
class See:
    """Say who, or how many, are in a channel; then report `finished`."""

    command: Presence | PresenceStats


@dataclass(frozen=True, slots=True)
class Call:
    """Call the organization's backend, and reply with its answer."""

    command: Rpc


@dataclass(frozen=True, slots=True)
class Tell:
    """Pass a message on to the organization's backend; without one the connection ends."""

    command: Message


@dataclass(frozen=True, slots=True)
class Send:
    """Send a reply; an error may be that of a subscribe to the channel that it `refuses`."""

    id: int
    reply: Reply
    refuses: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class SendPush:
    """Send a push to this client alone."""

    push: Push


@dataclass(frozen=True, slots=True)
class Ping:
    """Send a ping."""


@dataclass(frozen=True, slots=True)
class Close:
    """End the connection with this code; nothing follows. An empty reason stands for the code's own text."""

    code: int
    reason: str = ""


Effect = (
    Authenticate | Reauthenticate | AskToStay | Open | Admit | Join | Leave | Renew | Write | Read | See
    | Call | Tell | Send | SendPush | Ping | Close
)  # fmt: skip

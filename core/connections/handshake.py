"""From a client's first command to the reply to its connect: what it may say, what waits, how it fails.

A client has one try. After an error that may pass, anything that it says is a violation, and silence ends
with the timer: it must come anew.
"""

from math import inf
from typing import Final

from core.connections.admission import server_side
from core.connections.codes import (
    BAD_REQUEST,
    CHANNEL_LIMIT,
    CONNECTION_EXPIRED,
    EXPIRED,
    INTERNAL,
    PERMISSION_DENIED,
    STALE,
    TOO_MANY_REQUESTS,
)
from core.connections.effects import Authenticate, Close, Effect, Open, Send
from core.connections.frames import Command, Connect, ErrorReply, Pong
from core.connections.membership import Membership
from core.connections.moment import Moment
from core.errors import REGISTRY, Code, TidingsError

_WITHOUT_REPLIES: Final = {
    103: PERMISSION_DENIED,
    109: CONNECTION_EXPIRED,
    110: CONNECTION_EXPIRED,
    111: TOO_MANY_REQUESTS,
}
"""How a connect error ends a connection that gets no replies; any other is an internal error (§13)."""


class Handshake:
    """One client's try to connect.

    Args:
        connect_s: it has for its first command, and to go after an error.
        held_max: commands that may wait for the reply.
        gets_replies: it is told of errors; else it is ended.
        now_s: monotonic time.

    Attributes:
        due_s: when a silent client is stale; inf while it is us who take the time.
        held: what is to be served once it is connected.
        is_under_way: its connect is being decided.
    """

    __slots__ = ("_connect_s", "_gets_replies", "_has_begun", "_held_max", "due_s", "held", "is_under_way")

    def __init__(self, connect_s: float, held_max: int, *, gets_replies: bool, now_s: float) -> None:
        self._connect_s = connect_s
        self._held_max = held_max
        self._gets_replies = gets_replies
        self._has_begun = False
        self.is_under_way = False
        self.due_s: float = now_s + connect_s
        self.held: list[Command] = []

    def receive(self, command: Command) -> list[Effect]:
        """Take the connect, and let wait what follows it."""
        if self.is_under_way:
            if isinstance(command, Connect | Pong) or len(self.held) >= self._held_max:
                return [Close(BAD_REQUEST)]
            self.held.append(command)
            return []
        if self._has_begun or not isinstance(command, Connect):
            return [Close(BAD_REQUEST)]
        self._has_begun = self.is_under_way = True
        self.due_s = inf
        return [Authenticate(command)]

    def begin(
        self, command: Connect, members: Membership, *, at: Moment, data: bytes, by_backend: bool
    ) -> Open | Send | Close:
        """Begin the server-side subscriptions, if there are any; those that can't be keep a client out."""
        if len(command.subs) > members.subscriptions.channels_max:
            return Close(CHANNEL_LIMIT)  # before each of them is looked at
        found = server_side(members.asking, command.subs, by_backend=by_backend)
        if found is Code.PROTOCOL_VIOLATION:
            return Close(REGISTRY[found].close)
        if isinstance(found, Code):
            return self.failed(command.id, ErrorReply(REGISTRY[found].realtime), at.monotonic_s)
        joins = members.begin(found, at)
        return Close(CHANNEL_LIMIT) if joins is None else Open(command.id, joins, data)

    def refused(self, id_: int, error: TidingsError, now_s: float) -> Send | Close:
        """An expired credential may be renewed, a failure may pass; a bad credential ends the connection."""
        row = error.row
        if row.realtime in EXPIRED or row.retry != "never":
            return self.failed(id_, ErrorReply(row.realtime), now_s)
        return Close(row.close)

    def failed(self, id_: int, reply: ErrorReply, now_s: float) -> Send | Close:
        """Answer the connect with an error."""
        if not self._gets_replies:
            return Close(_WITHOUT_REPLIES.get(reply.code, INTERNAL))
        self.is_under_way = False
        self.due_s = now_s + self._connect_s
        return Send(id_, reply)

    def tick(self, now_s: float) -> list[Effect]:
        """End a client that is stale."""
        return [Close(STALE)] if now_s >= self.due_s else []

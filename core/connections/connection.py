"""One client, from its first byte to its last, without I/O.

Feed it the client's commands and the time; run the effects that it returns, in order, and report back
what came of those that need others (`connected`, `finished`, …). It knows frames and positions, and neither
JSON nor WebSocket.

States: FRESH → CONNECTING → CONNECTED → CLOSED. Commands that arrive while connecting wait, as do those of
a channel while something of it is under way (`core.connections.lines`).
"""

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from enum import Enum
from math import inf
from typing import Final

from core.auth.principal import Organization, Principal
from core.connections.admission import Asking, server_side
from core.connections.codes import (
    BAD_REQUEST,
    CHANNEL_LIMIT,
    CONNECTION_EXPIRED,
    INTERNAL,
    PERMISSION_DENIED,
    STALE,
    TOO_MANY_REQUESTS,
)
from core.connections.effects import (
    Authenticate,
    Call,
    Close,
    Effect,
    Open,
    Send,
    SendPush,
    Tell,
)
from core.connections.frames import (
    Command,
    Connect,
    Connected,
    ConnectionOpened,
    ConnectionRefreshed,
    ErrorReply,
    Message,
    Pong,
    Publish,
    Refresh,
    Refreshed,
    Rpc,
    Subscribed,
    Unserved,
)
from core.connections.lifetime import Lifetime
from core.connections.membership import Membership
from core.connections.moment import Moment
from core.connections.pulse import Pulse
from core.connections.refresh import failure_of, objection_to, refresh_of
from core.connections.requests import refusal_of_unserved
from core.connections.subscription import Grants
from core.connections.subscriptions import Subscriptions
from core.errors import REGISTRY, Code, TidingsError


@dataclass(frozen=True, slots=True)
class Limits:
    """Times in seconds and counts that bound one connection."""

    ping_s: float
    pong_s: float
    connect_s: float
    expiry_grace_s: float
    channels_max: int
    pending_commands_max: int


@dataclass(frozen=True, slots=True)
class Manner:
    """How a client's transport has it: the same for all of one kind.

    `is_json`: payloads can't be but JSON. `is_unidirectional`: it connects, and says nothing more.
    `has_native_pings`: those of the transport stand in for the protocol's.
    """

    is_json: bool = True
    is_unidirectional: bool = False
    has_native_pings: bool = False


class _State(Enum):
    FRESH = 1
    CONNECTING = 2
    CONNECTED = 3
    CLOSED = 4


_EXPIRED: Final = frozenset({Code.CREDENTIAL_EXPIRED, Code.EXPIRED})
_WITHOUT_REPLIES: Final = {
    103: PERMISSION_DENIED,
    109: CONNECTION_EXPIRED,
    110: CONNECTION_EXPIRED,
    111: TOO_MANY_REQUESTS,
}
"""How a connect error ends a connection that gets no replies; any other is an internal error (§13)."""


class Connection:
    """The state of one client.

    Args:
        client: its id: a new UUID.
        limits: of this installation.
        manner: of its transport.
        types: namespaces that exist by themselves: the names of the resource types.
        grants: shared by the clients of this process.
        now_s: monotonic time.
    """

    __slots__ = (
        "_client", "_grants", "_held", "_lifetime", "_limits", "_manner",
        "_members", "_pulse", "_stale_at", "_state", "_types",
    )  # fmt: skip

    def __init__(
        self,
        client: str,
        limits: Limits,
        manner: Manner,
        types: AbstractSet[str],
        grants: Grants,
        now_s: float,
    ) -> None:
        self._client = client
        self._limits = limits
        self._manner = manner
        self._types = types
        self._grants = grants
        self._state = _State.FRESH
        self._stale_at: float = now_s + limits.connect_s
        self._pulse = Pulse(limits.ping_s, limits.pong_s, is_answered=not manner.is_unidirectional)
        self._lifetime = Lifetime(limits.expiry_grace_s)
        self._held: list[Command] | None = None
        self._members: Membership | None = None

    @property
    def client(self) -> str:
        """The id that the server gave this client."""
        return self._client

    @property
    def is_closed(self) -> bool:
        """Whether nothing may be sent any more."""
        return self._state is _State.CLOSED

    @property
    def is_connected(self) -> bool:
        """Whether the connect reply was given."""
        return self._state is _State.CONNECTED

    @property
    def asking(self) -> Asking | None:
        """Who is connected; None before it is known."""
        return None if self._members is None else self._members.asking

    @property
    def subscriptions(self) -> Subscriptions | None:
        """What it is subscribed to; None before it is known who it is."""
        return None if self._members is None else self._members.subscriptions

    # --- what the client says

    def receive(self, commands: Iterable[Command]) -> list[Effect]:
        """Take the commands of one frame, in order."""
        effects: list[Effect] = []
        for command in commands:
            if self._state is _State.CLOSED:
                break
            effects += self._heeded(self._receive(command))
        return effects

    def _receive(self, command: Command) -> list[Effect]:
        if self._state is _State.CONNECTED:
            return self._serve(command)
        if isinstance(command, Pong):
            return self._pong()
        if self._state is _State.FRESH:
            if not isinstance(command, Connect) or self._held is not None:
                return self._close(BAD_REQUEST)
            self._state = _State.CONNECTING
            self._stale_at = inf  # from here on it is us who take the time
            self._held = []
            return [Authenticate(command)]
        assert self._held is not None  # noqa: S101 (set with CONNECTING)
        if isinstance(command, Connect) or len(self._held) >= self._limits.pending_commands_max:
            return self._close(BAD_REQUEST)
        self._held.append(command)
        return []

    def _serve(self, command: Command) -> list[Effect]:
        match command:
            case Publish():  # first, since these are most
                return self.of_channel(lambda members: members.receive(command))
            case Pong():
                return self._pong()
            case Connect():
                return self._close(BAD_REQUEST)
            case Refresh():
                return [refresh_of(command, self._known().principal, is_limited=self._lifetime.is_limited)]
            case Rpc():
                return [Call(command)]
            case Message():
                return [Tell(command)]
            case Unserved():
                return [refusal_of_unserved(command)]
            case _:
                return self.of_channel(lambda members: members.receive(command))

    def _known(self) -> Asking:
        assert self._members is not None  # noqa: S101 (set before CONNECTED)
        return self._members.asking

    def of_channel(self, decide: Callable[[Membership], list[Effect]]) -> list[Effect]:
        """Report what came of effects on channels; nothing matters any more once it is closed.

        `decide` calls one method of the membership.
        """
        members = self._members
        if self._state is not _State.CONNECTED or members is None:
            return []
        return self._heeded(decide(members))

    def _pong(self) -> list[Effect]:
        is_awaited = not self._manner.has_native_pings and self._pulse.ponged()
        return [] if is_awaited else self._close(BAD_REQUEST)

    def ponged(self) -> None:
        """The transport's own ping was answered; one that answers nothing is no fault (RFC 6455 §5.5.3)."""
        self._pulse.ponged()

    # --- what became of effects

    def connected(
        self,
        command: Connect,
        principal: Principal,
        organization: Organization,
        *,
        at: Moment,
        data: bytes = b"",
        by_backend: bool = False,
        asks_to_stay: bool = False,
    ) -> list[Effect]:
        """The credential was good: begin the server-side subscriptions, then reply.

        `data` goes into the reply; `by_backend`: it was the backend that let it in, `asks_to_stay`: it is
        the backend that prolongs an expired connection.
        """
        if self._state is not _State.CONNECTING:
            return []
        limits, asking = self._limits, Asking(principal, organization, self._types)
        self._lifetime.asks_to_stay = asks_to_stay
        self._members = members = Membership(
            asking,
            self._grants,
            channels_max=limits.channels_max,
            pending_commands_max=limits.pending_commands_max,
            grace_s=limits.expiry_grace_s,
            is_json=self._manner.is_json,
        )
        found = server_side(asking, command.subs, by_backend=by_backend)
        if found is Code.PROTOCOL_VIOLATION:
            return self._close(REGISTRY[found].close)
        if isinstance(found, Code):
            return self._unusable(command.id, REGISTRY[found].realtime, at.monotonic_s)
        joins = members.begin(found, at)
        if joins is None:
            return self._close(CHANNEL_LIMIT)
        if not joins:
            return self.opened(command.id, {}, at=at, data=data)
        return [Open(command.id, joins, data)]

    def opened(self, id_: int, subs: dict[str, Subscribed], *, at: Moment, data: bytes = b"") -> list[Effect]:
        """The server-side subscriptions have begun: reply, and serve what was waiting."""
        if self._state is not _State.CONNECTING:
            return []
        self._state = _State.CONNECTED
        manner = self._manner
        self._pulse.begin(at)
        ttl_s = self._last_as(self._known().principal, at)
        held, self._held = self._held or [], None
        ping_s = 0 if manner.has_native_pings else round(self._limits.ping_s)
        pong = not (manner.has_native_pings or manner.is_unidirectional)
        reply = Connected(self._client, ping_s, ttl_s, data, subs, pong=pong)
        opening: Effect = SendPush(ConnectionOpened(reply)) if manner.is_unidirectional else Send(id_, reply)
        return [opening, *self.receive(held)]

    def _last_as(self, principal: Principal, at: Moment) -> int | None:
        """Live as long as the credential does; return in how many seconds its client must renew it."""
        ttl_s = self._lifetime.last_until(principal.expires_at, at)
        return ttl_s if principal.refreshable else None

    def refused(self, id_: int, error: TidingsError, now_s: float) -> list[Effect]:
        """It can't connect: an expired credential may be renewed, a bad one ends the connection."""
        if self._state is not _State.CONNECTING:
            return []
        row = error.row
        if error.code in _EXPIRED or row.retry != "never":
            return self._unusable(id_, row.realtime, now_s)
        return self._close(row.close)

    def refused_by_backend(self, id_: int, reply: ErrorReply, now_s: float) -> list[Effect]:
        """The organization's backend answered a connect with an error of its own."""
        if self._state is not _State.CONNECTING:
            return []
        return self._unusable(id_, reply.code, now_s, reply)

    def _unusable(self, id_: int, code: int, now_s: float, reply: ErrorReply | None = None) -> list[Effect]:
        """Answer a connect with an error: the next command is a violation, silence ends with the timer."""
        if self._manner.is_unidirectional:
            return self._close(_WITHOUT_REPLIES.get(code, INTERNAL))
        self._state, self._stale_at = _State.FRESH, now_s + self._limits.connect_s
        self._members = None
        return [Send(id_, reply or ErrorReply(code))]

    def refreshed(self, id_: int, principal: Principal, at: Moment) -> list[Effect]:
        """The new token was good: the connection lives on, if user and live channels are the same."""
        if self._state is not _State.CONNECTED or self._members is None:
            return []
        members = self._members
        end = objection_to(members, principal)
        if end is not None:
            return self._heeded([end])
        members.asking = replace(members.asking, principal=principal)
        return [Send(id_, Refreshed(self._client, self._last_as(principal, at)))]

    def refresh_refused(self, id_: int, error: TidingsError) -> list[Effect]:
        """The new token was refused: unless the fault is ours, that ends the client for good."""
        return self._heeded([failure_of(id_, error)]) if self._state is _State.CONNECTED else []

    # --- what the organization's backend orders

    def prolonged(self, principal: Principal | None, at: Moment, *, silently: bool = False) -> list[Effect]:
        """Live on as this principal, whose expiry is another; None: it ends now.

        `silently`: the client is not told.
        """
        if self._state is not _State.CONNECTED or self._members is None:
            return []
        if principal is None:
            return self._close(CONNECTION_EXPIRED)
        self._members.asking = replace(self._members.asking, principal=principal)
        ttl_s = self._lifetime.last_until(principal.expires_at, at)
        return [] if silently else [SendPush(ConnectionRefreshed(ttl_s))]

    def governed(self, organization: Organization) -> None:
        """Go by the organization's options as they are now; what was granted stays granted."""
        if self._members is not None:
            self._members.asking = replace(self._members.asking, organization=organization)

    def ended(self, code: int, reason: str = "") -> list[Effect]:
        """End the connection, as somebody else wants it."""
        return [] if self._state is _State.CLOSED else self._close(code, reason)

    # --- time

    @property
    def due_s(self) -> float:
        """When `tick` has something to do next, on the monotonic clock; never for one that is closed."""
        if self._state is _State.CLOSED:
            return inf
        if self._state is not _State.CONNECTED:
            return self._stale_at
        members = self._members
        return min(
            self._pulse.due_s, self._lifetime.due_s, inf if members is None else members.subscriptions.due_s
        )

    def tick(self, now_s: float, *, is_read: bool = True) -> list[Effect]:
        """Do what is due: ping, or end what is silent, stale or expired.

        `is_read`: what the client says comes through; else its pong may wait with the rest of it.
        """
        if self._state is _State.CLOSED:
            return []
        if self._state is not _State.CONNECTED:
            return self._close(STALE) if now_s >= self._stale_at else []
        over = self._lifetime.tick(now_s)
        if over:
            return self._heeded(over)
        effects = self.of_channel(lambda members: members.expire(now_s))
        if self.is_connected:
            effects = [*effects, *self._heeded(self._pulse.tick(now_s, is_read=is_read))]
        return effects

    def _close(self, code: int, reason: str = "") -> list[Effect]:
        self._state = _State.CLOSED
        return [Close(code, reason)]

    def _heeded(self, effects: list[Effect]) -> list[Effect]:
        """Return these effects; where the last of them ends the connection it is closed."""
        if effects and type(effects[-1]) is Close:
            self._state = _State.CLOSED
        return effects

    def close(self) -> None:
        """The transport ended."""
        self._state = _State.CLOSED

"""One client, from its first byte to its last, without I/O.

Feed it the client's commands and the time; run the effects that it returns, in order, and report back
what came of those that need others (`connected`, `finished`, …). It knows frames and positions, and neither
JSON nor WebSocket.

It begins with a handshake (`core.connections.handshake`), then it is connected, then it is closed. While it
is connected its channels (`core.connections.membership`), its pulse and its lifetime decide each for
themselves; whichever of them returns a `Close`, always as the last effect, ends it all.
"""

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from math import inf

from core.auth.principal import Organization, Principal
from core.connections.admission import Asking
from core.connections.codes import BAD_REQUEST, CONNECTION_EXPIRED
from core.connections.effects import Call, Close, Effect, Open, Send, SendPush, Tell
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
from core.connections.handshake import Handshake
from core.connections.lifetime import Lifetime
from core.connections.membership import Membership
from core.connections.moment import Moment
from core.connections.pulse import Pulse
from core.connections.refresh import failure_of, objection_to, refresh_of
from core.connections.requests import refusal_of_unserved
from core.connections.subscription import Grants
from core.connections.subscriptions import Subscriptions
from core.errors import TidingsError


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
        "_client", "_grants", "_handshake", "_is_closed", "_lifetime", "_limits", "_manner", "_members",
        "_pulse", "_types",
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
        self._is_closed = False
        self._handshake: Handshake | None = Handshake(
            limits.connect_s,
            limits.pending_commands_max,
            gets_replies=not manner.is_unidirectional,
            now_s=now_s,
        )
        self._members: Membership | None = None
        self._pulse = Pulse(limits.ping_s, limits.pong_s, is_answered=not manner.is_unidirectional)
        self._lifetime = Lifetime(limits.expiry_grace_s)

    @property
    def client(self) -> str:
        """The id that the server gave this client."""
        return self._client

    @property
    def is_closed(self) -> bool:
        """Whether nothing may be sent any more."""
        return self._is_closed

    @property
    def is_connected(self) -> bool:
        """Whether the connect reply was given."""
        return self._handshake is None and not self._is_closed

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
            if self._is_closed:
                break
            handshake = self._handshake
            said = self._serve(command) if handshake is None else handshake.receive(command)
            effects += self._heeded(said)
        return effects

    def _serve(self, command: Command) -> list[Effect]:
        match command:
            case Publish():  # first, since these are most
                return self._known.receive(command)
            case Pong():
                is_awaited = not self._manner.has_native_pings and self._pulse.ponged()
                return [] if is_awaited else [Close(BAD_REQUEST)]
            case Connect():
                return [Close(BAD_REQUEST)]
            case Refresh():
                principal = self._known.asking.principal
                return [refresh_of(command, principal, is_limited=self._lifetime.is_limited)]
            case Rpc():
                return [Call(command)]
            case Message():
                return [Tell(command)]
            case Unserved():
                return [refusal_of_unserved(command)]
            case _:
                return self._known.receive(command)

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
        handshake = self._under_way
        if handshake is None:
            return []
        self._lifetime.asks_to_stay = asks_to_stay
        limits = self._limits
        self._members = members = Membership(
            Asking(principal, organization, self._types),
            self._grants,
            channels_max=limits.channels_max,
            pending_commands_max=limits.pending_commands_max,
            grace_s=limits.expiry_grace_s,
            is_json=self._manner.is_json,
        )
        begun = handshake.begin(command, members, at=at, data=data, by_backend=by_backend)
        if not isinstance(begun, Open):
            return self._unopened(begun)
        return [begun] if begun.joins else self.opened(command.id, {}, at=at, data=data)

    def opened(self, id_: int, subs: dict[str, Subscribed], *, at: Moment, data: bytes = b"") -> list[Effect]:
        """The server-side subscriptions have begun: reply, and serve what was waiting."""
        handshake = self._under_way
        if handshake is None:
            return []
        self._handshake = None
        self._pulse.begin(at)
        ttl_s = self._last_as(self._known.asking.principal, at)
        manner = self._manner
        ping_s = 0 if manner.has_native_pings else round(self._limits.ping_s)
        pong = not (manner.has_native_pings or manner.is_unidirectional)
        reply = Connected(self._client, ping_s, ttl_s, data, subs, pong=pong)
        opening: Effect = SendPush(ConnectionOpened(reply)) if manner.is_unidirectional else Send(id_, reply)
        return [opening, *self.receive(handshake.held)]

    def _last_as(self, principal: Principal, at: Moment) -> int | None:
        """Live as long as the credential does; return in how many seconds its client must renew it."""
        ttl_s = self._lifetime.last_until(principal.expires_at, at)
        return ttl_s if principal.refreshable else None

    def refused(self, id_: int, error: TidingsError, now_s: float) -> list[Effect]:
        """It can't connect: an expired credential may be renewed, a bad one ends the connection."""
        handshake = self._under_way
        return [] if handshake is None else self._unopened(handshake.refused(id_, error, now_s))

    def refused_by_backend(self, id_: int, reply: ErrorReply, now_s: float) -> list[Effect]:
        """The organization's backend answered a connect with an error of its own."""
        handshake = self._under_way
        return [] if handshake is None else self._unopened(handshake.failed(id_, reply, now_s))

    @property
    def _under_way(self) -> Handshake | None:
        """The handshake, while a connect is being decided."""
        handshake = self._handshake
        return None if handshake is None or self._is_closed or not handshake.is_under_way else handshake

    def _unopened(self, effect: Send | Close) -> list[Effect]:
        if isinstance(effect, Send):
            self._members = None  # as if nobody had come
        return self._heeded([effect])

    def of_channel(self, decide: Callable[[Membership], list[Effect]]) -> list[Effect]:
        """Report what came of effects on channels; nothing matters any more once it is closed.

        `decide` calls one method of the membership.
        """
        members = self._members
        if members is None or self._handshake is not None or self._is_closed:
            return []
        return self._heeded(decide(members))

    def refreshed(self, id_: int, principal: Principal, at: Moment) -> list[Effect]:
        """The new token was good: the connection lives on, if user and live channels are the same."""
        if not self.is_connected:
            return []
        members = self._known
        end = objection_to(members, principal)
        if end is not None:
            return self._heeded([end])
        members.asking = replace(members.asking, principal=principal)
        return [Send(id_, Refreshed(self._client, self._last_as(principal, at)))]

    def refresh_refused(self, id_: int, error: TidingsError) -> list[Effect]:
        """The new token was refused: unless the fault is ours, that ends the client for good."""
        return self._heeded([failure_of(id_, error)]) if self.is_connected else []

    # --- what the organization's backend orders

    def prolonged(self, principal: Principal | None, at: Moment, *, silently: bool = False) -> list[Effect]:
        """Live on as this principal, whose expiry is another; None: it ends now.

        `silently`: the client is not told.
        """
        if not self.is_connected:
            return []
        if principal is None:
            return self._heeded([Close(CONNECTION_EXPIRED)])
        members = self._known
        members.asking = replace(members.asking, principal=principal)
        ttl_s = self._lifetime.last_until(principal.expires_at, at)
        return [] if silently else [SendPush(ConnectionRefreshed(ttl_s))]

    def governed(self, organization: Organization) -> None:
        """Go by the organization's options as they are now; what was granted stays granted."""
        if self._members is not None:
            self._members.asking = replace(self._members.asking, organization=organization)

    # --- time

    @property
    def due_s(self) -> float:
        """When `tick` has something to do next, on the monotonic clock; never for one that is closed."""
        if self._is_closed:
            return inf
        if self._handshake is not None:
            return self._handshake.due_s
        return min(self._pulse.due_s, self._lifetime.due_s, self._known.subscriptions.due_s)

    def tick(self, now_s: float, *, is_read: bool = True) -> list[Effect]:
        """Do what is due: ping, or end what is silent, stale or expired.

        `is_read`: what the client says comes through; else its pong may wait with the rest of it.
        """
        if self._is_closed:
            return []
        if self._handshake is not None:
            return self._heeded(self._handshake.tick(now_s))
        over = self._lifetime.tick(now_s)
        if over:
            return self._heeded(over)
        effects = self._heeded(self._known.expire(now_s))
        if self.is_connected:
            effects = [*effects, *self._heeded(self._pulse.tick(now_s, is_read=is_read))]
        return effects

    # --- the end

    def ended(self, code: int, reason: str = "") -> list[Effect]:
        """End the connection, as somebody else wants it."""
        return [] if self._is_closed else self._heeded([Close(code, reason)])

    def close(self) -> None:
        """The transport ended."""
        self._is_closed = True

    def _heeded(self, effects: list[Effect]) -> list[Effect]:
        """Return these effects; where the last of them ends the connection it is closed."""
        if effects and type(effects[-1]) is Close:
            self._is_closed = True
        return effects

    @property
    def _known(self) -> Membership:
        """What it has to do with channels; asked of none that is not connected."""
        assert self._members is not None  # noqa: S101 (set before the handshake ends)
        return self._members

"""One client, from its first byte to its last, without I/O.

Feed it the client's commands and the time; run the effects that it returns, in order, and report back
what came of those that need others (`connected`, `joined`, `finished`, …). It knows frames and positions,
and neither JSON nor WebSocket.

States: FRESH → CONNECTING → CONNECTED → CLOSED. Commands that arrive while connecting wait. What names one
channel takes effect in the order received: everything waits for a subscribe of that channel still in
progress, and what is no publish for the publishes before it; publishes alone go on together.
"""

from collections import deque
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import Final

from core.auth.access import refusal_to_publish, refusal_to_read_history, refusal_to_subscribe
from core.auth.principal import Organization, Principal
from core.connections.codes import (
    BAD_REQUEST,
    CONNECTION_EXPIRED,
    INVALID_TOKEN,
    NO_PONG,
    NOT_AVAILABLE,
    STALE,
)
from core.connections.frames import (
    Command,
    Connect,
    Connected,
    ErrorReply,
    History,
    Pong,
    Publish,
    Refresh,
    Refreshed,
    Reply,
    Subscribe,
    Unserved,
    Unsubscribe,
    Unsubscribed,
)
from core.errors import REGISTRY, Code, TidingsError
from core.instants import MICROSECONDS, Instant
from core.streams.idempotency import is_key


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
class Authenticate:
    """Verify who connects; report `connected` or `refused`."""

    id: int
    token: str


@dataclass(frozen=True, slots=True)
class Reauthenticate:
    """Verify a new token; report `refreshed` or `refresh_refused`."""

    id: int
    token: str


@dataclass(frozen=True, slots=True)
class Join:
    """Subscribe; when the reply is on its way report `finished`, or `join_failed`."""

    command: Subscribe


@dataclass(frozen=True, slots=True)
class Leave:
    """End a subscription at once; its reply follows as the next effect."""

    channel: str


@dataclass(frozen=True, slots=True)
class Write:
    """Publish, and reply when it is durable."""

    command: Publish


@dataclass(frozen=True, slots=True)
class Read:
    """Read a channel's history, and reply."""

    command: History


@dataclass(frozen=True, slots=True)
class Send:
    """Send a reply."""

    id: int
    reply: Reply


@dataclass(frozen=True, slots=True)
class Ping:
    """Send a ping."""


@dataclass(frozen=True, slots=True)
class Close:
    """End the connection with this code; nothing follows."""

    code: int


ChannelCommand = Subscribe | Unsubscribe | Publish | History
Effect = Authenticate | Reauthenticate | Join | Leave | Write | Read | Send | Ping | Close


class _State(Enum):
    FRESH = 1
    CONNECTING = 2
    CONNECTED = 3
    CLOSED = 4


_EXPIRED: Final = frozenset({Code.CREDENTIAL_EXPIRED, Code.EXPIRED})
_MAP_REFUSED: Final = 103
_UNSERVED: Final = 108


class Connection:
    """The state of one client.

    Args:
        client: its id: a new UUID.
        limits: of this installation.
        namespaces: known ones: the names of the resource types.
        now_s: monotonic time.
    """

    __slots__ = (
        "_awaiting_pong", "_busy", "_client", "_expires_at", "_held", "_limits", "_namespaces", "_ping_at",
        "_stale_at", "_state", "_writing", "organization", "principal", "subscriptions",
    )  # fmt: skip

    def __init__(self, client: str, limits: Limits, namespaces: AbstractSet[str], now_s: float) -> None:
        self._client = client
        self._limits = limits
        self._namespaces = namespaces
        self._state = _State.FRESH
        self._stale_at: float = now_s + limits.connect_s
        self._ping_at: float = 0.0
        self._awaiting_pong = False
        self._expires_at: float | None = None
        self._held: list[Command] | None = None
        self._busy: dict[str, deque[ChannelCommand]] | None = None
        self._writing: dict[str, int] | None = None
        self.subscriptions: set[str] = set()
        self.principal: Principal | None = None
        self.organization: Organization | None = None

    @property
    def client(self) -> str:
        """The id that the server gave this client."""
        return self._client

    @property
    def is_closed(self) -> bool:
        """Whether nothing may be sent any more."""
        return self._state is _State.CLOSED

    # --- what the client says

    def receive(self, commands: Iterable[Command]) -> list[Effect]:
        """Take the commands of one frame, in order."""
        effects: list[Effect] = []
        for command in commands:
            if self._state is _State.CLOSED:
                break
            effects += self._receive(command)
        return effects

    def _receive(self, command: Command) -> list[Effect]:
        if self._state is _State.CONNECTED:
            return self._serve(command)
        if self._state is _State.FRESH:
            if not isinstance(command, Connect) or self._held is not None:
                return self._close(BAD_REQUEST)
            self._state = _State.CONNECTING
            self._stale_at = inf  # from here on it is us who take the time
            self._held = []
            return [Authenticate(command.id, command.token)]
        assert self._held is not None  # noqa: S101 (set with CONNECTING)
        if isinstance(command, Connect) or len(self._held) >= self._limits.pending_commands_max:
            return self._close(BAD_REQUEST)
        self._held.append(command)
        return []

    def _serve(self, command: Command) -> list[Effect]:
        match command:
            case Pong():
                return self._pong()
            case Connect():
                return self._close(BAD_REQUEST)
            case Refresh():
                return self._refresh(command)
            case Subscribe() | Unsubscribe() | Publish() | History():
                return self._on_channel(command)
            case Unserved():
                return self._refuse_unserved(command)

    def _on_channel(self, command: ChannelCommand) -> list[Effect]:
        line = None if self._busy is None else self._busy.get(command.channel)
        if line is None:
            if not self._must_wait(command):
                return self._act(command)
            line = self._line(command.channel)
        if len(line) >= self._limits.pending_commands_max:
            return self._close(BAD_REQUEST)
        line.append(command)
        return []

    def _must_wait(self, command: ChannelCommand) -> bool:
        """Say whether publishes of its channel are on their way that it must not overtake."""
        return self._writing is not None and command.channel in self._writing and type(command) is not Publish

    def _line(self, channel: str) -> deque[ChannelCommand]:
        if self._busy is None:
            self._busy = {}
        return self._busy.setdefault(channel, deque())

    def _act(self, command: ChannelCommand) -> list[Effect]:
        principal, organization = self.principal, self.organization
        assert principal is not None  # noqa: S101 (set with CONNECTED)
        assert organization is not None  # noqa: S101 (set with CONNECTED)
        who = (principal, organization, command.channel, self._namespaces)
        match command:
            case Subscribe():
                return self._subscribe(command, refusal_to_subscribe(*who))
            case Unsubscribe():
                left: list[Effect] = [Leave(command.channel)] if command.channel in self.subscriptions else []
                self.subscriptions.discard(command.channel)
                return [*left, Send(command.id, Unsubscribed())]
            case Publish():
                refusal = refusal_to_publish(*who)
                is_bad = not command.data or (command.idempotency_key and not is_key(command.idempotency_key))
                if is_bad and refusal in (None, Code.PERMISSION_DENIED):
                    refusal = Code.VALIDATION_FAILED  # a bad request, to whomever
                if refusal is not None:
                    return [_error(command.id, refusal)]
                if self._writing is None:
                    self._writing = {}
                self._writing[command.channel] = self._writing.get(command.channel, 0) + 1
                return [Write(command)]
            case History():
                refusal = refusal_to_read_history(*who)
                if (
                    refusal is None
                    and command.reverse
                    and command.since is not None
                    and not command.since.number
                ):
                    refusal = Code.VALIDATION_FAILED
                return [Read(command)] if refusal is None else [_error(command.id, refusal)]

    def _subscribe(self, command: Subscribe, refusal: Code | None) -> list[Effect]:
        if command.channel in self.subscriptions:
            refusal = Code.ALREADY_SUBSCRIBED
        elif refusal is None and len(self.subscriptions) >= self._limits.channels_max:
            refusal = Code.LIMIT_EXCEEDED
        if refusal is not None:
            return [_error(command.id, refusal)]
        self.subscriptions.add(command.channel)
        self._line(command.channel)
        return [Join(command)]

    def _pong(self) -> list[Effect]:
        if not self._awaiting_pong:
            return self._close(BAD_REQUEST)
        self._awaiting_pong = False
        self._ping_at += self._limits.ping_s - self._limits.pong_s
        return []

    def _refresh(self, command: Refresh) -> list[Effect]:
        if not command.token or self._expires_at is None:
            return self._close(BAD_REQUEST)
        return [Reauthenticate(command.id, command.token)]

    def _refuse_unserved(self, command: Unserved) -> list[Effect]:
        if command.method == "send":
            return self._close(NOT_AVAILABLE)
        if command.method == "ping":
            return self._close(BAD_REQUEST)
        if command.method == "sub_refresh":  # no subscription has an expiry of its own
            return self._close(BAD_REQUEST)
        return [Send(command.id, ErrorReply(_MAP_REFUSED if command.method == "map" else _UNSERVED))]

    # --- what became of effects

    def connected(
        self,
        id_: int,
        principal: Principal,
        organization: Organization,
        now_s: float,
        now: Instant,
        jitter: float,
    ) -> list[Effect]:
        """The credential was good: reply, and serve what was waiting.

        The first ping comes after half to one interval.
        """
        if self._state is not _State.CONNECTING:
            return []
        self._state = _State.CONNECTED
        self.principal, self.organization = principal, organization
        self._ping_at = now_s + self._limits.ping_s * (0.5 + jitter / 2)
        ttl_s = self._learn_expiry(principal, now_s, now)
        held, self._held = self._held or [], None
        reply = Send(id_, Connected(self._client, round(self._limits.ping_s), ttl_s))
        return [reply, *self.receive(held)]

    def _learn_expiry(self, principal: Principal, now_s: float, now: Instant) -> int | None:
        if principal.expires_at is None:
            self._expires_at = None
            return None
        left_s = (principal.expires_at - now) / MICROSECONDS
        self._expires_at = now_s + left_s
        return max(1, int(left_s)) if principal.refreshable else None

    def refused(self, id_: int, error: TidingsError, now_s: float) -> list[Effect]:
        """The credential was refused: an expired one may be renewed, a bad one ends the connection."""
        if self._state is not _State.CONNECTING:
            return []
        row = error.row
        if error.code in _EXPIRED or row.retry != "never":
            # Unusable from here: the next command is a violation, silence ends with the stale timer.
            self._state, self._stale_at = _State.FRESH, now_s + self._limits.connect_s
            return [Send(id_, ErrorReply(row.realtime))]
        return self._close(row.close)

    def refreshed(self, id_: int, principal: Principal, now_s: float, now: Instant) -> list[Effect]:
        """The new token was good: the connection lives on, if it is the same user's."""
        if self._state is not _State.CONNECTED or self.principal is None:
            return []
        if (principal.id, principal.organization_id) != (self.principal.id, self.principal.organization_id):
            return self._close(INVALID_TOKEN)
        self.principal = principal
        return [Send(id_, Refreshed(self._client, self._learn_expiry(principal, now_s, now)))]

    def refresh_refused(self, id_: int, error: TidingsError) -> list[Effect]:
        """The new token was refused.

        A failure of our own is answered as temporary; anything else ends the client for good.
        """
        if self._state is not _State.CONNECTED:
            return []
        if error.row.retry != "never":
            return [Send(id_, ErrorReply(100))]
        if error.code is Code.EXPIRED:
            return [_error(id_, error.code)]
        return self._close(CONNECTION_EXPIRED if error.code is Code.CREDENTIAL_EXPIRED else INVALID_TOKEN)

    def finished(self, channel: str) -> list[Effect]:
        """The subscribe of a channel is answered: what waited for it takes its turn."""
        effects: list[Effect] = []
        line = self._busy.pop(channel, None) if self._busy is not None else None
        self._busy = self._busy or None  # thousands of idle clients need none
        while line and self._state is _State.CONNECTED:
            if self._must_wait(line[0]):
                self._line(channel).extend(line)
                return effects
            command = line.popleft()
            effects += self._act(command)
            if self._busy is not None and channel in self._busy:
                self._busy[channel].extend(line)  # a subscribe has begun anew: the rest goes on waiting
                return effects
        return effects

    def written(self, channel: str) -> list[Effect]:
        """A publish to a channel is answered: when it was the last on its way, what waited takes its turn."""
        assert self._writing is not None  # noqa: S101 (set with the `Write` that was answered)
        self._writing[channel] -= 1
        if self._writing[channel]:
            return []
        del self._writing[channel]
        self._writing = self._writing or None
        return self.finished(channel)

    def join_failed(self, id_: int, channel: str, code: Code) -> list[Effect]:
        """The subscribe was refused by what was read, or could not be read."""
        self.subscriptions.discard(channel)
        if self._state is not _State.CONNECTED:
            return []
        return [_error(id_, code), *self.finished(channel)]

    def unsubscribed(self, channel: str) -> None:
        """The server itself ended a subscription."""
        self.subscriptions.discard(channel)

    # --- time

    @property
    def due_s(self) -> float:
        """When `tick` has something to do next, on the monotonic clock."""
        if self._state is not _State.CONNECTED:
            return self._stale_at
        if self._expires_at is None:
            return self._ping_at
        return min(self._ping_at, self._expires_at + self._limits.expiry_grace_s)

    def tick(self, now_s: float) -> list[Effect]:
        """Do what is due: ping, or end a connection that is silent, stale or expired."""
        if self._state is _State.CLOSED:
            return []
        if self._state is not _State.CONNECTED:
            return self._close(STALE) if now_s >= self._stale_at else []
        if self._expires_at is not None and now_s >= self._expires_at + self._limits.expiry_grace_s:
            return self._close(CONNECTION_EXPIRED)
        if now_s < self._ping_at:
            return []
        if self._awaiting_pong:
            return self._close(NO_PONG)
        self._awaiting_pong = True
        self._ping_at = now_s + self._limits.pong_s
        return [Ping()]

    def _close(self, code: int) -> list[Effect]:
        self._state = _State.CLOSED
        return [Close(code)]

    def close(self) -> None:
        """The transport ended."""
        self._state = _State.CLOSED


def _error(id_: int, code: Code) -> Send:
    return Send(id_, ErrorReply(REGISTRY[code].realtime))

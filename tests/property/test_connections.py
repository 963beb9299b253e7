"""Whatever is said in whatever order: commands keep their order, each is answered, it all ends once.

Beside the machine stands a shell that carries its effects out in any order, well or badly.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from core.auth.principal import Principal
from core.auth.tokens import SubClaims
from core.connections.admission import Terms
from core.connections.connection import Limits
from core.connections.effects import (
    Admit,
    AskToStay,
    Authenticate,
    Call,
    Close,
    Effect,
    Join,
    Leave,
    Open,
    Ping,
    Read,
    Reauthenticate,
    Renew,
    See,
    Send,
    Write,
)
from core.connections.frames import (
    Connect,
    ErrorReply,
    History,
    Message,
    Pong,
    Presence,
    PresenceStats,
    Publish,
    Refresh,
    Rpc,
    Since,
    SubRefresh,
    Subscribe,
    Subscribed,
    Unserved,
    Unsubscribe,
)
from core.errors import Code, TidingsError
from tests.helpers.connections import (
    ANN,
    ANONYMOUS,
    KEY,
    LIMITS,
    PERSONAL,
    A,
    B,
    fresh,
    instant,
    moment,
    until,
)

CHANNELS = [A, B, "chat:a", "asking:a", "$room:1", "closed:a", "unknown:a"]
COMMANDS: list[Callable[[int, str], Any]] = [
    Subscribe,
    lambda id_, channel: Subscribe(id_, channel, token="token"),  # noqa: S106 (no secret)
    lambda id_, channel: Subscribe(id_, channel, delta=True, join_leave=True),
    Unsubscribe,
    lambda id_, channel: Publish(id_, channel, b"1"),
    History,
    Presence,
    PresenceStats,
    lambda id_, channel: SubRefresh(id_, channel, "token"),
]
OTHERS: list[Callable[[int], Any]] = [
    lambda id_: SubRefresh(id_, "", "token"),
    lambda id_: Refresh(id_, "token"),
    lambda id_: Rpc(id_, "sum"),
    lambda id_: Unserved(id_, "map"),
]
RARE: list[Callable[[int], Any]] = [
    lambda _: Message(b"1"),
    lambda _: Pong(),
    Connect,
    lambda id_: Refresh(id_, ""),
]


def commands_on(*channels: str, kinds: list[Any] = COMMANDS) -> st.SearchStrategy[Any]:
    return st.builds(
        lambda make, channel: lambda id_: make(id_, channel),
        st.sampled_from(kinds),
        st.sampled_from(channels),
    )


PATIENT = replace(LIMITS, pending_commands_max=12)
SETTLE = st.tuples(st.just("settle"), st.integers(0, 9), st.sampled_from(["well"] * 4 + ["badly", "ours"]))
WELL = st.tuples(st.just("settle"), st.integers(0, 9), st.sampled_from(["well", "well", "ours"]))
ORDER = st.tuples(st.sampled_from(["evict", "add"]), st.sampled_from(["", *CHANNELS]))
SECONDS = st.floats(0.1, 9)
OTHER = st.sampled_from(OTHERS)
ANYTHING = st.lists(
    st.one_of([commands_on(*CHANNELS)] * 4 + [SETTLE] * 3 + [OTHER, st.sampled_from(RARE), ORDER, SECONDS]),
    min_size=20,
    max_size=60,
)
TOKENED = [*COMMANDS[1:2], *COMMANDS[3:]]
"""With subscriptions that can be renewed; a renewal of any other ends the connection."""
UNTOKENED = [command for command in COMMANDS[:-1] if command is not COMMANDS[1]]
BUSY = [(A, TOKENED), ("$room:1", TOKENED), ("asking:a", UNTOKENED), ("chat:a", UNTOKENED), (B, UNTOKENED)]
ORDERLY = st.sampled_from(BUSY).flatmap(
    lambda busy: st.lists(
        st.one_of([commands_on(busy[0], kinds=busy[1])] * 4 + [OTHER] + [WELL] * 5 + [ORDER, SECONDS]),
        min_size=20,
        max_size=60,
    )
)
PRINCIPALS = st.sampled_from(
    [
        ANN,
        ANONYMOUS,
        KEY,
        until(30),
        until(5, refreshable=False),
        replace(ANN, channels=(A, "chat:a")),
        replace(until(30), subs={B: SubClaims(expires_at=instant(9))}),
        replace(ANN, channels=("unknown:a",)),
    ]
)


class Shell:
    """Carries out what a connection wants, and keeps account of it."""

    def __init__(
        self,
        principal: Principal,
        *,
        asks_to_stay: bool = False,
        answers_pings: bool = False,
        limits: Limits = LIMITS,
        **manner: bool,
    ) -> None:
        self.connection = fresh(limits, **manner)
        self.limits = limits
        self.principal = principal
        self.asks_to_stay = asks_to_stay
        self.answers_pings = answers_pings
        self.now_s = 0.0
        self.effects: list[Effect] = []
        self.pending: list[Effect] = []
        self.sent: dict[int, Any] = {}
        self.served: list[int] = []
        """Commands in the order in which they took effect."""
        self.answered: Counter[int] = Counter()

    def say(self, command: Any) -> None:
        if not self.connection.is_closed:
            self.sent[len(self.sent) + 1] = command
        self.take(self.connection.receive([command]))

    def take(self, effects: list[Effect]) -> None:
        ended = bool(self.effects) and isinstance(self.effects[-1], Close)
        assert not (ended and effects)
        assert all(not isinstance(effect, Close) for effect in effects[:-1])
        self.effects += effects
        for effect in effects:
            id_ = id_of(effect)
            if id_:
                self.check_turn(id_)
                if id_ not in self.served:
                    self.served.append(id_)
                self.answered[id_] += isinstance(effect, Send)
            if isinstance(effect, WAITING) and not (isinstance(effect, Leave) and not effect.id):
                self.pending.append(effect)
        self.check()

    def check_turn(self, id_: int) -> None:
        """Nothing takes effect while something of its channel is under way that it must not overtake."""
        command = self.sent[id_]
        channel = getattr(command, "channel", "")
        for effect in self.pending if channel else ():
            if channel_of(effect) == channel and id_of(effect) != id_:
                assert isinstance(effect, Write)
                assert isinstance(command, Publish)
                assert not effect.ask_backend

    def check(self) -> None:
        connection = self.connection
        assert connection.is_closed == (bool(self.effects) and isinstance(self.effects[-1], Close))
        assert max(self.answered.values(), default=0) <= 1
        if connection.is_closed:
            return
        if connection.subscriptions is not None:
            assert len(connection.subscriptions) <= self.limits.channels_max
        late = [said for id_, said in self.sent.items() if id_ not in self.served and hasattr(said, "id")]
        waiting = Counter(getattr(said, "channel", "") for said in late)
        if connection.is_connected:
            assert max(waiting.values(), default=0) <= self.limits.pending_commands_max
            assert set(waiting) <= {channel_of(effect) for effect in self.pending}
        else:
            assert waiting.total() <= self.limits.pending_commands_max

    def order(self, kind: str, channel: str) -> None:
        if kind == "evict":
            self.take(self.connection.of_channel(lambda members: members.evicted(channel, 2000)))
        elif channel:
            command, terms = Subscribe(0, channel), Terms(channel, expires_at=self._soon())
            self.take(self.connection.of_channel(lambda members: members.added(command, terms, self._at())))

    def tick(self, passed_s: float) -> None:
        self.now_s += passed_s
        for _ in range(3):
            effects = self.connection.tick(self.now_s)
            self.take(effects)
            if self.answers_pings and any(isinstance(effect, Ping) for effect in effects):
                self.take(self.connection.receive([Pong()]))
        assert self.connection.is_closed or self.connection.due_s > self.now_s

    def settle(self, number: int, how: str) -> None:
        if self.pending and not self.connection.is_closed:
            effect = self.pending.pop(number % len(self.pending))
            if isinstance(effect, Write | Read | See | Call):
                self.answered[effect.command.id] += 1
            self.take(self._report(effect, how))

    def _at(self) -> Any:
        return moment(self.now_s)

    def _soon(self) -> Any:
        return instant(self.now_s + 5)

    def _report(self, effect: Effect, how: str) -> list[Effect]:
        connection, error = self.connection, TidingsError(_ERRORS.get(how, Code.UNAVAILABLE))
        is_well, at = how == "well", self._at()
        match effect:
            case Authenticate(command) if is_well:
                return connection.connected(
                    command, self.principal, PERSONAL, at=at, asks_to_stay=self.asks_to_stay
                )
            case Authenticate(Connect(id=id_)) | Open(id_) if not is_well:
                return connection.refused(id_, error, self.now_s)
            case Open(id_, joins):
                subs = {join.command.channel: Subscribed("e", 0) for join in joins}
                return connection.opened(id_, subs, at=at)
            case Reauthenticate(id_):
                new = replace(self.principal, expires_at=self._soon())
                return (
                    connection.refreshed(id_, new, at) if is_well else connection.refresh_refused(id_, error)
                )
            case AskToStay():
                kept = replace(self.principal, expires_at=self._soon()) if how != "badly" else None
                return connection.prolonged(kept, at, silently=is_well)
            case _:
                return connection.of_channel(lambda members: self._on_channel(members, effect, how))

    def _on_channel(self, members: Any, effect: Effect, how: str) -> list[Effect]:
        is_well, error, effects = (
            how == "well",
            TidingsError(_ERRORS.get(how, Code.UNAVAILABLE)),
            list[Effect](),
        )
        match effect:
            case Admit(command):
                terms = Terms(command.channel, expires_at=self._soon(), is_refreshable=True)
                refusal = ErrorReply(103)
                effects = (
                    members.admitted(command, terms, self._at())
                    if is_well
                    else members.not_admitted(command, refusal)
                )
            case Join(command) if is_well:
                self.answered[command.id] += bool(command.id)
                effects = members.finished(command.channel)
            case Join(command):
                effects = members.join_failed(command.id, command.channel, Code.UNRECOVERABLE_POSITION)
            case Leave(channel, _, id_):
                effects = members.left(id_, channel)
            case Renew(command):
                terms = Terms(command.channel or "$room:1", expires_at=self._soon(), is_refreshable=True)
                effects = (
                    members.renewed(command, terms, self._at())
                    if is_well
                    else members.not_renewed(command, error)
                )
            case Write(command):
                effects = members.written(command.channel)
            case Read(command) | See(command):
                effects = members.finished(command.channel)
        return effects

    def drain(self) -> None:
        """Carry out everything that is wanted, until there is nothing more."""
        for _ in range(10_000):
            if not self.pending or self.connection.is_closed:
                return
            self.settle(0, "well")
        raise AssertionError(self.pending)


WAITING = (
    Authenticate
    | Reauthenticate
    | AskToStay
    | Open
    | Admit
    | Join
    | Leave
    | Renew
    | Write
    | Read
    | See
    | Call
)
_ERRORS = {"badly": Code.CREDENTIAL_INVALID, "ours": Code.UNAVAILABLE}


def id_of(effect: Effect) -> int:
    """Return the command that an effect is for; 0: none."""
    match effect:
        case (
            Authenticate(command) | Admit(command) | Join(command) | Renew(command) | Write(command)
            | Read(command) | See(command) | Call(command)
        ):  # fmt: skip
            return command.id
        case Send(id_) | Open(id_) | Reauthenticate(id_):
            return id_
        case Leave(id=id_):
            return id_
        case _:
            return 0


def channel_of(effect: Effect) -> str | None:
    """Return the channel that an effect under way belongs to."""
    command = getattr(effect, "command", effect)
    return getattr(command, "channel", None)


def live(shell: Shell, steps: list[Any]) -> None:
    """Let happen what is to happen; each command gets the next id."""
    for step in steps:
        match step:
            case ("settle", number, how):
                shell.settle(number, how)
            case (kind, channel):
                shell.order(kind, channel)
            case float():
                shell.tick(step)
            case _:
                shell.say(step(len(shell.sent) + 1))


@given(ANYTHING, PRINCIPALS, st.booleans())
def test_whatever_happens_the_machine_stays_within_its_limits_and_ends_once(
    steps: list[Any],
    principal: Principal,
    asks_to_stay: bool,  # noqa: FBT001 (hypothesis gives it)
) -> None:
    shell = Shell(principal, asks_to_stay=asks_to_stay)
    shell.say(Connect(1, subs={A: Since(), "closed:a": Since()}))
    live(shell, steps)


@given(ORDERLY)
def test_every_command_is_answered_once_and_those_of_a_channel_in_the_order_received(
    steps: list[Any],
) -> None:
    shell = Shell(until(300), limits=PATIENT, answers_pings=True)
    shell.say(Connect(1))
    shell.drain()
    live(shell, steps)
    shell.drain()
    for channel in CHANNELS:
        served = [id_ for id_ in shell.served if getattr(shell.sent[id_], "channel", "") == channel]
        assert served == sorted(served)
    if not shell.connection.is_closed and shell.connection.is_connected:
        expected = {id_ for id_, said in shell.sent.items() if hasattr(said, "id")}
        assert {id_ for id_, times in shell.answered.items() if times} == expected


@given(
    st.lists(st.one_of(SETTLE, ORDER, SECONDS), min_size=20, max_size=60),
    st.booleans(),
    PRINCIPALS,
)
def test_a_client_that_only_listens_gets_no_replies_and_ends_once(
    steps: list[Any],
    has_native_pings: bool,  # noqa: FBT001 (hypothesis gives it)
    principal: Principal,
) -> None:
    manner = {"is_unidirectional": True, "has_native_pings": has_native_pings}
    shell = Shell(principal, asks_to_stay=True, **manner)
    shell.say(Connect(1))
    live(shell, steps)
    assert not any(isinstance(effect, Send) for effect in shell.effects)

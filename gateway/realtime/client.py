"""Runs the effects of one client's state machine: between `core.connections` and the rest of the replica."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

import structlog
from msgspec.structs import replace

from core.connections.codec import ProtocolError
from core.connections.codes import (
    BAD_REQUEST,
    CONNECTION_CLOSED,
    INAPPROPRIATE_PROTOCOL,
    INSUFFICIENT_STATE,
    INTERNAL,
    UNSUBSCRIBE_INSUFFICIENT,
    close_reason,
)
from core.connections.connection import Connection
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
    SendPush,
    Tell,
    Write,
)
from core.connections.frames import (
    Connected,
    ConnectionOpened,
    Disconnected,
    ErrorReply,
    Pong,
    Push,
    Reply,
    SubscriptionEnded,
)
from core.connections.subscription import Grant
from gateway.realtime import admitting, calling, entering, serving
from gateway.realtime.channel import Channel
from gateway.realtime.feed import Feed
from gateway.realtime.forms import Form
from gateway.realtime.lane import Wire
from gateway.realtime.leaving import leave_all, take_leave
from gateway.realtime.opening import Opening
from gateway.realtime.participant import Participant
from gateway.realtime.parts import Replica

DRAIN_CHECK_S = 0.02
DRAIN_CHECK_MAX_S = 0.5
DRAIN_CHECK_GROWTH = 1.5
"""It is looked less and less often whether a client has read: thousands may read nothing, for as long as they
like."""


class Socket(Protocol):
    """What a transport does for a client."""

    form: Form
    """What messages look like on it."""
    wire: Wire
    """Takes frames that are made already and shared with others."""

    def send(self, messages: list[bytes]) -> None:
        """Send messages to this client alone."""
        ...

    def close(self, code: int, reason: str) -> None:
        """End the connection with a code of the protocol; 3000 without a word."""
        ...

    def pause(self) -> None:
        """Read nothing more from the client until `resume`."""
        ...

    def resume(self) -> None:
        """Read on."""
        ...

    def ping(self) -> None:
        """Send a ping of the transport's own, where it has any; `Client.pong` tells of the answer."""
        ...

    @property
    def unsent_bytes(self) -> int:
        """How much waits for the client to read."""
        ...


Waiting = Authenticate | Reauthenticate | AskToStay | Open | Admit | Join | Renew | Read | See | Call | Tell

_WORK: Final[dict[type[Waiting], tuple[str, Callable[[Participant, Any], Coroutine[Any, Any, None]]]]] = {
    Authenticate: ("connect", admitting.authenticate),
    Reauthenticate: ("refresh", admitting.reauthenticate),
    AskToStay: ("prolong", calling.ask_to_stay),
    Open: ("open", entering.open_all),
    Admit: ("admit", admitting.admit),
    Join: ("subscribe", entering.subscribe),
    Renew: ("renew", admitting.renew),
    Read: ("history", serving.read),
    See: ("presence", serving.see),
    Call: ("rpc", calling.call),
    Tell: ("send", calling.tell),
}
"""What each effect that must wait is carried out by, and the name of the task."""


class Client:
    """One connected client.

    Replies of one loop tick leave together; a subscribe reply is written before any push of its channel. With
    too many commands unanswered its socket is read no further.
    """

    __slots__ = (
        "_is_held", "_is_paused", "_outbox", "_page_turn", "_socket", "_unanswered", "connection", "counted",
        "due_slot", "feed", "opening", "replica", "seat", "session", "told",
    )  # fmt: skip

    def __init__(self, replica: Replica, socket: Socket, opening: Opening) -> None:
        self.replica = replica
        self.opening = opening
        self.connection = Connection(
            replica.new_client_id(),
            replica.limits,
            replica.manner_of(socket.form, opening),
            replica.types,
            replica.grants,
            replica.clock.monotonic(),
        )
        self.feed: Feed | None = None
        self.session = replica.new_session() if opening.has_session or opening.is_unidirectional else ""
        self.counted = ""
        """What its user's connections are counted under, if they are."""
        self.seat = ""
        """The user that it is found by (`Clients.seat`)."""
        self.told: set[str] | None = None
        """Channels in which others were told that it joined."""
        self._socket = socket
        self._outbox: list[bytes] | None = None
        self._page_turn: asyncio.Lock | None = None
        self._unanswered = 0
        self._is_paused = self._is_held = False
        self.due_slot = -1
        replica.clients.add(self)

    @property
    def client_id(self) -> str:
        """Its id: a UUID."""
        return self.connection.client

    @property
    def user(self) -> str:
        """Its user; "" before it is known."""
        asking = self.connection.asking
        return "" if asking is None else asking.principal.id

    @property
    def form(self) -> Form:
        """What its messages look like."""
        return self._socket.form

    @property
    def wire(self) -> Wire:
        """Where shared bytes go."""
        return self._socket.wire

    @property
    def due_s(self) -> float:
        """When `tick` is wanted next."""
        return self.connection.due_s

    # --- from the transport

    def receive(self, message: bytes) -> None:
        """Take one whole message of the client."""
        settings = self.replica.settings
        try:
            commands = self.form.codec.decode(message, settings.frame_commands_max)
        except ProtocolError:
            self.end(BAD_REQUEST)
            return
        for command in commands:
            if type(command) is not Pong:
                self._unanswered += 1
        if self._unanswered >= settings.pending_commands_max and not self._is_paused:
            self._is_paused = True
            if not self._is_held:
                self._socket.pause()
        self.run(self.connection.receive(commands))

    def pong(self) -> None:
        """The transport's own ping was answered."""
        self.connection.ponged()

    def tick(self) -> None:
        """Let time pass."""
        is_read = not (self._is_paused or self._is_held)
        self.run(self.connection.tick(self.replica.clock.monotonic(), is_read=is_read))

    def end(self, code: int, reason: str = "") -> None:
        """End the connection from our side; an empty reason stands for the code's own text."""
        self.run(self.connection.ended(code, reason))

    def lost(self) -> None:
        """The transport is gone: leave everything."""
        self.connection.close()
        self.replica.clients.remove(self)
        self.replica.wheel.remove(self)
        self.replica.chronicle.ended(self)
        leave_all(self)

    def evict(self, channel: str, code: int) -> None:
        """End a subscription, or with an empty channel all, because the organization's backend says so."""
        self.run(self.connection.of_channel(lambda members: members.evicted(channel, code)))

    def silence(self, feed: Feed) -> list[str]:
        """The log lost continuity, or has a hole that can't be filled: return the channels that end by it.

        Nothing of them is written any more. Those that still catch up find out by their own reading.
        """
        found = []
        for name in self.connection.subscriptions or ():
            channel = feed.channels.get(name)
            if channel is not None and channel.is_live(self):
                channel.leave(self)
                found.append(name)
        return found

    def broken(self, feed: Feed, silenced: list[str]) -> None:
        """Say so of the channels that were silenced, unless they have begun anew since."""
        for name in silenced:
            channel = feed.channels.get(name)
            if feed is self.feed and not (channel is not None and channel.has(self)):
                self.insufficient(feed, name)

    def insufficient(self, feed: Feed, name: str) -> None:
        """A subscription can't go on without a hole: the client must begin it anew."""
        subscriptions = self.connection.subscriptions
        grant = None if subscriptions is None else subscriptions.grant(name)
        if subscriptions is None or grant is None or self.connection.is_closed:
            return
        if grant.is_server_side:
            self.end(INSUFFICIENT_STATE)  # which takes leave of this one like of all others
            return
        subscriptions.drop(name)
        self.send_push(SubscriptionEnded(name, UNSUBSCRIBE_INSUFFICIENT))
        take_leave(self, feed, name, grant)

    # --- effects

    def run(self, effects: list[Effect]) -> None:
        """Do what the state machine wants, in order."""
        for effect in effects:
            match effect:
                case Send(id=id_, reply=reply):
                    if effect.refuses and type(reply) is ErrorReply:
                        self.replica.chronicle.refused(self, effect.refuses, reply.code)
                    self.reply(id_, reply)
                case SendPush(push=push):
                    self.send_push(push)
                case Write():
                    serving.write(self, effect)
                case Leave():
                    self._leave(effect)
                case Ping():
                    self._ping()
                case Close(code=code, reason=reason):
                    self._close(code, reason)
                case _:
                    self._begin(effect)

    def _begin(self, effect: Waiting) -> None:
        """Start what must wait for others."""
        name, work = _WORK[type(effect)]
        self.spawn(name, work(self, effect))

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Do something that must wait for others."""
        self.replica.tasks.spawn(name, self._guarded(name, work))

    async def _guarded(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Do it; who meets our own fault is told to come back, and never waits for an answer for ever."""
        try:
            await work
        except Exception:  # noqa: BLE001 (logged whole; whatever it is, this client alone starts anew)
            structlog.get_logger().exception("client.failed", doing=name)
            self.end(INTERNAL)

    def _leave(self, effect: Leave) -> None:
        if self.feed is None:
            return
        self.replica.chronicle.left(self, effect.channel)
        gone = take_leave(self, self.feed, effect.channel, effect.grant)
        if not effect.id:
            return
        if gone is None:
            self.run(self.connection.of_channel(lambda members: members.left(effect.id, effect.channel)))
        else:
            self.spawn("unsubscribe", self._left(effect, gone))

    async def _left(self, effect: Leave, gone: asyncio.Task[None]) -> None:
        await gone
        self.run(self.connection.of_channel(lambda members: members.left(effect.id, effect.channel)))

    def _ping(self) -> None:
        if self.opening.has_native_pings:
            self._socket.ping()
        else:
            self._queue(self.form.codec.ping)

    def _close(self, code: int, reason: str) -> None:
        # What was said before must still go out.
        said, self._outbox = self._outbox or [], None
        text = reason or close_reason(code)
        if not self.opening.has_close_frame and code != CONNECTION_CLOSED:
            said.append(self.form.codec.encode_push(Disconnected(code, text)))
        if said:
            self._socket.send(said)
        self.replica.chronicle.ended(self, code, text)
        leave_all(self)  # nothing follows
        self._socket.close(code, text)

    def refuse_payload(self) -> None:
        """A payload that is not JSON can't be shown to it: end it (`lane.Subscriber`)."""
        self.end(INAPPROPRIATE_PROTOCOL)

    # --- who can't follow

    def hold(self) -> None:
        """Read nothing more, since readers can't follow (`congestion.Publisher`)."""
        self._is_held = True
        if not self._is_paused:
            self._socket.pause()

    def release(self) -> None:
        """Read on (`congestion.Publisher`)."""
        self._is_held = False
        if not self._is_paused:
            self._socket.resume()

    def turn(self) -> asyncio.Lock:
        """Return what pages take turns by: only one waits for the client at any time."""
        if self._page_turn is None:
            self._page_turn = asyncio.Lock()
        return self._page_turn

    async def drained(self) -> None:
        """Return when one more page may wait for the client (`joining.Reading`)."""
        self.flush()
        page_bytes_max, pause_s = self.replica.settings.page_bytes_max, DRAIN_CHECK_S
        while self._socket.unsent_bytes > page_bytes_max and not self.connection.is_closed:
            await self.replica.clock.sleep(pause_s)
            pause_s = min(pause_s * DRAIN_CHECK_GROWTH, DRAIN_CHECK_MAX_S)

    # --- outbox

    def reply(self, id_: int, reply: Reply) -> None:
        """Answer one command."""
        if type(reply) is Connected and self.session:
            reply = replace(reply, session=self.session, node=self.replica.node)
        self.answered()
        if not self.connection.is_closed:
            self._queue(self.form.codec.encode_reply(id_, reply, self.replica.version))

    def answered(self) -> None:
        """One command less is to be answered."""
        self._unanswered -= 1
        if self._is_paused and 2 * self._unanswered <= self.replica.settings.pending_commands_max:
            self._is_paused = False
            if not self._is_held:
                self._socket.resume()

    def send_push(self, push: Push) -> None:
        """Send a push to this client alone."""
        if type(push) is ConnectionOpened:
            push = ConnectionOpened(replace(push.connected, session=self.session))
        elif type(push) is SubscriptionEnded:
            self.replica.chronicle.left(self, push.channel, push.code)
        if not self.connection.is_closed:
            self._queue(self.form.codec.encode_push(push))

    def push(self, messages: list[bytes]) -> None:
        """Send pushes of this client alone (`joining.Reading`, `lane.Subscriber`)."""
        for message in messages:
            self._queue(message)

    def go_live(self, channel: Channel, grant: Grant, messages: list[bytes], *, has_last: bool) -> None:
        """Send the last of its own pushes, and from then on what all get (`joining.Reading`)."""
        self.push(messages)
        self.flush()
        if not self.connection.is_closed:
            channel.go_live(self, grant, has_last=has_last)
            self.replica.chronicle.live(self, channel)

    def _queue(self, message: bytes) -> None:
        if self._outbox is None:
            self._outbox = [message]
            self.replica.flush_soon(self)
        else:
            self._outbox.append(message)

    def flush(self) -> None:
        """Send what this tick gathered."""
        messages, self._outbox = self._outbox, None
        if messages and not self.connection.is_closed:
            self._socket.send(messages)

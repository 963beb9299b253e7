"""Runs the effects of one client's state machine: between `core.connections` and the rest of the replica."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol, assert_never

import structlog

from core.connections.codec_json import ProtocolError, decode, encode_reply, encode_unsubscribe
from core.connections.codes import BAD_REQUEST, INTERNAL, UNSUBSCRIBE_INSUFFICIENT
from core.connections.connection import (
    Authenticate,
    Close,
    Connection,
    Effect,
    Join,
    Leave,
    Ping,
    Read,
    Reauthenticate,
    Send,
    Write,
)
from core.connections.frames import ErrorReply, Pong, Published, Reply
from core.errors import REGISTRY, Code, TidingsError
from core.streams.command import Command
from core.streams.command import Publish as PublishOperation
from core.streams.event import ClientInfo
from core.streams.outcome import Committed, Outcome, Refused, Unknown
from gateway.realtime.channel import Channel, Wire, joined
from gateway.realtime.feed import Feed
from gateway.realtime.joining import Joining
from gateway.realtime.parts import Replica
from gateway.realtime.reading import fingerprint_of, read_history
from gateway.realtime.subscribing import Beginning

PING = b"{}"
DRAIN_CHECK_S = 0.02


class Socket(Protocol):
    """What a transport does for a client."""

    wire: Wire
    """Takes frames that are made already and shared with others."""

    def send(self, payload: bytes) -> None:
        """Send one message to this client alone."""
        ...

    def close(self, code: int) -> None:
        """End the connection with a code of the protocol and its text."""
        ...

    def pause(self) -> None:
        """Read nothing more from the client until `resume`."""
        ...

    def resume(self) -> None:
        """Read on."""
        ...

    @property
    def unsent_bytes(self) -> int:
        """How much waits for the client to read."""
        ...


class Client:
    """One connected client.

    Replies of one loop tick leave together; a subscribe reply is written before any push of its channel. With
    too many commands unanswered its socket is read no further.
    """

    __slots__ = (
        "_authorization", "_connection", "_feed", "_is_held", "_is_paused", "_outbox", "_page_turn",
        "_replica", "_socket", "_unanswered", "due_slot",
    )  # fmt: skip

    def __init__(self, replica: Replica, socket: Socket, authorization: str | None) -> None:
        self._replica = replica
        self._socket = socket
        self._authorization = authorization
        self._connection = Connection(
            replica.new_client_id(), replica.limits, replica.namespaces, replica.clock.monotonic()
        )
        self._feed: Feed | None = None
        self._outbox: list[bytes] | None = None
        self._page_turn: asyncio.Lock | None = None
        self._unanswered = 0
        self._is_paused = self._is_held = False
        self.due_slot = -1

    @property
    def due_s(self) -> float:
        """When `tick` is wanted next."""
        return self._connection.due_s

    # --- from the transport

    def receive(self, message: bytes) -> None:
        """Take one whole message of the client."""
        try:
            commands = decode(message, self._replica.settings.frame_commands_max)
        except ProtocolError:
            self.end(BAD_REQUEST)
            return
        self._unanswered += sum(type(command) is not Pong for command in commands)
        if self._unanswered >= self._replica.settings.pending_commands_max and not self._is_paused:
            self._is_paused = True
            if not self._is_held:
                self._socket.pause()
        self._run(self._connection.receive(commands))

    def tick(self) -> None:
        """Let time pass."""
        if not (self._is_paused or self._is_held):  # a pong that we do not read is not missing
            self._run(self._connection.tick(self._replica.clock.monotonic()))

    def end(self, code: int) -> None:
        """End the connection from our side."""
        if not self._connection.is_closed:
            self._flush()
            self._connection.close()
            self._end(code)

    def lost(self) -> None:
        """The transport is gone: leave everything."""
        self._connection.close()
        self._leave_all()

    def _end(self, code: int) -> None:
        self._leave_all()  # nothing follows a close frame
        self._socket.close(code)

    def _leave_all(self) -> None:
        feed, self._feed = self._feed, None
        if feed is None:
            return
        for name in list(self._connection.subscriptions):
            self._leave(feed, name)
        self._replica.hub.leave(feed)

    def broken(self, feed: Feed) -> None:
        """The log lost continuity, or has a hole that can't be filled: say so, never skip it."""
        if feed is self._feed and not self._connection.is_closed:
            for name in list(self._connection.subscriptions):
                channel = feed.channels.get(name)
                if channel is not None and self in channel.live:
                    self._insufficient(feed, name)  # the others find out by their own reading

    def _insufficient(self, feed: Feed, name: str) -> None:
        self._leave(feed, name)
        self._connection.unsubscribed(name)
        self._queue(encode_unsubscribe(name, UNSUBSCRIBE_INSUFFICIENT))

    # --- effects

    def _run(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(id=id_, reply=reply):
                    self._reply(id_, reply)
                case Write():
                    self._write(effect)
                case Leave(channel=name):
                    if self._feed is not None:
                        self._leave(self._feed, name)
                case Ping():
                    self._queue(PING)
                case Close(code=code):
                    self._close(code)
                case Join() | Read() | Authenticate() | Reauthenticate():
                    self._begin(effect)
                case _:
                    assert_never(effect)

    def _begin(self, effect: Join | Read | Authenticate | Reauthenticate) -> None:
        """Start what must wait for others."""
        match effect:
            case Join():
                self._spawn("subscribe", self._join(effect))
            case Read():
                self._spawn("history", self._read(effect))
            case Authenticate():
                self._spawn("connect", self._authenticate(effect))
            case Reauthenticate():
                self._spawn("refresh", self._reauthenticate(effect))

    def _spawn(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        self._replica.tasks.spawn(name, self._guarded(name, work))

    async def _guarded(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Do it; who meets our own fault is told to come back, and never waits for an answer for ever."""
        try:
            await work
        except Exception:  # noqa: BLE001 (logged whole; whatever it is, this client alone starts anew)
            structlog.get_logger().exception("client.failed", doing=name)
            self.end(INTERNAL)

    def _close(self, code: int) -> None:
        # The state machine is closed already: what it said before must still go out.
        lines, self._outbox = self._outbox, None
        for message in self._messages(lines or []):
            self._socket.send(message)
        self._end(code)

    async def _authenticate(self, effect: Authenticate) -> None:
        replica, clock = self._replica, self._replica.clock
        try:
            principal, organization = await replica.authenticator.connection(
                effect.token, self._authorization
            )
        except (TidingsError, OSError) as error:
            self._run(self._connection.refused(effect.id, _known(error), clock.monotonic()))
            replica.wheel.add(self)
            return
        if self._connection.is_closed:
            return
        self._authorization = None
        self._feed = replica.hub.join(principal.organization_id)
        self._run(
            self._connection.connected(
                effect.id, principal, organization, clock.monotonic(), clock.now(), replica.entropy.jitter()
            )
        )
        replica.wheel.add(self)

    async def _reauthenticate(self, effect: Reauthenticate) -> None:
        clock = self._replica.clock
        try:
            principal, _ = await self._replica.authenticator.connection(effect.token, None)
        except (TidingsError, OSError) as error:
            self._run(self._connection.refresh_refused(effect.id, _known(error)))
            return
        self._run(self._connection.refreshed(effect.id, principal, clock.monotonic(), clock.now()))

    def _write(self, effect: Write) -> None:
        publish, principal = effect.command, self._connection.principal
        assert principal is not None  # noqa: S101 (only a connected client publishes)
        info = ClientInfo(principal.id, self._connection.client, principal.info)
        key = publish.idempotency_key
        command = Command(
            principal.organization_id,
            self._replica.entropy.id(),
            PublishOperation((publish.channel,), publish.data, info),
            self._replica.deadline_ms,
            key,
            fingerprint_of(publish.channel, publish.data) if key else b"",
            principal.id if principal.kind == "key" else "",
        )
        outcome = asyncio.ensure_future(self._replica.writer.submit(command))
        outcome.add_done_callback(
            lambda settled: self._written(publish.id, publish.channel, settled.result())
        )
        if self._feed is not None and self._feed.congestion.is_on:
            self._feed.congestion.hold(self)

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

    def _written(self, id_: int, channel: str, outcome: Outcome) -> None:
        self._reply(id_, _published(outcome))
        self._run(self._connection.written(channel))

    async def _read(self, effect: Read) -> None:
        feed = self._feed
        if feed is None:
            return
        async with self._turn():  # a page is read when the one before it has left
            await self.drained()
            try:
                page: Reply = await read_history(self._replica, feed, effect.command)
            except (TidingsError, OSError) as error:
                page = ErrorReply(_known(error).row.realtime)
            self._reply(effect.command.id, page)

    # --- subscriptions

    async def _join(self, effect: Join) -> None:
        command, feed = effect.command, self._feed
        if feed is None or self._connection.is_closed:
            return
        channel = feed.channel(command.channel)
        joining = Joining(self._replica, feed, channel, self, self)
        try:
            begun = await self._beginning(feed, channel, effect)
            while begun.head.epoch != feed.epoch:  # the log has changed under the reading
                begun = await self._beginning(feed, channel, effect)
        except (TidingsError, OSError) as error:
            if not joining.is_over():
                self._leave(feed, command.channel)
                self._run(self._connection.join_failed(command.id, command.channel, _known(error).code))
            return
        if joining.is_over():
            return
        self._reply(command.id, begun.reply)
        # What waited for the reply takes its turn before the catching up, and may be the end of it.
        self._run(self._connection.finished(command.channel))
        await joining.catch_up(begun, lambda: self._insufficient(feed, command.channel))

    async def _beginning(self, feed: Feed, channel: Channel, effect: Join) -> Beginning:
        command, reader = effect.command, self._replica.reader
        strict = command.reject_unrecoverable
        if command.since is None:
            return await reader.begin(feed, channel, None, strict=strict)
        # Subscriptions that recover take turns: only one page waits for the client at any time.
        async with self._turn():
            await self.drained()
            return await reader.begin(feed, channel, command.since, strict=strict)

    def _turn(self) -> asyncio.Lock:
        if self._page_turn is None:
            self._page_turn = asyncio.Lock()
        return self._page_turn

    def push(self, lines: list[bytes]) -> None:
        """Send pushes of this client alone (`joining.Reading`)."""
        for line in lines:
            self._queue(line)

    def go_live(self, channel: Channel, lines: list[bytes]) -> None:
        """Send the last of its own pushes, and from then on what all subscribers get (`joining.Reading`)."""
        channel.flush()  # what is gathered is for those who were there before
        self.push(lines)
        self._flush()
        channel.live[self] = self._socket.wire

    def _leave(self, feed: Feed, name: str) -> None:
        channel = feed.channels.get(name)
        if channel is not None:
            channel.catching.pop(self, None)
            channel.live.pop(self, None)
            feed.leave(channel)

    async def drained(self) -> None:
        """Return when one more page may wait for the client (`joining.Reading`)."""
        self._flush()
        while (
            self._socket.unsent_bytes > self._replica.settings.page_bytes_max
            and not self._connection.is_closed
        ):
            await self._replica.clock.sleep(DRAIN_CHECK_S)

    # --- outbox

    def _reply(self, id_: int, reply: Reply) -> None:
        self._unanswered -= 1
        if self._is_paused and 2 * self._unanswered <= self._replica.settings.pending_commands_max:
            self._is_paused = False
            if not self._is_held:
                self._socket.resume()
        if not self._connection.is_closed:
            self._queue(encode_reply(id_, reply, self._replica.version))

    def _queue(self, line: bytes) -> None:
        if self._outbox is None:
            self._outbox = [line]
            self._replica.flush_soon(self)
        else:
            self._outbox.append(line)

    def flush(self) -> None:
        """Send what this tick gathered."""
        self._flush()

    def _flush(self) -> None:
        lines, self._outbox = self._outbox, None
        if lines and not self._connection.is_closed:
            for message in self._messages(lines):
                self._socket.send(message)

    def _messages(self, lines: list[bytes]) -> list[bytes]:
        return joined(lines, self._replica.settings.frame_bytes_max)


def _known(error: TidingsError | OSError) -> TidingsError:
    return error if isinstance(error, TidingsError) else TidingsError(Code.UNAVAILABLE)


def _published(outcome: Outcome) -> Reply:
    match outcome:
        case Committed():
            return Published(outcome.epoch, outcome.offsets[0] if outcome.offsets else 0)
        case Refused():
            return ErrorReply(REGISTRY[Code(outcome.code)].realtime)
        case Unknown():
            return ErrorReply(100)

"""Runs the effects of one client's state machine.

The shell between `core.connections` and the rest of this replica.
"""

import asyncio
from typing import Protocol, assert_never

from core.connections.codec_json import ProtocolError, decode, encode_reply, encode_unsubscribe
from core.connections.codes import BAD_REQUEST, UNSUBSCRIBE_INSUFFICIENT
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
from core.connections.frames import ErrorReply, Published, Reply
from core.errors import REGISTRY, Code, TidingsError
from core.streams.command import Command
from core.streams.command import Publish as PublishOperation
from core.streams.event import ClientInfo
from core.streams.outcome import Committed, Outcome, Refused, Unknown
from gateway.realtime.channel import Catching, Channel, Wire
from gateway.realtime.feed import Feed
from gateway.realtime.parts import Replica
from gateway.realtime.reading import fingerprint_of, read_history
from gateway.realtime.subscribing import merged

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

    @property
    def unsent_bytes(self) -> int:
        """How much waits for the client to read."""
        ...


class Client:
    """One connected client.

    Replies of one loop tick leave in one message; a subscribe reply is written before any push of its
    channel.
    """

    __slots__ = ("_authorization", "_connection", "_feed", "_outbox", "_replica", "_socket", "due_slot")

    def __init__(self, replica: Replica, socket: Socket, authorization: str | None) -> None:
        self._replica = replica
        self._socket = socket
        self._authorization = authorization
        self._connection = Connection(
            replica.new_client_id(), replica.limits, replica.namespaces, replica.clock.monotonic()
        )
        self._feed: Feed | None = None
        self._outbox: list[bytes] | None = None
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
        self._run(self._connection.receive(commands))

    def tick(self) -> None:
        """Let time pass."""
        self._run(self._connection.tick(self._replica.clock.monotonic()))

    def end(self, code: int) -> None:
        """End the connection from our side."""
        if not self._connection.is_closed:
            self._flush()
            self._connection.close()
            self._socket.close(code)

    def lost(self) -> None:
        """The transport is gone: leave everything."""
        self._connection.close()
        feed = self._feed
        if feed is None:
            return
        self._feed = None
        for name in list(self._connection.subscriptions):
            self._leave(feed, name)
        self._replica.hub.leave(feed)

    def broken(self, feed: Feed) -> None:
        """The organization's log lost continuity, or has a hole that can't be filled: say so.

        Never skip it.
        """
        if feed is self._feed and not self._connection.is_closed:
            for name in list(self._connection.subscriptions):
                channel = feed.channels.get(name)
                if channel is None or self not in channel.live:
                    continue  # still catching up: its own reading finds out
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
                    self._socket_closed(code)
                case Join() | Read() | Authenticate() | Reauthenticate():
                    self._begin(effect)
                case _:
                    assert_never(effect)

    def _begin(self, effect: Join | Read | Authenticate | Reauthenticate) -> None:
        """Start what must wait for others."""
        tasks = self._replica.tasks
        match effect:
            case Join():
                tasks.spawn("subscribe", self._join(effect))
            case Read():
                tasks.spawn("history", self._read(effect))
            case Authenticate():
                tasks.spawn("connect", self._authenticate(effect))
            case Reauthenticate():
                tasks.spawn("refresh", self._reauthenticate(effect))

    def _socket_closed(self, code: int) -> None:
        # The state machine is closed already: what it said before must still go out.
        lines, self._outbox = self._outbox, None
        if lines:
            self._socket.send(b"\n".join(lines))
        self._socket.close(code)

    async def _authenticate(self, effect: Authenticate) -> None:
        replica = self._replica
        try:
            principal, organization = await replica.authenticator.connection(
                effect.token, self._authorization
            )
        except TidingsError as error:
            self._run(self._connection.refused(effect.id, error))
            return
        except OSError:
            self._run(self._connection.refused(effect.id, TidingsError(Code.UNAVAILABLE)))
            return
        if self._connection.is_closed:
            return
        self._authorization = None
        self._feed = replica.hub.join(principal.organization_id)
        clock = replica.clock
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
        except TidingsError as error:
            self._run(self._connection.refresh_refused(effect.id, error))
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
        outcome = self._replica.writer.submit(command)
        asyncio.ensure_future(outcome).add_done_callback(
            lambda settled: self._reply(publish.id, _published(settled.result()))
        )

    async def _read(self, effect: Read) -> None:
        feed = self._feed
        if feed is None:
            return
        try:
            page = await read_history(self._replica, feed, effect.command)
        except TidingsError as error:
            self._reply(effect.command.id, ErrorReply(error.row.realtime))
            return
        self._reply(effect.command.id, page)

    # --- subscriptions

    async def _join(self, effect: Join) -> None:
        command, feed = effect.command, self._feed
        if feed is None or self._connection.is_closed:
            return
        channel = feed.channel(command.channel)
        catching = self._register(channel)
        try:
            begun = await self._replica.reader.begin(
                feed, channel, command.since, strict=command.reject_unrecoverable
            )
        except (TidingsError, OSError) as error:
            code = error.code if isinstance(error, TidingsError) else Code.UNAVAILABLE
            self._leave(feed, command.channel)
            self._run(self._connection.join_failed(command.id, command.channel, code))
            return
        if not self._is_joining(channel, catching):
            return
        self._reply(command.id, begun.reply)
        effects = self._connection.finished(command.channel)
        try:
            await self._catch_up(feed, channel, catching, begun.offset, begun.head.seq, more=begun.more)
        except (TidingsError, OSError):
            # The log can't be read now: the client comes back with the position that it has.
            self._leave(feed, command.channel)
            self._connection.unsubscribed(command.channel)
            self._queue(encode_unsubscribe(command.channel, UNSUBSCRIBE_INSUFFICIENT))
        self._run(effects)

    def _register(self, channel: Channel) -> Catching:
        catching = Catching(self._replica.settings.noted_events_max)
        channel.catching[self] = catching
        return catching

    def _is_joining(self, channel: Channel, catching: Catching) -> bool:
        return not self._connection.is_closed and channel.catching.get(self) is catching

    async def _catch_up(
        self, feed: Feed, channel: Channel, catching: Catching, offset: int, head_seq: int, *, more: bool
    ) -> None:
        """Bring the subscription from `offset` to the live stream."""
        while True:
            while more:
                # Nothing is noted while pages are left: only one page waits in the outbox, the log has
                # the rest.
                channel.catching[self] = catching = Catching(0)
                await self._drained()
                offset, catching, head_seq, more = await self._next_page(feed, channel, offset)
                if not self._is_joining(channel, catching):
                    return
            await feed.reached(head_seq)
            if not self._is_joining(channel, catching):
                return
            if not catching.overflowed:
                break
            more = True
        self._go_live(feed, channel, catching, offset)

    async def _next_page(self, feed: Feed, channel: Channel, offset: int) -> tuple[int, Catching, int, bool]:
        catching = self._register(channel)
        head = await feed.fresh_head()
        publications, more = await self._replica.reader.page(feed, channel.name, offset, head)
        if publications and not self._connection.is_closed:
            self._queue_all([channel.push_of(number, event) for number, event in publications])
            offset = publications[-1][0]
        return offset, catching, head.seq, more

    def _go_live(self, feed: Feed, channel: Channel, catching: Catching, offset: int) -> None:
        feed.flush_now(channel)
        for number, event in merged(catching, offset):
            self._queue(channel.push_of(number, event))
            offset = number
        self._flush()
        del channel.catching[self]
        channel.live[self] = self._socket.wire
        if channel.offset is None:
            channel.offset = offset

    def _leave(self, feed: Feed, name: str) -> None:
        channel = feed.channels.get(name)
        if channel is not None:
            channel.catching.pop(self, None)
            channel.live.pop(self, None)
            feed.leave(channel)

    async def _drained(self) -> None:
        self._flush()
        while (
            self._socket.unsent_bytes > self._replica.settings.page_bytes_max
            and not self._connection.is_closed
        ):
            await self._replica.clock.sleep(DRAIN_CHECK_S)

    # --- outbox

    def _reply(self, id_: int, reply: Reply) -> None:
        if not self._connection.is_closed:
            self._queue(encode_reply(id_, reply, self._replica.version))

    def _queue(self, line: bytes) -> None:
        if self._outbox is None:
            self._outbox = [line]
            self._replica.flush_soon(self)
        else:
            self._outbox.append(line)

    def _queue_all(self, lines: list[bytes]) -> None:
        for line in lines:
            self._queue(line)

    def flush(self) -> None:
        """Send what this tick gathered."""
        self._flush()

    def _flush(self) -> None:
        lines, self._outbox = self._outbox, None
        if lines and not self._connection.is_closed:
            self._socket.send(b"\n".join(lines))


def _published(outcome: Outcome) -> Reply:
    match outcome:
        case Committed():
            return Published(outcome.epoch, outcome.offsets[0] if outcome.offsets else 0)
        case Refused():
            return ErrorReply(REGISTRY[Code(outcome.code)].realtime)
        case Unknown():
            return ErrorReply(100)

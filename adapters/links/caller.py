"""The owner's end of one link: proves the caller, then serves him."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Protocol, assert_never

import msgspec
import structlog
from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from adapters.links.frames import (
    CALLER_FRAMES,
    Answer,
    AskHead,
    Failed,
    Find,
    Found,
    FromCaller,
    FromOwner,
    HeadIs,
    Submit,
    Suspect,
    Unwatch,
    Watch,
)
from adapters.links.handler import Handler
from adapters.links.handshake import FRAME_BYTES_MAX, HandshakeError, OwnerHandshake
from adapters.links.liveness import Liveness
from adapters.links.outbox import MessageTooLongError, Outbox
from adapters.telemetry.tasks import Tasks
from core.errors import Code, TidingsError
from core.streams.outcome import Outcome, Refused, Unknown
from settings import Links


class Switchboard(Protocol):
    """What a link asks of its server."""

    handler: Handler
    tasks: Tasks

    def connected(self, link: "CallerLink") -> None:
        """Take note of a link that has not proved anything yet."""
        ...

    def admit(self, link: "CallerLink") -> None:
        """Serve a link that has proved its process, after ending that process's older one."""
        ...

    def watch(self, organization_id: bytes, link: "CallerLink") -> None:
        """Make a link hear an organization's events."""
        ...

    def unwatch(self, organization_id: bytes, link: "CallerLink") -> None:
        """Undo it."""
        ...

    def lost(self, link: "CallerLink") -> None:
        """Forget a link that has ended."""
        ...


class CallerLink(WSListener):
    """One process's link to this owner.

    Nothing is decoded as a message before the handshake is done, nor after the link was ended: bytes that
    still wait are dropped, so that what its process asks on a newer link is answered finally (rule R13).
    """

    def __init__(self, server: Switchboard, handshake: OwnerHandshake, settings: Links) -> None:
        self.process = ""
        self.ended = False
        self._server = server
        self._handshake = handshake
        self._settings = settings
        self._liveness = Liveness(settings.ping_s, settings.silence_s)
        self._outstanding_commands = 0
        self._outstanding_bytes = 0
        self._questions = 0
        self._log = structlog.get_logger()

    # What picows calls.

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Begin: the caller speaks first."""
        self.transport = transport
        self._outbox = Outbox(transport, self._settings.frame_bytes_max)
        transport.underlying_transport.set_write_buffer_limits(high=self._settings.unsent_bytes_max)
        self._server.connected(self)

    def on_ws_frame(self, _transport: WSTransport, frame: WSFrame) -> None:
        """Take one frame."""
        if self.ended:
            return
        if self.process:  # before its proof a link has `silence_s` in all
            self._liveness.heard()
        if frame.msg_type == WSMsgType.BINARY:
            self._receive(frame)
        elif frame.msg_type == WSMsgType.CLOSE:
            self.end("closed by the caller")

    def on_ws_disconnected(self, _transport: WSTransport) -> None:
        """Drop what this link had queued and watched."""
        self.end("lost")

    def pause_writing(self) -> None:
        """End the link: the caller does not read, and nothing here waits for a slow reader."""
        # Called in the middle of a write: end after it.
        asyncio.get_running_loop().call_soon(self.end, "unsent bytes past the limit")

    def resume_writing(self) -> None:
        """Nothing: a link that fell behind has ended."""

    # What the server calls.

    def beat(self) -> None:
        """Ping the caller, or end the link when it is silent; called once every `ping_s`."""
        if not self._liveness.beat():
            self.end("silent")
        elif self.process:
            self.transport.send_ping()

    def end(self, reason: str) -> None:
        """Stop serving at once: unread and unsent bytes are dropped, queued commands forgotten."""
        if self.ended:
            return
        self.ended = True
        self._outbox.close()
        self.transport.disconnect(graceful=False)
        self._log.info("link.ended", process=self.process, reason=reason)
        self._server.lost(self)

    def close(self) -> None:
        """Send what is gathered, then close: the server goes away."""
        if self.ended:
            return
        self._outbox.flush()
        self.transport.send_close(WSCloseCode.GOING_AWAY)
        self.ended = True
        self._outbox.close()
        self.transport.disconnect()
        self._server.lost(self)

    def push(self, encoded: bytes) -> None:
        """Send one encoded message in this tick's frame."""
        self._outbox.add_encoded(encoded)

    def send(self, message: FromOwner) -> None:
        """Send one message in this tick's frame."""
        self._outbox.add(message)

    # What the caller says.

    def _receive(self, frame: WSFrame) -> None:
        if not self.process:
            self._prove(frame)
            return
        try:
            messages = CALLER_FRAMES.decode(frame.get_payload_as_memoryview())
        except msgspec.DecodeError as error:
            self._log.error("link.violated", process=self.process, error=str(error))
            self.end("malformed frame")
            return
        share = frame.payload_size // max(1, len(messages))
        for message in messages:
            if type(message) is Submit:
                self._submit(message, share)
            else:
                self._serve(message)

    def _prove(self, frame: WSFrame) -> None:
        try:
            said = self._handshake.receive(bytes(frame.get_payload_as_memoryview()[: FRAME_BYTES_MAX + 1]))
        except HandshakeError as error:
            peer = self.transport.underlying_transport.get_extra_info("peername")
            self._log.warning("link.refused", reason=error.reason, peer=str(peer))
            self.end("refused")
            return
        if isinstance(said, bytes):
            self.transport.send(WSMsgType.BINARY, said)
        else:
            self.process = said
            self._server.admit(self)

    def _serve(self, message: FromCaller) -> None:
        match message:
            case Submit():
                self._submit(message, 0)
            case Watch(organization_id):
                self._server.watch(organization_id, self)
            case Unwatch(organization_id):
                self._server.unwatch(organization_id, self)
            case AskHead(number, organization_id):
                self._ask(number, partial(self._head, number, organization_id))
            case Find(number, organization_id, event_id):
                self._ask(number, partial(self._find, number, organization_id, event_id))
            case Suspect(partition_id, epoch):
                self._ask(0, partial(self._suspect, partition_id, epoch))
            case _:
                assert_never(message)

    def _submit(self, message: Submit, size: int) -> None:
        if (
            self._outstanding_commands >= self._settings.outstanding_commands_max
            or self._outstanding_bytes >= self._settings.outstanding_bytes_max
        ):
            refusal = Refused(Code.CAPACITY_REDUCED.value, "too much is outstanding", retry_after_s=1)
            self._outbox.add(Answer(message.number, refusal))
            return
        self._outstanding_commands += 1
        self._outstanding_bytes += size
        outcome = asyncio.ensure_future(self._server.handler.submit(message.command, self))
        outcome.add_done_callback(partial(self._answer, message.number, size))

    def _answer(self, number: int, size: int, settled: asyncio.Future[Outcome]) -> None:
        self._outstanding_commands -= 1
        self._outstanding_bytes -= size
        outcome = self._outcome_of(settled)
        try:
            self._outbox.add(Answer(number, outcome))
        except MessageTooLongError:
            self._outbox.add(Answer(number, Unknown("the answer is longer than a frame")))

    def _outcome_of(self, settled: asyncio.Future[Outcome]) -> Outcome:
        if settled.cancelled():
            return Unknown("the owner gave up")
        if (error := settled.exception()) is not None:
            self._log.error("command.failed", process=self.process, exc_info=error)
            return Unknown("the owner failed")
        return settled.result()

    def _ask(self, number: int, work: Callable[[], Coroutine[Any, Any, FromOwner | None]]) -> None:
        if self._questions >= self._settings.outstanding_commands_max:
            self._outbox.add(Failed(number, Code.CAPACITY_REDUCED.value, "too many questions"))
            return
        self._questions += 1
        self._server.tasks.spawn("reply", self._reply(number, work))

    async def _reply(self, number: int, work: Callable[[], Coroutine[Any, Any, FromOwner | None]]) -> None:
        reply: FromOwner | None
        try:
            reply = await work()
        except TidingsError as error:
            reply = Failed(number, error.code.value, error.detail)
        except Exception:  # noqa: BLE001 (logged whole; whatever it is, the caller must not wait for ever)
            self._log.exception("question.failed", process=self.process)
            reply = Failed(number, Code.INTERNAL.value, "")
        finally:
            self._questions -= 1
        if reply is not None:
            try:
                self._outbox.add(reply)
            except MessageTooLongError:
                self._outbox.add(Failed(number, Code.INTERNAL.value, "the answer is longer than a frame"))

    async def _head(self, number: int, organization_id: bytes) -> FromOwner:
        return HeadIs(number, await self._server.handler.head(organization_id))

    async def _find(self, number: int, organization_id: bytes, event_id: bytes) -> FromOwner:
        return Found(number, await self._server.handler.find(organization_id, event_id))

    async def _suspect(self, partition_id: int, epoch: int) -> None:
        await self._server.handler.suspect(partition_id, epoch)

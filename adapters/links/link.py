"""The caller's end of one link: proves the owner, sends, and hands on what comes back."""

import asyncio
import itertools
import ssl
from collections.abc import Callable
from enum import Enum
from typing import Any, Protocol, assert_never

import msgspec
import structlog
from picows import WSCloseCode, WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from adapters.links.frames import (
    OWNER_FRAMES,
    Announced,
    Answer,
    AskHead,
    Ephemeral,
    Failed,
    Find,
    Found,
    FromOwner,
    HeadIs,
    Live,
    Moving,
    Submit,
    Suspect,
    Unwatch,
    Watch,
)
from adapters.links.handshake import FRAME_BYTES_MAX, CallerHandshake, HandshakeError
from adapters.links.liveness import Liveness
from adapters.links.outbox import MessageTooLongError, Outbox
from adapters.links.pending import Budget, Pending
from core.errors import Code, TidingsError
from core.streams.command import Command
from core.streams.event import EphemeralPublication, Head, LiveBatch
from core.streams.outcome import Outcome, Refused, Unknown
from settings import Links

_MOVING = Code.PARTITION_MOVING.value


class Unreachable(Enum):
    """Why no link could be opened. `REFUSED`: nobody, or somebody else, listens there: the owner is gone."""

    REFUSED = "refused"
    SILENT = "silent"


class LinkLostError(Exception):
    """The link ended before the question was answered."""


class QuestionFailedError(Exception):
    """The owner could not answer; `code` is a value of `core.errors.Code`."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail

    def as_tidings_error(self) -> TidingsError:
        """Return the registered error; `internal` for a code that only a newer release knows."""
        known = {code.value: code for code in Code}
        return TidingsError(known.get(self.code, Code.INTERNAL), self.detail)


class Recipient(Protocol):
    """Whom a link tells of what was not asked for."""

    def on_live(self, batch: LiveBatch) -> None: ...  # noqa: D102 (as core.ports.LiveListener)
    def on_head(self, head: Head) -> None: ...  # noqa: D102
    def on_ephemeral(self, publication: EphemeralPublication) -> None: ...  # noqa: D102

    def on_moving(self) -> None:
        """Take note that a partition left this owner."""
        ...

    def on_lost(self, link: "OwnerLink") -> None:
        """Take note that a link ended; its unanswered commands have gone back to their homes."""
        ...


class OwnerLink(WSListener):
    """This process's link to one owner. Made by `connect`; when it has ended it is not used again."""

    def __init__(
        self, owner: str, address: str, handshake: CallerHandshake, settings: Links, recipient: Recipient
    ) -> None:
        self.owner = owner
        self.address = address
        self.ended = False
        self.budget = Budget(settings.outstanding_commands_max, settings.outstanding_bytes_max)
        self._handshake = handshake
        self._settings = settings
        self._recipient = recipient
        self._liveness = Liveness(settings.ping_s, settings.silence_s)
        self._numbers = itertools.count(1)
        self._sent: dict[int, Pending] = {}
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._proved = False
        self._transport: WSTransport | None = None
        self.opened: asyncio.Future[HandshakeError | None] = asyncio.get_running_loop().create_future()
        self._log = structlog.get_logger().bind(owner=owner, address=address)

    # What picows calls.

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Speak first."""
        if self.ended:  # given up while it was being opened
            transport.disconnect(graceful=False)
            return
        self._transport = transport
        self._outbox = Outbox(transport, self._settings.frame_bytes_max)
        transport.send(WSMsgType.BINARY, self._handshake.opening())

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take one frame."""
        self._liveness.heard()
        if self.ended:
            return
        if frame.msg_type == WSMsgType.BINARY:
            if self._proved:
                self._receive(frame)
            else:
                self._prove(transport, frame)
        elif frame.msg_type == WSMsgType.CLOSE:
            self.end("closed by the owner")

    def on_ws_disconnected(self, _transport: WSTransport) -> None:
        """Give back what was not answered."""
        self.end("lost")

    def pause_writing(self) -> None:
        """Nothing: what is unsent is bounded by what may be outstanding, and a stalled owner is silent."""

    def resume_writing(self) -> None:
        """Nothing, as `pause_writing`."""

    # What the client calls.

    def beat(self) -> None:
        """Ping the owner, or end the link when it is silent; called once every `ping_s`."""
        if self._transport is None:
            return
        if self._liveness.beat():
            self._transport.send_ping()
        else:
            self.end("silent")

    def submit(self, pending: Pending, command: Command) -> None:
        """Send one command; its answer settles `pending`, or a lost link gives it back to its home."""
        number = next(self._numbers)
        pending.sendings += 1
        try:
            self._outbox.add(Submit(number, command))
        except MessageTooLongError:
            pending.settle(Refused(Code.BODY_TOO_LARGE.value, "the command is longer than a frame"))
        else:
            self._sent[number] = pending

    def say(self, message: Watch | Unwatch | Suspect) -> None:
        """Send one message that is not answered."""
        self._outbox.add(message)

    async def ask_head(self, organization_id: bytes) -> Head:
        """Return a head that covers everything acknowledged before this call.

        Raises:
            LinkLostError, QuestionFailedError: not answered.
        """
        head: Head = await self._ask(lambda number: AskHead(number, organization_id))
        return head

    async def find(self, command: Command) -> Outcome | None:
        """Return what became of a command; None: surely nothing, now and later (rule R13).

        Raises:
            LinkLostError, QuestionFailedError: not answered.
        """
        ask = lambda number: Find(number, command.organization_id, command.event_id)  # noqa: E731
        outcome: Outcome | None = await self._ask(ask)
        return outcome

    async def _ask(self, question: Callable[[int], AskHead | Find]) -> Any:
        if self.ended:
            raise LinkLostError
        number = next(self._numbers)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        try:
            self._outbox.add(question(number))
            return await answer
        finally:
            self._asked.pop(number, None)

    def unanswered_of(self, home: object) -> bool:
        """Return whether a command of `home` still waits for its answer here."""
        return any(pending.home is home for pending in self._sent.values())

    def expire(self, now: float) -> None:
        """Settle what is past its deadline; a late answer is ignored."""
        for number in [number for number, pending in self._sent.items() if pending.deadline <= now]:
            self._sent.pop(number).lapse(sent=True)

    def close(self) -> None:
        """Send what is gathered, then end: the process goes away."""
        if self._transport is not None:
            self._outbox.flush()
            self._transport.send_close(WSCloseCode.GOING_AWAY)
        self.end("closed")

    def end(self, reason: str) -> None:
        """Close the link now and give everything unanswered back to where it came from."""
        if self.ended:
            return
        self.ended = True
        if self._transport is not None:
            self._outbox.close()
            self._transport.disconnect(graceful=False)
        if not self.opened.done():
            self.opened.set_result(HandshakeError(reason))
            return
        self._log.info("link.ended", reason=reason)
        sent, self._sent = self._sent, {}
        for pending in sent.values():
            if pending.home is not None:
                pending.home.take_back(pending)
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(LinkLostError(reason))
        self._recipient.on_lost(self)

    # What the owner says.

    def _prove(self, transport: WSTransport, frame: WSFrame) -> None:
        try:
            proof = self._handshake.answer(bytes(frame.get_payload_as_memoryview()[: FRAME_BYTES_MAX + 1]))
        except HandshakeError as error:
            if not self.opened.done():
                self.opened.set_result(error)
            self.ended = True
            self._outbox.close()
            transport.disconnect(graceful=False)
            return
        transport.send(WSMsgType.BINARY, proof)
        self._proved = True
        if not self.opened.done():
            self.opened.set_result(None)

    def _receive(self, frame: WSFrame) -> None:
        try:
            messages = OWNER_FRAMES.decode(frame.get_payload_as_memoryview())
        except msgspec.DecodeError as error:
            self._log.error("link.violated", error=str(error))
            self.end("malformed frame")
            return
        for message in messages:
            if type(message) is Answer:
                self._answer(message.number, message.outcome)
            else:
                self._take(message)

    def _answer(self, number: int, outcome: Outcome) -> None:
        pending = self._sent.pop(number, None)
        if pending is None:
            return
        if type(outcome) is Refused and outcome.code == _MOVING and pending.home is not None:
            pending.home.moved(pending, outcome)
        elif type(outcome) is Unknown and pending.home is not None:
            pending.home.undecided(pending)
        else:
            pending.settle(outcome)

    def _take(self, message: FromOwner) -> None:
        match message:
            case Answer(number, outcome):
                self._answer(number, outcome)
            case Live(batch):
                self._recipient.on_live(batch)
            case Announced(head):
                self._recipient.on_head(head)
            case Ephemeral(publication):
                self._recipient.on_ephemeral(publication)
            case Found(number, outcome):
                self._reply(number, outcome)
            case HeadIs(number, head):
                self._reply(number, head)
            case Failed(number, code, detail):
                self._reply(number, QuestionFailedError(code, detail))
            case Moving():
                self._recipient.on_moving()
            case _:
                assert_never(message)

    def _reply(self, number: int, answer: Head | Outcome | QuestionFailedError | None) -> None:
        asked = self._asked.get(number)
        if asked is None or asked.done():
            return
        if isinstance(answer, QuestionFailedError):
            asked.set_exception(answer)
        else:
            asked.set_result(answer)


async def connect(link: OwnerLink, settings: Links, tls: ssl.SSLContext | None) -> Unreachable | None:
    """Open a link and prove both ends of it, within `connect_s`. Returns why it could not be, or None."""
    try:
        failure = await _connect(link, settings, tls)
    except BaseException:
        link.end("given up")
        raise
    if failure is not None:
        link.end("given up")  # else a late challenge would be answered, and end a newer link of this process
    return failure


async def _connect(link: OwnerLink, settings: Links, tls: ssl.SSLContext | None) -> Unreachable | None:
    log = structlog.get_logger().bind(owner=link.owner, address=link.address)
    try:
        async with asyncio.timeout(settings.connect_s):
            await ws_connect(
                lambda: link,
                f"{'wss' if tls else 'ws'}://{link.address}/",
                ssl_context=tls,
                max_frame_size=settings.frame_bytes_max,
                enable_auto_pong=False,  # both sides ping on their own; a ping is heard like anything else
                max_redirects=0,
            )
            error = await link.opened
    except ConnectionRefusedError:
        log.info("link.refused", reason="nobody listens there")
        return Unreachable.REFUSED
    except (TimeoutError, OSError, WSError) as failure:
        log.info("link.refused", reason=str(failure) or type(failure).__name__)
        return Unreachable.SILENT
    if error is not None:
        log.warning("link.refused", reason=error.reason)
        return Unreachable.REFUSED if error.impostor else Unreachable.SILENT
    log.info("link.opened")
    return None

"""What every client of a replica shares."""

import asyncio
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final, Protocol

from adapters.postgres.channels import ChannelReader
from adapters.postgres.cursors import CursorStore
from adapters.telemetry.tasks import Tasks
from core.connections.backend import BackendAnswer, BackendEvent
from core.connections.backend_options import BackendOptions
from core.connections.codec_json import JSON
from core.connections.codec_protobuf import PROTOBUF
from core.connections.codec_uni import UNI
from core.connections.connection import Limits, Manner
from core.connections.moment import Moment
from core.connections.subscription import Grants
from core.instants import MICROSECONDS, Instant
from core.ports import Clock, Entropy, StreamWriter
from core.streams.command import Command
from gateway.auth import Authenticator
from gateway.realtime.admission import Admission
from gateway.realtime.chronicle import Chronicle
from gateway.realtime.feed import Feed
from gateway.realtime.forms import Form, frame_form, sse_form, stream_form, websocket_form
from gateway.realtime.hub import Hub
from gateway.realtime.opening import Opening
from gateway.realtime.presence import Roster
from gateway.realtime.subscribing import Reader
from gateway.realtime.wheel import Wheel
from settings import Realtime

SESSION_BYTES: Final = 16
ASK_AGAIN_S: Final = 10
GRANTS_MAX: Final = 10_000
"""Kinds of subscriptions that are shared; past it the oldest is no longer."""


class Flushable(Protocol):
    """Somebody who gathers what belongs together during a loop tick."""

    def flush(self) -> None:
        """Send it."""
        ...


class Registry(Protocol):
    """The clients of this replica."""

    def add(self, client: Any) -> None:
        """Take a new one in."""
        ...

    def remove(self, client: Any) -> None:
        """Forget one."""
        ...

    def seat(self, client: Any, feed: Feed, user: str) -> None:
        """It is known whose it is."""
        ...

    def unseat(self, client: Any, feed: Feed) -> None:
        """It leaves."""
        ...

    def contend(self, client_id: str) -> None:
        """It wants to be its user's only one."""
        ...

    def settled(self, client_id: str) -> None:
        """It is known where it stands among those who want that."""
        ...

    def __len__(self) -> int:
        """How many there are."""
        ...


class Backends(Protocol):
    """The organizations' own backends."""

    async def options(self, organization_id: bytes) -> BackendOptions:
        """Return which events the organization's backend is asked about; none, where it has none."""
        ...

    async def call(self, organization_id: bytes, event: BackendEvent) -> BackendAnswer:
        """Return what the backend says.

        Raises:
            TidingsError: `not_available`, it is not asked about this event; `unavailable`, it gave no answer.
        """
        ...


class Forms:
    """The forms of messages: one object each, since those who share a form share bytes."""

    def __init__(self) -> None:
        self.websocket_json = websocket_form("websocket", JSON)
        self.websocket_protobuf = websocket_form("websocket.protobuf", PROTOBUF, binary=True)
        self.sse_json = sse_form("sse", JSON)
        self.stream_json = stream_form("http_stream", JSON)
        self.stream_protobuf = stream_form("http_stream.protobuf", PROTOBUF)
        self.uni_websocket = frame_form("uni_websocket", UNI)
        self.uni_sse = sse_form("uni_sse", UNI)
        self.uni_stream = stream_form("uni_http_stream", UNI)


class Replica:
    """The shared parts of one replica, and the flush at the end of each loop tick."""

    def __init__(
        self,
        *,
        settings: Realtime,
        deadline_ms: int,
        version: str,
        node: str,
        types: AbstractSet[str],
        writer: StreamWriter,
        authenticator: Authenticator,
        clients: Registry,
        hub: Hub,
        reader: Reader,
        channels: ChannelReader,
        cursors: CursorStore,
        roster: Roster,
        admission: Admission,
        chronicle: Chronicle,
        backends: Backends,
        presence_members_max: int,
        wheel: Wheel,
        clock: Clock,
        entropy: Entropy,
        tasks: Tasks,
    ) -> None:
        self.settings = settings
        self.deadline_ms = deadline_ms
        self.version = version
        self.node = node
        self.types = types
        self.writer = writer
        self.authenticator = authenticator
        self.clients = clients
        self.hub = hub
        self.reader = reader
        self.channels = channels
        self.cursors = cursors
        self.roster = roster
        self.admission = admission
        self.chronicle = chronicle
        self.backends = backends
        self.presence_members_max = presence_members_max
        self.wheel = wheel
        self.clock = clock
        self.entropy = entropy
        self.tasks = tasks
        self.forms = Forms()
        self.grants = Grants(GRANTS_MAX)
        self.limits = Limits(
            settings.ping_s,
            settings.pong_s,
            settings.connect_s,
            settings.expiry_grace_s,
            settings.channels_max,
            # One frame more than that is there before the socket is read no further.
            settings.pending_commands_max + settings.frame_commands_max,
        )
        self._dirty: list[Flushable] = []
        self._manners: dict[Manner, Manner] = {}
        self._openings: dict[Opening, Opening] = {}

    def new_client_id(self) -> str:
        """Return a new UUID in its usual form."""
        digits = self.entropy.id().hex()
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

    def new_session(self) -> str:
        """Return the name of a new session, which nobody can guess."""
        return self.entropy.token(SESSION_BYTES).hex()

    def moment(self) -> Moment:
        """Return now, with a grain of chance."""
        return Moment(self.clock.monotonic(), self.clock.now(), self.entropy.jitter())

    def manner_of(self, form: Form, opening: Opening) -> Manner:
        """Return how a client's transport has it; alike ones are one object."""
        manner = Manner(
            is_json=form.codec.is_json,
            is_unidirectional=opening.is_unidirectional,
            has_native_pings=opening.has_native_pings,
        )
        return self._manners.setdefault(manner, manner)

    def kept_of(self, opening: Opening, emulated: Mapping[str, str], options: BackendOptions) -> Opening:
        """Return what is kept of an opening once the client is connected.

        Only what the organization's backend wants to see; without one, alike ones are one object.
        """
        if options.http_headers or options.emulated_headers:
            emulated_names = frozenset(map(str.lower, options.emulated_headers))
            return opening.with_headers(
                frozenset(map(str.lower, options.http_headers)), emulated, emulated_names
            )
        kept = opening.without_request()
        return self._openings.setdefault(kept, kept)

    def in_a_while(self) -> Instant:
        """Return when something that could not be asked is asked again."""
        return Instant(self.clock.now() + ASK_AGAIN_S * MICROSECONDS)

    def submit(self, command: Command) -> None:
        """Hand something to the writer whose outcome nobody waits for."""
        self.tasks.spawn("word", self._submitted(command))

    async def _submitted(self, command: Command) -> None:
        await self.writer.submit(command)

    def flush_soon(self, gatherer: Flushable) -> None:
        """Flush at the end of this loop tick."""
        if not self._dirty:
            asyncio.get_running_loop().call_soon(self._flush)
        self._dirty.append(gatherer)

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, []
        for gatherer in dirty:
            gatherer.flush()

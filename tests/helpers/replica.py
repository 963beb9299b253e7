"""A replica's own parts over a log in memory, in which every answer waits until the test lets it come.

Real are the feed, its channels, the newest events in memory, the reader, the state machines and the clients.
In memory are what lies behind them: the log, the owner who announces it, and the socket in front. A real
database would answer when it likes, in milliseconds; here the order of everything is the test's, and a whole
conversation costs as much as one query there.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Sequence
from typing import Any, Final, cast

import orjson

from adapters.entropy import SystemEntropy
from adapters.redis.client import CacheError
from adapters.redis.journeys import Entry
from adapters.redis.presence import Members
from adapters.telemetry.tasks import Tasks
from core.auth.principal import Organization
from core.auth.revocation import Revocation
from core.channels.namespace import ChannelRules
from core.connections import client_pb2 as pb
from core.connections.backend import BackendAnswer, BackendEvent
from core.connections.backend_options import BackendOptions
from core.connections.frames import PresenceCount
from core.connections.journey import Came, Journey, Step
from core.connections.orders import ORDER, Order, encode_order
from core.errors import Code, TidingsError
from core.ids import encode
from core.instants import Instant
from core.streams.event import (
    ClientInfo,
    EphemeralPublication,
)
from gateway.auth import Authenticator
from gateway.realtime.admission import Admission
from gateway.realtime.chronicle import Chronicle
from gateway.realtime.client import Client
from gateway.realtime.clients import Clients
from gateway.realtime.feed import Feed
from gateway.realtime.forms import Form
from gateway.realtime.hub import Hub
from gateway.realtime.opening import Opening
from gateway.realtime.parts import Backends, Replica
from gateway.realtime.subscribing import Reader
from gateway.realtime.wheel import Wheel
from settings import Api, Journeys, Realtime
from tests.helpers.memory_log import ORG, Gate, MemoryLog
from tests.helpers.recorder import Recorder
from tests.helpers.tokens import token

OTHER_ORG = b"p" * 16
SECRET: Final = b"the secret of an organization, 32+"
LIMITS = {
    "history_max": 2,
    "noted_events_max": 2,
    "gap_events_max": 3,
    "recent_bytes_max": 1_000,
    "page_bytes_max": 100,
    "pending_commands_max": 1_000,
}
"""So small that every limit is met within a few events."""
REMEMBERED = Journeys()


class StoppedClock:
    """Stands still until the test moves it; who sleeps is woken by the test."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.seconds = 0.0

    def now(self) -> Instant:
        return Instant(round(self.seconds * 1_000_000))

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, _seconds: float) -> None:
        await self.gate.passed()


class Store:
    """The store of an installation with two organizations; the first is the default one.

    Args:
        rules: of channels, in both.
        options: of the organizations, in place of one that lets everybody do everything.
    """

    def __init__(self, rules: ChannelRules | None = None, **options: bool) -> None:
        chosen: dict[str, Any] = {
            "client_publish": False,
            "anonymous": True,
            "client_insecure": True,
            **options,
        }
        self.organizations = {
            organization_id: Organization(
                organization_id,
                "test",
                "test",
                "active",
                token_secret=SECRET,
                channels=rules or ChannelRules(),
                **chosen,
            )
            for organization_id in (ORG, OTHER_ORG)
        }
        self.tokens = self

    async def default_organization_id(self) -> bytes:
        return ORG

    async def organization(self, organization_id: bytes) -> Organization | None:
        return self.organizations.get(organization_id)

    async def revocations(self, _organization_id: bytes) -> list[Revocation]:
        return []


def token_of(user: str, organization_id: bytes = ORG, **claims: Any) -> str:
    """Return a connection token; with a `channel` it is one of a subscription."""
    return token({"sub": user, "org": encode("org", organization_id), **claims}, SECRET)


class NoBackend:
    """The backend of an organization that has none."""

    async def options(self, _organization_id: bytes) -> BackendOptions:
        return BackendOptions()

    async def call(self, _organization_id: bytes, _event: BackendEvent) -> BackendAnswer:
        raise TidingsError(Code.NOT_AVAILABLE)


class MemoryRoster:
    """Who is where, in memory. With a `gate` acknowledgements come when the test says so."""

    def __init__(self) -> None:
        self.present: dict[tuple[str, str], ClientInfo] = {}
        self.gate: Gate | None = None

    def enter(self, _organization_id: bytes, channel: str, info: ClientInfo) -> Awaitable[None]:
        self.present[channel, info.client] = info
        return self._acknowledged()

    def leave(self, _organization_id: bytes, channel: str, client: str) -> Awaitable[None]:
        self.present.pop((channel, client), None)
        return self._acknowledged()

    def _acknowledged(self) -> Awaitable[None]:
        return asyncio.ensure_future(asyncio.sleep(0) if self.gate is None else self.gate.passed())

    def _in(self, channel: str) -> dict[str, ClientInfo]:
        return {client: info for (name, client), info in self.present.items() if name == channel}

    async def members(self, _organization_id: bytes, channel: str, **_: object) -> Members:
        return Members(self._in(channel), "")

    async def count(self, _organization_id: bytes, channel: str) -> PresenceCount:
        found = self._in(channel)
        return PresenceCount(len(found), len({info.user for info in found.values()}))


class MemoryJourneys:
    """What is remembered of clients, in memory; nothing while the cache is away."""

    def __init__(self) -> None:
        self.steps: dict[str, list[Step]] = {}
        self.told: dict[str, Instant] = {}
        self.writes: list[int] = []
        self.is_away = False

    async def write(self, entries: Sequence[Entry]) -> list[bool]:
        """Add to what is remembered."""
        self._answer()
        self.writes.append(len(entries))
        return [self._take(entry) for entry in entries]

    def _take(self, entry: Entry) -> bool:
        if entry.begins:
            self.steps[entry.client] = []
        if entry.client not in self.steps:
            return False
        self.steps[entry.client] += entry.steps
        return True

    async def tell(self, tag: str, until: Instant) -> bool:
        """Keep up to when everything is told."""
        self._answer()
        was_known = tag in self.told
        self.told[tag] = until
        return was_known

    async def close(self) -> None:
        """Nothing is open."""

    def _answer(self) -> None:
        if self.is_away:
            raise CacheError("away")

    def of(self, client: Client) -> Journey:
        """Return what is remembered of a client."""
        came, *steps = self.steps[client.client_id]
        assert isinstance(came, Came)
        return Journey(came, tuple(steps), self.told.get(came.tag, Instant(0)))


class CountingClients(Clients):
    """Clients that count how often the log broke."""

    def __init__(self) -> None:
        super().__init__()
        self.breaks = 0

    def broken(self, feed: Feed) -> None:
        self.breaks += 1
        super().broken(feed)


class MemoryReplica:
    """One replica over a log in memory.

    Args:
        log: what it reads, hears and writes.
        rules: of channels.
        backends: of its organizations; None: they have none.
        store: of organizations, in place of one that lets everybody do everything by these rules.
        journeys: limits on what is remembered of clients.
        limits: in place of `LIMITS`.
    """

    def __init__(
        self,
        log: MemoryLog,
        *,
        rules: ChannelRules | None = None,
        backends: Backends | None = None,
        store: Store | None = None,
        journeys: Journeys | None = None,
        **limits: Any,
    ) -> None:
        self.clock = StoppedClock()
        self.tasks = Tasks("test")
        self.clients = CountingClients()
        self.roster = MemoryRoster()
        self.store = store or Store(rules)
        settings = Realtime(**{**LIMITS, **limits})
        behind: Any = log
        hub = Hub(behind, behind, self.clock, settings, self.tasks, self.clients)
        self.hub = hub
        self.journeys = MemoryJourneys()
        self.chronicle = Chronicle(
            cast("Any", self.journeys), journeys or REMEMBERED, "node", self.clients.all, self.clock
        )
        self.parts = Replica(
            settings=settings,
            deadline_ms=1_000,
            version="test",
            node="node",
            types=frozenset(),
            writer=behind,
            authenticator=Authenticator(cast("Any", self.store), self.clock, Api()),
            clients=self.clients,
            hub=hub,
            roster=cast("Any", self.roster),
            admission=Admission(settings, self.clock),
            chronicle=self.chronicle,
            backends=backends or NoBackend(),
            presence_members_max=100,
            reader=Reader(behind, settings),
            channels=behind,
            cursors=behind,
            wheel=Wheel(self.clock),
            clock=self.clock,
            entropy=SystemEntropy(),
            tasks=self.tasks,
        )

    def connect(
        self, form: Form | None = None, opening: Opening | None = None, **asked: Any
    ) -> tuple[Client, Recorder]:
        """Make one more client, whose connect command is sent; it speaks JSON unless the form says so."""
        socket = Recorder(form or self.parts.forms.websocket_json)
        client = Client(self.parts, socket, opening or Opening("websocket"))
        client.receive(encoded(client, {"id": 1, "connect": asked}))
        return client, socket

    def lose(self, client: Client) -> None:
        """Cut a client's connection."""
        client.lost()

    def order(self, order: Order, organization_id: bytes = ORG) -> None:
        """Let an order come about connections of an organization."""
        feed = next(feed for feed in self.hub.feeds if feed.organization_id == organization_id)
        feed.on_ephemeral(EphemeralPublication(organization_id, "", encode_order(order), kind=ORDER))


_ids = itertools.count(2)


def encoded(client: Client, *commands: dict[str, Any]) -> bytes:
    """Return commands as a client's form has them."""
    if client.form.codec.is_json:
        return b"\n".join(orjson.dumps(command) for command in commands)
    messages = [pb.Command(**command).SerializeToString() for command in commands]
    assert all(len(message) < 2**14 for message in messages), "the length takes two bytes here"
    return b"".join(bytes((len(m) & 0x7F | 0x80, len(m) >> 7)) + m for m in messages)


def say(client: Client, *commands: dict[str, Any]) -> Sequence[int]:
    """Send commands in one frame, and return their ids."""
    numbered = [{"id": next(_ids), **command} for command in commands]
    client.receive(encoded(client, *numbered))
    return [command["id"] for command in numbered]


async def turns(count: int) -> None:
    """Let the loop go round."""
    for _ in range(count):
        await asyncio.sleep(0)


async def answer_all(log: MemoryLog) -> None:
    """Let every read come until nobody asks any more."""
    await turns(5)
    while log.gate.open_all():
        await turns(5)


async def connected(log: MemoryLog, **limits: Any) -> tuple[MemoryReplica, Client, Recorder]:
    """Give a client that is connected to a replica which knows where its log stands."""
    replica = MemoryReplica(log, **limits)
    client, socket = replica.connect()
    await turns(5)
    log.announce(len(log.log))
    return replica, client, socket


async def settled(log: MemoryLog, replica: MemoryReplica) -> None:
    """Let everything come that is due."""
    for _ in range(20):
        log.announce(len(log.log))
        await answer_all(log)
        replica.clock.gate.open_all()

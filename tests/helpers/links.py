"""Owners behind links, and callers, as two processes would be joined; a proxy between them on demand."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from actors.streams.owner import StreamOwner
from adapters.clock import SystemClock
from adapters.entropy import SystemEntropy
from adapters.links.client import LinkClient
from adapters.links.frames import ENCODER, OWNER_FRAMES, FromCaller, FromOwner
from adapters.links.handshake import NONCE_BYTES, CallerHandshake, Challenge, Proof, prove
from adapters.links.server import LinkServer
from adapters.postgres.commit import CommitConnection
from adapters.postgres.pool import Database
from adapters.postgres.streams import RouteReader
from adapters.schemas import load_catalog
from adapters.telemetry.tasks import Tasks
from core.streams.event import EphemeralPublication, Event, Head, LiveBatch
from settings import Links, Log
from tests.helpers.owners import SCHEMAS
from tests.helpers.proxy import Proxy

KEY = b"the cluster key of these tests.."
QUICK = Links(ping_s=0.1, silence_s=0.5, route_refresh_s=0.5, connect_s=1.0, head_s=3.0)


async def until(condition: Callable[[], object], deadline_s: float = 5.0) -> None:
    """Return as soon as `condition` holds; fail when it does not before the deadline."""
    deadline = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        await asyncio.sleep(0.005)


@dataclass
class Node:
    """One owner with its server; `proxy` stands between it and its callers."""

    owner: StreamOwner
    server: LinkServer
    server_address: str
    proxy: Proxy


@asynccontextmanager
async def node(
    database_url: str,
    name: str = "owner-0",
    partitions: frozenset[int] = frozenset({0}),
    *,
    links: Links = QUICK,
    log: Log | None = None,
    commit_url: str = "",
) -> AsyncIterator[Node]:
    """Give an owner that holds the partitions and is reached through a proxy.

    `commit_url`: how its pen reaches the database, if not as everybody does.
    """
    database = await Database.open(database_url, 2)
    settings = log or Log()
    clock = SystemClock()
    owner = StreamOwner(
        name,
        "",
        RouteReader(database),
        lambda: CommitConnection.open(commit_url or database_url, deadline_s=settings.commit_deadline_s),
        settings,
        load_catalog(SCHEMAS),
        clock,
    )
    server = LinkServer(owner, name, KEY, links, clock, SystemEntropy())
    address = await server.open()
    async with Proxy(address) as proxy:
        owner.address = proxy.address
        await owner.open(set(partitions))
        try:
            yield Node(owner, server, address, proxy)
        finally:
            await owner.close()
            await server.close()
            await database.close()


@asynccontextmanager
async def caller(
    database_url: str, process: str = "gateway", *, links: Links = QUICK, key: bytes = KEY
) -> AsyncIterator[LinkClient]:
    """Give a client as a gateway has it."""
    database = await Database.open(database_url, 2)
    client = LinkClient(
        RouteReader(database), process, key, links, SystemClock(), SystemEntropy(), Tasks(process)
    )
    await client.open()
    try:
        yield client
    finally:
        await client.close()
        await database.close()


class Ears:
    """Notes what a listener is told, in order."""

    def __init__(self) -> None:
        self.told: list[Head | LiveBatch | EphemeralPublication] = []

    @property
    def events(self) -> list[Event]:
        return [event for said in self.told if isinstance(said, LiveBatch) for event in said.events]

    @property
    def seqs(self) -> list[int]:
        return [event.seq for event in self.events]

    @property
    def heads(self) -> list[int]:
        return [said.seq for said in self.told if isinstance(said, Head)]

    def on_live(self, batch: LiveBatch) -> None:
        self.told.append(batch)

    def on_head(self, head: Head) -> None:
        self.told.append(head)

    def on_ephemeral(self, publication: EphemeralPublication) -> None:
        self.told.append(publication)


def forged(key: bytes, challenge: bytes, process: str) -> bytes:
    """Return the proof of a caller who does not mind who the owner is."""
    said = msgspec.msgpack.decode(challenge, type=Challenge)
    return msgspec.msgpack.encode(Proof(prove(key, "caller", b"n" * 32, said.nonce, said.owner, process)))


class RawCaller(WSListener):
    """One link, spoken by hand: each frame is kept as it came."""

    def __init__(self, process: str = "raw", key: bytes = KEY) -> None:
        self.frames: list[list[FromOwner]] = []
        self.ended = False
        self.sent: list[bytes] = []
        self.process = process
        self._handshake = CallerHandshake(key, SystemEntropy().token(NONCE_BYTES), "owner-0", process)
        self._answer: Callable[[bytes], bytes] = self._handshake.answer
        self._proved = False

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, _transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type != WSMsgType.BINARY:
            return
        if self._proved:
            self.frames.append(OWNER_FRAMES.decode(frame.get_payload_as_memoryview()))
        else:
            self._proved = True
            self.send(self._answer(frame.get_payload_as_bytes()))

    def on_ws_disconnected(self, _transport: WSTransport) -> None:
        self.ended = True

    @property
    def messages(self) -> list[FromOwner]:
        """Everything that was said, without the frames around it."""
        return [message for frame in self.frames for message in frame]

    def proves_with(self, key: bytes) -> None:
        """Answer the challenge with a proof that stands on `key`, whatever the owner proved."""
        self._answer = lambda challenge: forged(key, challenge, self.process)

    def prove(self) -> None:
        """Begin the handshake; the answer is given by itself."""
        self.send(self._handshake.opening())

    def send(self, frame: bytes) -> None:
        """Send one frame as it is."""
        self.sent.append(frame)
        self.transport.send(WSMsgType.BINARY, frame)

    def say(self, *messages: FromCaller) -> None:
        """Send messages in one frame."""
        self.send(ENCODER.encode(list(messages)))


@asynccontextmanager
async def raw_caller(
    address: str, process: str = "raw", *, key: bytes = KEY, proves: bool = True
) -> AsyncIterator[RawCaller]:
    """Give a hand-spoken link; it keeps itself alive by pings."""
    link = RawCaller(process, key)
    await ws_connect(lambda: link, f"ws://{address}/", max_frame_size=1 << 30, enable_auto_pong=False)

    async def beat() -> None:
        while not link.ended:
            link.transport.send_ping()
            await asyncio.sleep(0.1)

    beating = asyncio.create_task(beat())
    if proves:
        link.prove()
        await until(lambda: link._proved or link.ended)  # noqa: SLF001 (its own helper)
    try:
        yield link
    finally:
        beating.cancel()
        link.transport.disconnect(graceful=False)
        await until(lambda: link.ended)

"""Writers and subscribers that never give up, and write down what they saw."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import aiohttp

from tests.helpers.eventually import eventually
from tests.helpers.history import Record

WRITERS, SUBSCRIBERS, CHANNELS = 20, 50, 5
PAUSE_S, BACKOFF_S, ANSWER_S = 0.01, 0.05, 15.0
GIVE_UP_S = 60.0


@dataclass(frozen=True, slots=True)
class Account:
    """One organization, by its public id, and a key that may do everything in it."""

    organization: str
    key: str


@dataclass(slots=True)
class Notes:
    """What has been written down so far, by everybody of one run."""

    records: list[Record] = field(default_factory=list)

    def note(self, process: str, type: str, **fields: Any) -> None:  # noqa: A002 (the record's own name)
        """Append one record, stamped with this machine's monotonic clock."""
        self.records.append(Record(process, _kind(type), time.monotonic_ns(), **fields))

    def acknowledged(self) -> int:
        """Return how many attempts were answered `ok`."""
        return sum(record.type == "ok" for record in self.records)


def _kind(text: str) -> Literal["invoke", "ok", "refused", "unknown", "observe"]:
    assert text in ("invoke", "ok", "refused", "unknown", "observe")
    return text  # type: ignore[return-value]  # mypy does not narrow a literal from `in`


class Load:
    """All clients of one run, against one origin. They end with the block of `async with`."""

    def __init__(self, port: int, accounts: Sequence[Account], run: str) -> None:
        self._port = port
        self._accounts = accounts
        self._run = run
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._writers: list[str] = []
        self.subscribers: list[Subscriber] = []
        self.notes = Notes()

    def channels(self) -> list[str]:
        """Return the channels that are written to, the same in each organization."""
        return [f"faults:{self._run}-{n}" for n in range(CHANNELS)]

    def clients(self) -> frozenset[str]:
        """Return the names of all writers and subscribers."""
        return frozenset((*self._writers, *(subscriber.name for subscriber in self.subscribers)))

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_S))
        return self

    async def start(self) -> None:
        """Open the subscribers, then begin to write: half over REST, half over sockets."""
        channels = self.channels()
        loop = asyncio.get_running_loop()
        for n in range(SUBSCRIBERS):
            account = self._accounts[n % len(self._accounts)]
            subscriber = Subscriber(f"subscriber{n}", account, channels[n // len(self._accounts) % CHANNELS])
            self.subscribers.append(subscriber)
            self._tasks.append(loop.create_task(subscriber.run(self._session, self._port, self.notes)))
        async with asyncio.timeout(30):
            for subscriber in self.subscribers:
                await subscriber.subscribed.wait()
        for n in range(WRITERS):
            account = self._accounts[n % len(self._accounts)]
            channel = channels[n // len(self._accounts) % CHANNELS]
            kind = RestWriter if n // 2 % 2 else SocketWriter
            writer = kind(f"{kind.__name__}{n}", account, channel, self._run)
            self._writers.append(writer.name)
            self._tasks.append(loop.create_task(self._write(writer)))

    async def _write(self, writer: "RestWriter | SocketWriter") -> None:
        number = 0
        while not self._stopping.is_set():
            number += 1
            request = f"{self._run}-{writer.name}-{number}"
            await self._settle(writer, request)
            await asyncio.sleep(PAUSE_S)
        await writer.close()

    async def _settle(self, writer: "RestWriter | SocketWriter", request: str) -> None:
        """Repeat one request under its key until it is acknowledged."""
        attempt, give_up = 0, time.monotonic() + GIVE_UP_S
        while time.monotonic() < give_up:
            attempt += 1
            common = {
                "organization": writer.account.organization,
                "channel": writer.channel,
                "operation": f"{request}#{attempt}",
                "id": request,
                "key": request,
            }
            self.notes.note(writer.name, "invoke", **common)
            try:
                result, position = await writer.publish(self._session, self._port, request)
            except (aiohttp.ClientError, TimeoutError, OSError, ConnectionError):
                result, position = "unknown", {}
            self.notes.note(writer.name, result, **common, **position)
            if result == "ok":
                return
            await asyncio.sleep(BACKOFF_S)

    async def stop(self, within_s: float = 15.0) -> None:
        """End the writers, wait until every subscriber has all that was acknowledged, and note who stands."""
        self._stopping.set()
        writers = self._tasks[len(self.subscribers) :]
        await asyncio.gather(*writers)
        await eventually(self._all_delivered, within_s=within_s)
        for subscriber in self.subscribers:
            subscriber.end(self.notes)

    async def __aexit__(self, *_: object) -> None:
        """End everybody, wherever they are."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._session.close()

    def _all_delivered(self) -> bool:
        tops: dict[tuple[str, str], int] = {}
        for record in self.notes.records:
            if record.type == "ok":
                where = (record.organization, record.channel)
                tops[where] = max(tops.get(where, 0), record.offset)
        return all(
            subscriber.offset >= tops.get((subscriber.account.organization, subscriber.channel), 0)
            for subscriber in self.subscribers
        )


class RestWriter:
    """Publishes over REST with an idempotency key."""

    def __init__(self, name: str, account: Account, channel: str, run: str) -> None:
        self.name, self.account, self.channel, self.run = name, account, channel, run

    async def publish(
        self, session: aiohttp.ClientSession, port: int, request: str
    ) -> tuple[str, dict[str, Any]]:
        """Send one attempt; return how it ended and, when acknowledged, its position."""
        url = f"http://127.0.0.1:{port}/v1/channels/{self.channel}/publications"
        headers = {"Authorization": f"Bearer {self.account.key}", "Idempotency-Key": request}
        body = {"data": {"id": request, "canary": self.account.organization}}
        async with session.post(url, json=body, headers=headers) as answer:
            text = await answer.text()
            if answer.status == 201:
                seen = json.loads(text)
                position = {name: seen[name] for name in ("seq", "offset", "epoch")}
                return "ok", {**position, "answer": text}
            if answer.content_type != "application/problem+json" or answer.status in (502, 504):
                return "unknown", {}
            code = json.loads(text)["code"]
            return ("unknown" if code in ("outcome_unknown", "internal") else "refused"), {}

    async def close(self) -> None:
        """Do nothing: the session is shared."""


class SocketWriter:
    """Publishes over a WebSocket; connects again when it is lost."""

    def __init__(self, name: str, account: Account, channel: str, run: str) -> None:
        self.name, self.account, self.channel, self.run = name, account, channel, run
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._number = 1

    async def publish(
        self, session: aiohttp.ClientSession, port: int, request: str
    ) -> tuple[str, dict[str, Any]]:
        """Send one attempt; return how it ended and, when acknowledged, its position."""
        if self._socket is None or self._socket.closed:
            # Not sent at all when this fails: an attempt that never began is refused, not unknown.
            try:
                self._socket = await connect(session, port, self.account.key)
            except (aiohttp.ClientError, TimeoutError, OSError):
                return "refused", {}
        self._number += 1
        data = {"id": request, "canary": self.account.organization}
        command = {"channel": self.channel, "data": data, "idempotency_key": request}
        try:
            await self._socket.send_str(json.dumps({"id": self._number, "publish": command}))
            reply = await self._reply(self._number)
        except (aiohttp.ClientError, TimeoutError, OSError):
            await self.close()
            raise
        if "error" in reply:
            return ("unknown" if reply["error"]["code"] == 100 else "refused"), {}
        result = reply["publish"]
        position = {"offset": result["offset"], "epoch": result["epoch"]}
        return "ok", {**position, "answer": json.dumps(result, sort_keys=True)}

    async def _reply(self, number: int) -> dict[str, Any]:
        assert self._socket is not None
        while True:
            async with asyncio.timeout(ANSWER_S):
                for message in await lines(self._socket):
                    if message.get("id") == number:
                        return message

    async def close(self) -> None:
        """Drop the socket."""
        if self._socket is not None:
            await self._socket.close()
            self._socket = None


class Subscriber:
    """Holds one subscription through everything, recovering from its own position."""

    def __init__(self, name: str, account: Account, channel: str) -> None:
        self.name, self.account, self.channel = name, account, channel
        self.offset = 0
        self.epoch = ""
        self.subscribed = asyncio.Event()
        self._is_live = False

    async def run(self, session: aiohttp.ClientSession, port: int, notes: Notes) -> None:
        """Subscribe and listen until cancelled; after each loss come back."""
        while True:
            try:
                socket = await connect(session, port, self.account.key)
                try:
                    await self._listen(socket, notes)
                finally:
                    await socket.close()
            except (aiohttp.ClientError, TimeoutError, OSError):
                self._is_live = False
            await asyncio.sleep(BACKOFF_S)

    async def _listen(self, socket: aiohttp.ClientWebSocketResponse, notes: Notes) -> None:
        wish = {"recover": True, "offset": self.offset, "epoch": self.epoch} if self.epoch else {}
        await socket.send_str(json.dumps({"id": 2, "subscribe": {"channel": self.channel, **wish}}))
        while True:
            for message in await lines(socket):
                push = message.get("push", {})
                if message.get("id") == 2:
                    if "error" in message:
                        return
                    self._subscribed(message["subscribe"], notes)
                elif "pub" in push:
                    self._saw(push["pub"], notes)
                elif "unsubscribe" in push:
                    self._is_live = False
                    return

    def _subscribed(self, result: dict[str, Any], notes: Notes) -> None:
        if not result.get("recovered"):
            self.offset = result.get("offset", 0)
            notes.note(
                self.name, "observe", f="start", organization=self.account.organization,
                channel=self.channel, offset=self.offset,
            )  # fmt: skip
        self.epoch = result["epoch"]
        for publication in result.get("publications", ()):
            self._saw(publication, notes)
        self._is_live = True
        self.subscribed.set()

    def _saw(self, publication: dict[str, Any], notes: Notes) -> None:
        data = publication["data"]
        notes.note(
            self.name, "observe", f="push", organization=self.account.organization, channel=self.channel,
            id=data["id"], canary=data["canary"], offset=publication["offset"], epoch=self.epoch,
        )  # fmt: skip
        self.offset = max(self.offset, publication["offset"])

    def end(self, notes: Notes) -> None:
        """Note that the subscription stands at the end of the run; one that is lost then proves nothing."""
        if self._is_live:
            notes.note(
                self.name, "observe", f="end", organization=self.account.organization, channel=self.channel
            )


async def connect(session: aiohttp.ClientSession, port: int, key: str) -> aiohttp.ClientWebSocketResponse:
    """Open a socket and connect with an API key."""
    url = f"ws://127.0.0.1:{port}/connection/websocket"
    async with asyncio.timeout(ANSWER_S):
        socket = await session.ws_connect(url, max_msg_size=0)
        await socket.send_str(json.dumps({"id": 1, "connect": {"token": key}}))
        for message in await lines(socket):
            if "error" in message:
                await socket.close()
                raise aiohttp.ClientError(str(message))
    return socket


async def lines(socket: aiohttp.ClientWebSocketResponse) -> list[dict[str, Any]]:
    """Return the messages of the next frame, its pings answered.

    Raises:
        aiohttp.ClientError: the socket was closed.
    """
    frame = await socket.receive()
    if frame.type is not aiohttp.WSMsgType.TEXT:
        raise aiohttp.ClientError(f"closed: {socket.close_code} {frame.extra}")
    messages = []
    for line in frame.data.split("\n"):
        if line == "{}":
            await socket.send_str("{}")
        elif line:
            messages.append(json.loads(line))
    return messages

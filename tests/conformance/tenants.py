"""Organizations of a running system, set up as their owners would do it."""

import asyncio
import itertools
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import jwt

from tests.helpers.loop import run
from tests.helpers.running import ROOT, Running

CREATED = re.compile(r"Organization +(org_\w+)\nAPI key +(tdg_\w+)\nToken secret +(\S+)")
LIFETIME_S = 3_600
LOOK_S = 0.1
IN_FORCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Tenant:
    """One organization, with its key for everything and the secret that signs tokens."""

    system: Running
    organization: str
    key: str
    secret: str

    def token(
        self, user: str, *, lifetime_s: int | None = LIFETIME_S, secret: str = "", **claims: Any
    ) -> str:
        """Return a connection token, or with `channel` a subscription token; `lifetime_s` None: for ever."""
        now = int(time.time())
        claims = {"sub": user, "org": self.organization, "iat": now, **claims}
        if lifetime_s is not None:
            claims["exp"] = now + lifetime_s
        return jwt.encode(claims, secret or self.secret, algorithm="HS256")

    def rest(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Call the API; what comes is a success."""
        status, answer = self.system.call(method, path, body, key=self.key)
        assert status < 300, (method, path, status, answer)
        return answer

    def api(self, method: str, **request: Any) -> dict[str, Any]:
        """Call a method of Centrifugo's HTTP API; what comes is a success."""
        answer = self.rest("POST", f"/api/{method}", request)
        assert "result" in answer, (method, answer)
        result: dict[str, Any] = answer["result"]
        return result

    def publish(self, channel: str, *documents: object, **options: Any) -> None:
        """Publish documents, one after the other, in one request."""
        items = [{"channel": channel, "data": data, **options} for data in documents]
        self.rest("POST", "/v1/publish", {"items": items})

    def has_namespaces(self, **namespaces: dict[str, Any]) -> None:
        """Give namespaces their options; any other is unknown from now on."""
        for name, options in namespaces.items():
            self.rest("PUT", f"/v1/channel_namespaces/{name}", options)
        self.rest("PATCH", "/v1/organization", {"unknown_namespaces": "refuse"})

    @contextmanager
    def as_default(self) -> Iterator[None]:
        """Be the organization of those who bring no credential, in place of the first one."""
        _tidings(self.system, "orgs", "set", "-o", self.organization, "--default")
        try:
            yield
        finally:
            _tidings(self.system, "orgs", "set", "-o", self.system.organization, "--default")


def first(system: Running) -> Tenant:
    """Return the organization that every system begins with."""
    return Tenant(system, system.organization, system.key, system.token_secret)


def create(system: Running, name: str) -> Tenant:
    """Make an organization. No process knows it yet, so what is set up before its first use holds at once."""
    found = CREATED.search(_tidings(system, "orgs", "create", name))
    assert found is not None
    return Tenant(system, *found.groups())


def _tidings(system: Running, *arguments: str) -> str:
    """Run the command line on a system."""
    done = subprocess.run(  # noqa: S603 (our own command)
        [sys.executable, "-m", "cli.main", *arguments],
        cwd=ROOT,
        env={**os.environ, "TIDINGS_DATA_DIR": str(system.data_dir)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def documents(numbers: range) -> list[dict[str, int]]:
    """Return small documents that tell their order."""
    return [{"n": n} for n in numbers]


def compact(document: object) -> str:
    """Return a document's shortest text."""
    return json.dumps(document, separators=(",", ":"))


@contextmanager
def default_of(
    system: Running, option: str, channel: str, namespaces: dict[str, dict[str, Any]]
) -> Iterator[Tenant]:
    """Give the organization of all who bring no credential, as soon as they may come into a channel."""
    made = create(system, option)
    made.has_namespaces(**namespaces)
    made.rest("PATCH", "/v1/organization", {option: True})
    with made.as_default():
        run(let_in(system, channel))
        yield made


async def let_in(system: Running, channel: str) -> None:
    """Return as soon as those without a credential may subscribe: what was read is believed for a while."""
    url = f"http://127.0.0.1:{system.port}/connection/websocket"
    commands = [{"id": 1, "connect": {}}, {"id": 2, "subscribe": {"channel": channel}}]
    frame = "\n".join(compact(command) for command in commands)
    async with asyncio.timeout(IN_FORCE_S), aiohttp.ClientSession() as session:
        for _ in itertools.count():
            if await _is_let_in(session, url, frame):
                return
            await asyncio.sleep(LOOK_S)


async def _is_let_in(session: aiohttp.ClientSession, url: str, frame: str) -> bool:
    async with session.ws_connect(url) as socket:
        await socket.send_str(frame)
        async for answer in socket:
            replies = [json.loads(line) for line in answer.data.splitlines()]
            if any("subscribe" in reply for reply in replies):
                return True
            if any("error" in reply for reply in replies):
                return False
    return False

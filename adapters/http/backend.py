"""Calls to the backends of organizations.

Each call goes by the organization's options as they are now (to a second), is signed, and is bounded: in its
time, in the size of its answer, and together with all others of the organization. Nothing is tried again,
since only the client knows what a repetition would do.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

import aiohttp
import structlog
from yarl import URL

from adapters.http.connections import Connector
from adapters.http.resolver import Resolver, Threads
from adapters.telemetry.tasks import Tasks
from core.connections.backend import BackendAnswer, BackendEvent, answer_of, body_of
from core.connections.backend_options import BackendOptions, passed_on
from core.connections.breaker import Breaker
from core.errors import Code, TidingsError
from core.ids import encode
from core.ports import Clock, Entropy
from core.webhooks.signature import read_secret, signed_headers
from settings import Backend

OPTIONS_S: Final = 1.0
"""How long options are believed: whoever changes them sees it soon."""
KEEP_ALIVE_S: Final = 15.0
_PORTS: Final = {"https": 443, "http": 80}
_UNPRIVILEGED_PORT: Final = 1_024
_OK: Final = 200
_SERVER_FAULTS: Final = 500
_CHUNK_BYTES: Final = 65_536
_NO_OPTIONS: Final = BackendOptions()

FindOptions = Callable[[bytes], Awaitable[BackendOptions | None]]


class _FailedError(Exception):
    """The backend answered nothing of use; the message says what."""


def endpoint_of(text: str, settings: Backend) -> URL | None:
    """Return the URL that calls go to; None: none may go there.

    That its host has a public address is seen when it is connected to, not before.
    """
    try:
        url = URL(text)
        port = url.port  # raises for what is no port
    except ValueError:
        return None
    schemes = _PORTS if settings.private else ("https",)
    if url.scheme not in schemes or not url.host or "@" in url.raw_authority or url.fragment:
        return None
    if port != _PORTS[url.scheme] and (port is None or port < _UNPRIVILEGED_PORT):
        return None
    return url


class _Line:
    """What is kept of one organization: its options, its connections, and how its URLs have answered."""

    def __init__(self) -> None:
        self.options = _NO_OPTIONS
        self.read_s = float("-inf")
        self.reading = asyncio.Lock()
        self.readers = 0
        self.breakers: dict[str, Breaker] = {}
        self.calls = 0
        self.session: aiohttp.ClientSession | None = None

    @property
    def is_idle(self) -> bool:
        return self.calls == self.readers == 0


class Backends:
    """Calls the backend of whichever organization; no two of them share a connection.

    Args:
        find: returns an organization's options, None: it has set none.
        settings: limits.
        clock: of deadlines, and of the time that calls are signed with.
        entropy: ids of calls.
    """

    def __init__(self, find: FindOptions, settings: Backend, clock: Clock, entropy: Entropy) -> None:
        self._find = find
        self._settings = settings
        self._clock = clock
        self._entropy = entropy
        self._tasks = Tasks("backends")
        self._threads = Threads()
        self._lines: OrderedDict[bytes, _Line] = OrderedDict()
        self._log = structlog.get_logger()

    async def close(self) -> None:
        """Close the connections; calls that are on their way fail."""
        for line in self._lines.values():
            if line.session is not None:
                await line.session.close()
        self._threads.close()
        await self._tasks.close()

    async def options(self, organization_id: bytes) -> BackendOptions:
        """Return an organization's options, at most a second old; of one that set none, without endpoints."""
        return (await self._line(organization_id)).options

    async def call(self, organization_id: bytes, event: BackendEvent) -> BackendAnswer:
        """Ask an organization's backend about an event.

        It may have taken effect there, whatever is raised but `not_available`.

        Raises:
            TidingsError: `not_available`, the organization names no endpoint for such events; `unavailable`,
                there is no answer in time, or none of use, or the backend is left alone for a while, or too
                many calls of the organization are on their way.
        """
        line = await self._line(organization_id)
        url = line.options.url_of(event.endpoint)
        if not url:
            raise TidingsError(Code.NOT_AVAILABLE, "The organization has no backend for this.")
        breaker = line.breakers.get(url)
        if breaker is None:
            breaker = line.breakers[url] = Breaker(self._settings.failures_max, self._settings.pause_s)
        if line.calls >= self._settings.calls_max or not breaker.admits(self._clock.monotonic()):
            raise _unavailable()
        line.calls += 1
        try:
            answer = await self._post(line, url, event)
        except (
            aiohttp.ClientError,
            OSError,
            UnicodeError,
            _FailedError,
        ) as error:  # UnicodeError: no host's name
            breaker.failed(self._clock.monotonic())
            if breaker.is_open:
                self._log.warning(
                    "backend.left_alone",
                    organization_id=encode("org", organization_id),
                    endpoint=event.endpoint,
                    error=f"{type(error).__name__}: {error}",
                )
            raise _unavailable() from None
        finally:
            line.calls -= 1
        # Whoever answers is there. What it says of a client's request is no reason to leave it alone: clients
        # could bring that about.
        breaker.succeeded()
        return answer_of(event, answer)

    async def _line(self, organization_id: bytes) -> _Line:
        line = self._lines.get(organization_id)
        if line is None:
            self._make_room()
            line = self._lines[organization_id] = _Line()
        self._lines.move_to_end(organization_id)
        if self._is_fresh(line):
            return line
        line.readers += 1
        try:
            async with line.reading:  # one reads for all
                if not self._is_fresh(line):
                    await self._read(line, organization_id)
        finally:
            line.readers -= 1
        return line

    def _is_fresh(self, line: _Line) -> bool:
        return self._clock.monotonic() < line.read_s + OPTIONS_S

    async def _read(self, line: _Line, organization_id: bytes) -> None:
        began_s = self._clock.monotonic()
        line.options = await self._find(organization_id) or _NO_OPTIONS
        line.read_s = began_s
        named = {line.options.url_of(event) for event in line.options.endpoints.__struct_fields__}
        line.breakers = {url: breaker for url, breaker in line.breakers.items() if url in named}

    def _make_room(self) -> None:
        if len(self._lines) < self._settings.organizations_max:
            return
        idle = next((key for key, line in self._lines.items() if line.is_idle), None)
        if idle is None:
            raise _unavailable()
        session = self._lines.pop(idle).session
        if session is not None:
            self._tasks.spawn("close", session.close())

    async def _post(self, line: _Line, url: str, event: BackendEvent) -> bytes:
        options, caller = line.options, event.caller
        target = endpoint_of(url, self._settings)
        if target is None:
            raise _FailedError("such a URL is not called")
        body = body_of(event, options)
        headers = {
            "user-agent": "Tidings",
            **passed_on(options, caller.headers, caller.emulated),
            "content-type": "application/json",
            "accept-encoding": "identity",
        }
        if options.secret:
            call_id = encode("call", self._entropy.id())
            headers |= signed_headers(read_secret(options.secret), call_id, self._clock.now(), body)
        if line.session is None:
            line.session = self._session()
        timeout = aiohttp.ClientTimeout(total=options.timeout_ms / 1_000)
        async with line.session.post(
            target, data=body, headers=headers, timeout=timeout, allow_redirects=False
        ) as answer:
            return await self._read_answer(answer)

    async def _read_answer(self, answer: aiohttp.ClientResponse) -> bytes:
        if answer.status >= _SERVER_FAULTS:
            raise _FailedError(f"status {answer.status}")
        if answer.status != _OK:
            return b""  # it is there, and has nothing to say
        body = bytearray()
        async for chunk in answer.content.iter_chunked(_CHUNK_BYTES):
            body += chunk
            if len(body) > self._settings.answer_bytes_max:
                raise _FailedError("too long an answer")
        return bytes(body)

    def _session(self) -> aiohttp.ClientSession:
        connector = Connector(
            Resolver(self._threads),
            body_bytes_max=self._settings.answer_bytes_max,
            private=self._settings.private,
            limit=self._settings.connections_max,
            keepalive_timeout=KEEP_ALIVE_S,
        )
        return aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
        )


def _unavailable() -> TidingsError:
    return TidingsError(Code.UNAVAILABLE, "The organization's backend does not answer.")

"""Key sets that identity providers publish: fetched when a token needs them, and believed for a while.

However many tokens come, and whatever they say, a URL is asked by one request at a time, and no more often
than the settings allow. That it does not answer is no fault of a token: then the error is `unavailable`.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, replace
from math import inf
from typing import Final

import aiohttp
import structlog

from adapters.http.connections import Connector
from adapters.http.resolver import Resolver, Threads
from adapters.telemetry.tasks import Tasks
from core.auth.jwt import Jwt
from core.auth.key_set import KeySet, read_key_set
from core.errors import Code, TidingsError
from core.ports import Clock
from settings import Tokens

RETRY_S: Final = 1.0
"""Between two tries of a URL that does not answer."""
REQUESTS_MAX: Final = 32
"""At a time, to all URLs; more wait for their turn."""
_OK: Final = 200
_CHUNK_BYTES: Final = 65_536
_NOTHING: Final = KeySet(())


class _UnusableError(Exception):
    """What was answered is no key set."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What a URL has published: `keys` at `fetched_s`; it was asked last at `tried_s`."""

    keys: KeySet = _NOTHING
    fetched_s: float = -inf
    tried_s: float = -inf


class KeySets:
    """The key sets of all organizations; those that name the same URL share one."""

    def __init__(self, settings: Tokens, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._tasks = Tasks("key_sets")
        self._threads = Threads()
        self._session: aiohttp.ClientSession | None = None
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._fetching: dict[str, asyncio.Task[None]] = {}

    async def close(self) -> None:
        """Give up what is being fetched, and close the connections."""
        await self._tasks.close()
        if self._session is not None:
            await self._session.close()
        self._threads.close()

    async def key_set(self, url: str, token: Jwt) -> KeySet:
        """Return the keys that a URL publishes: fetched now, or lately and with the key that a token names.

        Raises:
            TidingsError: `unavailable`, the URL does not answer, or was asked too recently to be asked for
                this key.
        """
        known = self._known.get(url, _Known())
        if self._is_fresh(known) and known.keys.find(token) is not None:
            return known.keys
        if self._clock.monotonic() >= known.tried_s + self._pause_s(known):
            known = await self._fetched(url)
            if known.fetched_s == known.tried_s:
                return known.keys
        usable_until = known.fetched_s + self._settings.jwks_stale_s
        if known.keys.find(token) is not None and self._clock.monotonic() < usable_until:
            return known.keys
        raise TidingsError(Code.UNAVAILABLE, "The keys of this token's issuer are not known now.")

    def _is_fresh(self, known: _Known) -> bool:
        return self._clock.monotonic() < known.fetched_s + self._settings.jwks_cache_s

    def _pause_s(self, known: _Known) -> float:
        """Return for how long after a try there is no other: a key may be missing by anybody's whim."""
        return self._settings.jwks_refetch_s if self._is_fresh(known) else RETRY_S

    async def _fetched(self, url: str) -> _Known:
        """Fetch once for all who wait, and return what is known then."""
        fetching = self._fetching.get(url)
        if fetching is None:
            fetching = self._tasks.spawn("fetch", self._fetch(url), on_end=lambda: self._ended(url))
            self._fetching[url] = fetching
        await asyncio.shield(fetching)  # others wait for it, too
        return self._known.get(url, _Known())

    def _ended(self, url: str) -> None:
        del self._fetching[url]

    async def _fetch(self, url: str) -> None:
        tried_s = self._clock.monotonic()
        known = replace(self._known.get(url, _Known()), tried_s=tried_s)
        try:
            known = _Known(read_key_set(await self._read(url)), tried_s, tried_s)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError, _UnusableError) as error:
            structlog.get_logger().warning(
                "key_set.missed", url=url, error=f"{type(error).__name__}: {error}"
            )
        self._known[url] = known
        self._known.move_to_end(url)
        while len(self._known) > self._settings.jwks_sets_max:
            self._known.popitem(last=False)

    async def _read(self, url: str) -> bytes:
        settings = self._settings
        if not (url.startswith("https://") or settings.jwks_private):
            raise _UnusableError("only https is believed")
        async with self._opened.get(url, allow_redirects=False) as answer:
            if answer.status != _OK:
                raise _UnusableError(f"status {answer.status}")
            body = bytearray()
            async for chunk in answer.content.iter_chunked(_CHUNK_BYTES):
                body += chunk
                if len(body) > settings.jwks_bytes_max:
                    raise _UnusableError("too long")
        return bytes(body)

    @property
    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:  # made on the loop that uses it
            self._session = aiohttp.ClientSession(
                connector=Connector(
                    Resolver(self._threads, REQUESTS_MAX),
                    body_bytes_max=self._settings.jwks_bytes_max,
                    private=self._settings.jwks_private,
                    limit=REQUESTS_MAX,
                    force_close=True,
                ),
                timeout=aiohttp.ClientTimeout(total=self._settings.jwks_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"accept": "application/json", "accept-encoding": "identity"},
                auto_decompress=False,
            )
        return self._session

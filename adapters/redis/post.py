"""Hands commands to the replica that holds their session, whichever one a request has reached."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Final

import msgspec
import structlog

from adapters.redis.client import Cache, CacheError
from adapters.telemetry.tasks import Tasks
from core.errors import Code, TidingsError
from core.ports import Clock
from core.streams.event import Wire
from settings import Realtime

RETRY_S: Final = 0.5

Receive = Callable[[str, bytes], Awaitable[bool]]
"""Takes commands for a session and says whether it has that session; may raise `TidingsError`."""


class _Letter(Wire, frozen=True, tag=0):
    sender: str
    number: int
    session: str
    data: bytes


class _Answer(Wire, frozen=True, tag=1):
    number: int
    is_there: bool
    code: str = ""


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(_Letter | _Answer)


class Post:
    """The way between the replicas: each hears what is published under its own name.

    Nothing is kept: a letter reaches its replica once, or not at all.

    Args:
        cache: Redis or Valkey.
        node: this replica's name, which no other has or ever had.
        settings: limits.
        clock: for pauses.
    """

    def __init__(self, cache: Cache, node: str, settings: Realtime, clock: Clock) -> None:
        self._cache = cache
        self._node = node
        self._answer_s = settings.forward_s
        self._letters_max = settings.forwarded_max
        self._clock = clock
        self._ear = cache.ear(_channel_of(node))
        self._tasks = Tasks("post")
        self._log = structlog.get_logger()
        self._hears = asyncio.Event()
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[_Answer]] = {}
        self._received = 0

    async def open(self, receive: Receive) -> None:
        """Begin to take letters; a cache that is away is awaited in the background."""
        self._tasks.spawn("listen", self._listen(receive))

    async def close(self) -> None:
        """Take no more."""
        await self._tasks.close()
        await self._ear.close()

    async def deliver(self, node: str, session: str, data: bytes) -> bool:
        """Hand commands to a session of another replica, and return once that has them; False: there is none.

        Raises:
            TidingsError: `unavailable`, nobody can say within `forward_s`: they may have arrived;
                `capacity_reduced`, too many are on their way; or what the other replica says.
        """
        if len(self._waiting) >= self._letters_max:
            raise TidingsError(Code.CAPACITY_REDUCED, retry_after_s=1)
        number = next(self._numbers)
        future: asyncio.Future[_Answer] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            async with asyncio.timeout(self._answer_s):
                await self._hears.wait()  # else the answer would be missed
                if not await self._publish(node, _Letter(self._node, number, session, data)):
                    return False
                answer = await future
        except (CacheError, TimeoutError) as error:
            raise TidingsError(Code.UNAVAILABLE, "The session's replica can't be reached now.") from error
        finally:
            del self._waiting[number]
        if answer.code:
            raise TidingsError(Code(answer.code))
        return answer.is_there

    async def _publish(self, node: str, message: _Letter | _Answer) -> int:
        """Return how many have heard it: the replica of that name, or nobody."""
        (heard,) = await self._cache.run([("PUBLISH", _channel_of(node), _ENCODER.encode(message))])
        return int(heard)

    async def _listen(self, receive: Receive) -> None:
        while True:
            try:
                await self._ear.open()
                self._hears.set()
                while True:
                    self._take(await self._ear.hear(), receive)
            except CacheError as error:
                if self._hears.is_set():
                    self._log.warning("post.interrupted", reason=str(error))
                self._hears.clear()
            await self._clock.sleep(RETRY_S)

    def _take(self, raw: bytes, receive: Receive) -> None:
        try:
            message: _Letter | _Answer = _DECODER.decode(raw)
        except msgspec.DecodeError as error:
            self._log.warning("post.unread", reason=str(error))  # of another release, or of somebody else
            return
        match message:
            case _Answer():
                future = self._waiting.get(message.number)
                if future is not None and not future.done():
                    future.set_result(message)
            case _Letter():
                self._received += 1
                self._tasks.spawn("receive", self._receive(message, receive))

    async def _receive(self, letter: _Letter, receive: Receive) -> None:
        try:
            if self._received > self._letters_max:
                raise TidingsError(Code.CAPACITY_REDUCED)  # noqa: TRY301 (answered like what the session says)
            answer = _Answer(letter.number, await receive(letter.session, letter.data))
        except TidingsError as error:
            answer = _Answer(letter.number, is_there=True, code=error.code.value)
        finally:
            self._received -= 1
        try:
            await self._publish(letter.sender, answer)
        except CacheError as error:
            self._log.warning("post.unanswered", reason=str(error))


def _channel_of(node: str) -> str:
    return f"tidings:post:{node}"

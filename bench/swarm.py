"""Subscribers that never give up, all in one process of their own, which can be asked how they are."""

import asyncio
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection

import uvloop

from adapters.telemetry.tasks import Tasks
from bench.counter import raise_descriptor_limit
from bench.encoding import JSON
from bench.opening import IN_FLIGHT, TIMEOUT_S
from bench.returning import Returning
from bench.wire import Door, LoadError

LOOK_S = 0.2
STOPPED_RECEIVE_BYTES = 32_768
_FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True, slots=True)
class Seen:
    """How the subscribers are.

    `returned`: that came back since the mark, the last of them at `returned_ns` of the monotonic clock.
    `longest_silence_s` lies between two publications, `longest_away_s` between a loss and the next reply to
    subscribe. `codes`: with which codes connections ended since the mark; 1: with none.
    `offsets`: of each channel, where the last of its subscribers stands.
    """

    live: int
    returned: int
    returned_ns: int
    delivered: int
    missing: int
    repeated: int
    unrecovered: int
    longest_silence_s: float
    longest_away_s: float
    codes: Counter[int]
    offsets: dict[str, int]

    @property
    def fault(self) -> str:
        """Say what a subscriber lost; "": nothing."""
        faults = [
            f"{self.missing:,} publications missing" * bool(self.missing),
            f"{self.unrecovered:,} not recovered" * bool(self.unrecovered),
        ]
        return "; ".join(filter(None, faults))

    def are_at(self, heads: dict[str, int]) -> bool:
        """Return whether all have received their channel up to these offsets."""
        return all(self.offsets.get(channel, head) >= head for channel, head in heads.items())


class Swarm:
    """The other end of such a process."""

    def __init__(self, pipe: Connection, size: int) -> None:
        self._pipe, self.size = pipe, size

    def _ask(self, word: str) -> object:
        self._pipe.send(word)
        try:
            return self._pipe.recv()
        except EOFError:
            raise LoadError("the process of the subscribers ended") from None

    def look(self) -> Seen:
        """Return how they are."""
        seen = self._ask("look")
        assert isinstance(seen, Seen)
        return seen

    def mark(self) -> None:
        """Let returns, codes and silences count from now on."""
        self._ask("mark")

    def stop_reading(self) -> None:
        """Let none of them read any more."""
        self._ask("stop")

    def read_on(self) -> None:
        """Let all of them read again."""
        self._ask("read")

    def await_return(self, within_s: float) -> Seen:
        """Wait until each has come back since the mark; return how they are then, or when the time is up."""
        deadline = time.monotonic() + within_s
        while (seen := self.look()).returned < self.size or seen.live < self.size:
            if time.monotonic() > deadline:
                break
            time.sleep(LOOK_S)
        return seen

    def await_heads(self, heads: dict[str, int], within_s: float) -> Seen:
        """Wait until all stand at these offsets.

        Raises:
            LoadError: the time is up.
        """
        deadline = time.monotonic() + within_s
        while not (seen := self.look()).are_at(heads):
            if time.monotonic() > deadline:
                raise LoadError(f"subscribers stand below what was published, after {within_s:.0f} s")
            time.sleep(LOOK_S)
        return seen


@contextmanager
def swarm(
    door: Door,
    channels: Sequence[str],
    *,
    receive_bytes: int = 0,
) -> Iterator[Swarm]:
    """Hold one subscriber for each member of `channels` until the block ends.

    Raises:
        LoadError: they could not all subscribe.
    """
    here, there = _FORK.Pipe()
    plain = replace(door, encoding=JSON, wish={})
    process = _FORK.Process(target=_run, args=(plain, channels, receive_bytes, there))
    process.start()
    there.close()
    try:
        one = Swarm(here, len(channels))
        if (answer := here.recv()) != "open":
            raise LoadError(str(answer))
        yield one
    except EOFError:
        raise LoadError("the process of the subscribers ended") from None
    finally:
        with suppress(OSError):
            here.send("end")
        process.join(10)
        here.close()
        if process.is_alive():
            process.kill()
            process.join()


def _run(
    door: Door,
    channels: Sequence[str],
    receive_bytes: int,
    pipe: Connection,
) -> None:
    raise_descriptor_limit()
    uvloop.run(_hold(door, channels, receive_bytes, pipe))


async def _hold(
    door: Door,
    channels: Sequence[str],
    receive_bytes: int,
    pipe: Connection,
) -> None:
    tasks = Tasks("swarm")
    subscribers = [Returning(tasks, door, channel, receive_bytes) for channel in channels]
    doorway = asyncio.Semaphore(IN_FLIGHT)

    async def begin(one: Returning) -> None:
        async with doorway:
            one.dial()
            await one.subscribed.wait()

    try:
        async with asyncio.timeout(TIMEOUT_S):
            await asyncio.gather(*map(begin, subscribers))
        pipe.send("open")
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(pipe.fileno(), lambda: _answer(subscribers, pipe, over))
        await over.wait()
        loop.remove_reader(pipe.fileno())
    except TimeoutError:
        live = sum(one.is_live for one in subscribers)
        pipe.send(f"{live} of {len(subscribers)} subscribed within {TIMEOUT_S:.0f} s")
    for one in subscribers:
        one.end()
    await tasks.close()


def _answer(subscribers: Sequence[Returning], pipe: Connection, over: asyncio.Event) -> None:
    word = pipe.recv()
    if word == "end":
        over.set()
        return
    for one in subscribers:
        if word == "mark":
            one.mark()
        elif word in ("stop", "read"):
            one.read(reads=word == "read")
    pipe.send(_seen(subscribers) if word == "look" else word)


def _seen(subscribers: Sequence[Returning]) -> Seen:
    codes: Counter[int] = Counter()
    offsets: dict[str, int] = {}
    for one in subscribers:
        codes += one.codes
        offsets[one.channel] = min(offsets.get(one.channel, one.offset), one.offset)
    return Seen(
        live=sum(one.is_live for one in subscribers),
        returned=sum(bool(one.returned_ns) for one in subscribers),
        returned_ns=max(one.returned_ns for one in subscribers),
        delivered=sum(one.delivered for one in subscribers),
        missing=sum(one.missing for one in subscribers),
        repeated=sum(one.repeated for one in subscribers),
        unrecovered=sum(one.unrecovered for one in subscribers),
        longest_silence_s=max(one.longest_silence_ns for one in subscribers) / 1e9,
        longest_away_s=max(one.longest_away_ns for one in subscribers) / 1e9,
        codes=codes,
        offsets=offsets,
    )

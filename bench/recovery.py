"""How long does it take one client to recover much, and what do the others notice of it?"""

import json
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.synchronize import Event

from bench.conversation import conversation, head_of
from bench.exchange import Requests, call
from bench.figure import Figure
from bench.load import Load, judged, run
from bench.opening import TIMEOUT_S
from bench.place import Place
from bench.wire import Door, LoadError

FEW, MANY = 300, 100_000
FEW_MS_MAX = 1_000.0
MANY_S_MAX = 5.0
PER_REQUEST = 500
OTHERS = Load(subscribers=100, publishers=20, rate_hz=100, prefix="beside_recovery")
MEANWHILE_MAX = 1.2
_FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True, slots=True)
class Missed:
    """So many publications of a channel, the last of them at offset `head`."""

    channel: str
    epoch: str
    head: int
    count: int


def figures(place: Place, seconds: float) -> Sequence[Figure]:
    """Recover 300 and 100,000 missed publications, alone and while others publish and listen."""
    if not place.origin:
        return []
    few, many = _published(place, FEW), _published(place, MANY)
    few_s, many_s = _recover(place.door, few), _recover(place.door, many)
    before = run(place.door, OTHERS, seconds)
    with _recovering(place.door, many):
        meanwhile = run(place.door, OTHERS, seconds)
    ratio = meanwhile.driven.delivered_ms.p99 / before.driven.delivered_ms.p99
    straight = not place.is_edge
    return [
        Figure(f"recovery of {FEW}, until the last", few_s * 1e3, "ms", FEW_MS_MAX * straight, at_most=True),
        Figure(f"recovery of {MANY:,}, until the last", many_s, "s", MANY_S_MAX * straight, at_most=True),
        Figure(f"recovery of {MANY:,}", MANY / many_s, "publications/s"),
        Figure(
            f"delivered p99 beside recoveries of {MANY:,} / before",
            ratio,
            "ratio",
            MEANWHILE_MAX * straight,
            at_most=True,
            note=f"{before.driven.delivered_ms.p99:.1f} ms before",
            **judged(meanwhile),
        ),
    ]


def _published(place: Place, count: int) -> Missed:
    """Publish what is not there yet from an earlier run."""
    channel = f"recovery{count}"
    epoch, head = head_of(place.door, channel)
    while head < count:
        items = [
            {"channel": channel, "data": {"tidings_bench": "x" * 90}}
            for _ in range(min(PER_REQUEST, count - head))
        ]
        body = json.dumps({"items": items}).encode()
        call(Requests(place.origin, place.door.token, "POST", "/v1/publish", body))
        head += len(items)
    return Missed(channel, epoch, head, count)


def _recover(door: Door, missed: Missed) -> float:
    """Recover all that was missed, in order and nothing left out; return how many seconds it took."""
    offset, began = missed.head - missed.count, time.monotonic()
    wish = {"channel": missed.channel, "recover": True, "offset": offset, "epoch": missed.epoch}
    for message in conversation(door, wish):
        reply, push = message.get("subscribe"), message.get("push", {})
        if reply is not None and not reply.get("recovered"):
            raise LoadError(f"not recovered: {message}")
        for publication in reply.get("publications", []) if reply else [push["pub"]]:
            if publication["offset"] != offset + 1:
                raise LoadError(f"offset {publication['offset']} follows {offset}")
            offset += 1
        if offset == missed.head:
            return time.monotonic() - began
    raise LoadError("the server closed the socket before all was recovered")


@contextmanager
def _recovering(door: Door, missed: Missed) -> Iterator[None]:
    """Recover again and again in a process of its own until the block ends."""
    over = _FORK.Event()
    process = _FORK.Process(target=_repeat, args=(door, missed, over))
    process.start()
    try:
        yield
        if not process.is_alive():
            raise LoadError("a recovery beside others failed")
    finally:
        over.set()
        process.join(TIMEOUT_S)
        process.kill()


def _repeat(door: Door, missed: Missed, over: Event) -> None:
    while not over.is_set():
        _recover(door, missed)

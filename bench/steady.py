"""A publisher over REST that repeats each publication under its key until it is acknowledged."""

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from itertools import cycle
from json import dumps, loads
from multiprocessing.connection import Connection
from urllib.parse import urlsplit
from uuid import uuid4

from bench.place import Place
from bench.wire import LoadError

ANSWER_S = 5.0
AGAIN_S = 0.1
GIVE_UP_S = 120.0
_FORK = multiprocessing.get_context("fork")


class Steady:
    """The other end of the process that publishes."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._heads: dict[str, int] | None = None

    def end(self) -> dict[str, int]:
        """Publish no more; return the offset of each channel's last publication, all of them acknowledged.

        Raises:
            LoadError: one was never acknowledged.
        """
        if self._heads is None:
            self._pipe.send("end")
            try:
                heads = self._pipe.recv()
            except EOFError:
                raise LoadError("the publisher ended") from None
            if isinstance(heads, str):
                raise LoadError(heads)
            self._heads = heads
        return self._heads


@contextmanager
def steady(place: Place, channels: Sequence[str], rate_hz: float) -> Iterator[Steady]:
    """Publish `rate_hz` a second into the channels in turn until the block ends, or `end` is called."""
    here, there = _FORK.Pipe()
    process = _FORK.Process(target=_run, args=(place, channels, rate_hz, there))
    process.start()
    there.close()
    try:
        yield Steady(here)
    finally:
        here.close()
        process.terminate()
        process.join()


def _run(place: Place, channels: Sequence[str], rate_hz: float, pipe: Connection) -> None:
    heads: dict[str, int] = {}
    connection = HTTPConnection(urlsplit(place.origin).netloc, timeout=ANSWER_S)
    next_s = time.monotonic()
    for channel in cycle(channels):
        offset = _published(connection, place.door.token, channel)
        if not offset:
            pipe.send(f"a publication was not acknowledged within {GIVE_UP_S:.0f} s")
            return
        heads[channel] = offset
        next_s = max(next_s + 1 / rate_hz, time.monotonic() - 1.0)  # a long silence is not made up for
        if pipe.poll(max(0.0, next_s - time.monotonic())):
            break
    pipe.send(heads)


def _published(connection: HTTPConnection, key: str, channel: str) -> int:
    """Publish once, however often it takes; return the offset, or 0 when it was given up."""
    headers = {
        "Authorization": f"Bearer {key}", "Content-Type": "application/json", "Idempotency-Key": uuid4().hex
    }  # fmt: skip
    body, deadline = dumps({"data": {"tidings_bench": "steady"}}), time.monotonic() + GIVE_UP_S
    while time.monotonic() < deadline:
        try:
            connection.request("POST", f"/v1/channels/{channel}/publications", body, headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status == 201:
                return int(loads(text)["offset"])
        except (OSError, HTTPException):
            connection.close()
        time.sleep(AGAIN_S)
    return 0

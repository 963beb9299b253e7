"""REST load: keep-alive connections that send the next request when the answer is whole."""

import multiprocessing
import re
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from urllib.parse import urlsplit

from bench.machine import NO_CPU, Cpu, CpuMeter
from bench.quantiles import Quantiles, quantiles
from bench.wire import LoadError, Readable

WARM_S = 1.0
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True, slots=True)
class Requests:
    """What is sent to `origin` (scheme, host, port) over `connections`; the body may differ by request."""

    origin: str
    key: str
    method: str
    path: str
    body: bytes | Callable[[int], bytes] = b""
    connections: int = 64
    scheme: str = "Bearer"

    def bytes_of(self, number: int) -> bytes:
        """Return request `number` as it goes onto the wire."""
        body = self.body(number) if callable(self.body) else self.body
        kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
        return (
            f"{self.method} {self.path} HTTP/1.1\r\nHost: {urlsplit(self.origin).netloc}\r\n"
            f"Authorization: {self.scheme} {self.key}\r\n{kind}\r\n"
        ).encode() + body


@dataclass(frozen=True, slots=True)
class Exchanged:
    """What the clients saw. `errors`: answers other than 2xx."""

    answers_hz: float
    latency_ms: Quantiles
    errors: int
    first_error: str
    cpu: Cpu = NO_CPU


class _Client:
    def __init__(self, requests: Requests) -> None:
        parts = urlsplit(requests.origin)
        self.socket = socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 80))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._seen = b""
        self.sent_ns = 0

    def send(self, request: bytes) -> None:
        self.sent_ns = time.monotonic_ns()
        self.socket.sendall(request)

    def answer(self) -> bytes | None:
        """Read once; return the whole answer when it is there."""
        piece = self.socket.recv(262_144)
        if not piece:
            raise LoadError("the server closed a keep-alive connection")
        self._seen += piece
        end = self._seen.find(b"\r\n\r\n")
        if end < 0:
            return None
        length = _LENGTH.search(self._seen, 0, end)
        if length is None:
            raise LoadError(f"no Content-Length in {self._seen[:end]!r}")
        if len(self._seen) < end + 4 + int(length[1]):
            return None
        whole, self._seen = self._seen, b""
        return whole


def call(requests: Requests) -> bytes:
    """Send request 0 once and return the body of its answer.

    Raises:
        LoadError: the status is not 2xx.
    """
    client = _Client(requests)
    client.send(requests.bytes_of(0))
    while (whole := client.answer()) is None:
        pass
    client.socket.close()
    if whole[9:10] != b"2":
        raise LoadError(whole[:600].decode(errors="replace"))
    return whole.partition(b"\r\n\r\n")[2]


def exchange(requests: Requests, seconds: float) -> Exchanged:
    """Run the load in a process of its own, and measure both sides' processor time.

    Raises:
        LoadError: no connection, or one was lost.
    """
    here, there = _FORK.Pipe()
    process = _FORK.Process(target=_run, args=(requests, seconds, there))
    process.start()
    meter = CpuMeter([process.pid] if process.pid else [])
    seen = here.recv()
    cpu = meter.read()
    here.send(None)
    process.join()
    if isinstance(seen, str):
        raise LoadError(seen)
    assert isinstance(seen, Exchanged)
    span = seconds + WARM_S
    return Exchanged(
        seen.answers_hz, seen.latency_ms, seen.errors, seen.first_error,
        Cpu(cpu.generator_s / span, cpu.rest_s / span),
    )  # fmt: skip


def _run(requests: Requests, seconds: float, pipe: Connection) -> None:
    try:
        pipe.send(_exchange(requests, seconds))
    except (LoadError, OSError) as failed:
        pipe.send(f"{type(failed).__name__}: {failed}")
    pipe.recv()  # the parent reads this process's times before it ends


def _exchange(requests: Requests, seconds: float) -> Exchanged:
    clients = {client.socket: client for client in (_Client(requests) for _ in range(requests.connections))}
    number = 0
    for client in clients.values():
        client.send(requests.bytes_of(number))
        number += 1
    latencies, errors, first_error = [], 0, ""
    readable = Readable(list(clients))
    began = time.monotonic() + WARM_S
    ends = began + seconds
    while (moment := time.monotonic()) < ends:
        for one in readable.wait(0.2):
            client = clients[one]
            whole = client.answer()
            if whole is None:
                continue
            if moment >= began:
                latencies.append(time.monotonic_ns() - client.sent_ns)
            if whole[9:10] != b"2":
                errors += 1
                first_error = first_error or whole[:300].decode(errors="replace")
            client.send(requests.bytes_of(number))
            number += 1
    return Exchanged(len(latencies) / seconds, quantiles(latencies), errors, first_error)

"""How does the same load fare on a Centrifugo server beside Tidings, in the same run?

`BENCH_CENTRIFUGO_URL` is its WebSocket URL, `BENCH_CENTRIFUGO_KEY` the key of its HTTP API,
`BENCH_CENTRIFUGO_SECRET` what its connection tokens are signed with; how to start one that is comparable
says docs/operations/benchmarks.md.
"""

import json
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlsplit

import jwt

from bench.exchange import Requests, exchange
from bench.figure import Figure
from bench.load import Load, counting, judged, run
from bench.machine import listeners, resident_bytes
from bench.place import Place
from bench.slots import Slots
from bench.wire import Door

URL, KEY, SECRET = "BENCH_CENTRIFUGO_URL", "BENCH_CENTRIFUGO_KEY", "BENCH_CENTRIFUGO_SECRET"
SOCKETS, CHANNELS = 2_000, 100
SETTLE_S = 2.0
PUBLICATION = json.dumps({"channel": "bench", "data": {"tidings_bench": "x" * 90}}).encode()
FANOUT, STEADY = Load(1_000, 64), Load(1_000, 20, rate_hz=100)


def figures(place: Place, seconds: float) -> Sequence[Figure]:
    """Measure Tidings and Centrifugo one after the other, and show Tidings' figures and the ratios."""
    url = os.environ.get(URL, "")
    if not url or place.is_edge:
        return []
    key, secret = os.environ.get(KEY, ""), os.environ.get(SECRET, "")
    token = jwt.encode({"sub": "bench"}, secret, algorithm="HS256") if secret else ""
    parts = urlsplit(url)
    other = Place("straight", Door(url, token), f"http://{parts.netloc}" if key else "", place.data_dir)
    ours = _fared(place, place.door.token, seconds)
    theirs = _fared(other, key, seconds)
    return [figure for own, its in zip(ours, theirs, strict=False) for figure in _beside(own, its)]


def _beside(own: Figure, its: Figure) -> Sequence[Figure]:
    ratio = own.value / its.value if its.value else 0.0
    fault = own.fault or its.fault
    return [
        replace(own, name=f"Tidings, {own.name}"),
        replace(its, name=f"Centrifugo, {its.name}"),
        replace(own, name=f"Tidings / Centrifugo, {own.name}", value=ratio, unit="ratio", fault=fault),
    ]


def _fared(place: Place, key: str, seconds: float) -> Sequence[Figure]:
    each_kib = _socket_kib(place)  # first: what other loads have made a process allocate is no socket's
    fault = "" if each_kib > 1 else "start the server freshly: earlier sockets left it their memory"
    fanout, steady = run(place.door, FANOUT, seconds), run(place.door, STEADY, seconds)
    late, who = steady.driven.delivered_ms, f"1,000 subscribers, {STEADY.rate_hz:.0f}/s open loop"
    found = [
        Figure("memory of a socket", each_kib, "KiB (PSS)", at_most=True, first=True, fault=fault),
        Figure("1,000 subscribers, 64 publishers", fanout.deliveries_hz, "deliveries/s", **judged(fanout)),
        Figure(f"{who}, delivered p50", late.p50, "ms", at_most=True, **judged(steady)),
        Figure(f"{who}, delivered p99", late.p99, "ms", at_most=True, **judged(steady)),
    ]
    return [*found, _publishes(place, key, seconds)] if place.origin else found


def _socket_kib(place: Place) -> float:
    run(place.door, Load(4, 4), 0.5)
    pids = listeners(place.socket_port)
    before = resident_bytes(pids)
    subscriptions = [(f"idle{n % CHANNELS}",) for n in range(SOCKETS)]
    with counting(place.door, [subscriptions], Slots(1)):
        time.sleep(SETTLE_S)
        return (resident_bytes(pids) - before) / SOCKETS / 1024


def _publishes(place: Place, key: str, seconds: float) -> Figure:
    """Publish over the HTTP API that both have."""
    seen = exchange(
        Requests(place.origin, key, "POST", "/api/publish", PUBLICATION, scheme="apikey"), seconds
    )
    fault = f"{seen.errors} errors, e.g. {seen.first_error[:200]}" if seen.errors else ""
    return Figure("POST /api/publish, 64 connections", seen.answers_hz, "/s", cpu=seen.cpu, fault=fault)

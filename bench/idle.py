"""What does a socket cost that only waits, and how many can be held?"""

import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace

from bench.encoding import PROTOBUF
from bench.figure import Figure
from bench.load import SOCKETS_PER_PROCESS, Load, counting, judged, run
from bench.machine import listeners, resident_bytes
from bench.namespaces import set_namespace, users_door
from bench.place import Place
from bench.slots import Slots, Stage

STRAIGHT_SOCKETS = 15_000
OTHERS = 1_500
"""In each other way; with those above below what one address may hold."""
EDGE_SOCKETS = 8_000
SOCKET_KIB_MAX = 15.0
SETTLE_S = 2.0
CHANNELS = 100
NAMESPACE = "benchidle"
OPTIONS = {"presence": True, "history": "whole", "allow_recovery": True, "allow_subscribe_for_client": True}


def figures(place: Place, seconds: float) -> Sequence[Figure]:
    """Hold thousands of subscribed sockets past a ping, while others publish, and count who was closed."""
    sockets = EDGE_SOCKETS if place.is_edge else STRAIGHT_SOCKETS
    run(place.door, Load(4, 4), 0.5)  # what the first publications allocate is no socket's
    pids = listeners(place.socket_port)
    before = resident_bytes(pids)
    subscriptions = [(f"idle{n % CHANNELS}",) for n in range(sockets)]
    parts = [subscriptions[i : i + SOCKETS_PER_PROCESS] for i in range(0, sockets, SOCKETS_PER_PROCESS)]
    slots = Slots(len(parts))
    began = time.monotonic()
    with counting(place.door, parts, slots):
        opened_s = time.monotonic() - began
        slots.stage = Stage.MEASURE
        time.sleep(SETTLE_S)
        each_kib = (resident_bytes(pids) - before) / sockets / 1024
        others = [] if place.is_edge else _others(place, pids)
        seen = run(place.door, Load(4, 20, rate_hz=200), max(seconds, 30.0))  # a ping each 25 s
        held = sockets - slots.closed()
    rest = judged(seen)
    floor = SOCKET_KIB_MAX * (not place.is_edge)
    return [
        Figure("idle sockets held while publishing", held, "sockets", sockets, **rest),
        _memory("JSON", each_kib, floor),
        *others,
        Figure("connect and subscribe", sockets / opened_s, "sockets/s"),
        Figure(
            "publication beside them, delivered p99", seen.driven.delivered_ms.p99, "ms", at_most=True, **rest
        ),
    ]


def _others(place: Place, pids: Iterable[int]) -> Sequence[Figure]:
    """Open others beside those that are held: what is given back and taken again would cost nothing."""
    kinds = [("protobuf", replace(place.door, encoding=PROTOBUF), "idle", SOCKET_KIB_MAX)]
    if place.origin:
        set_namespace(place, NAMESPACE, OPTIONS)
        kinds.append(("JSON, with presence", users_door(place), f"{NAMESPACE}:", SOCKET_KIB_MAX))
    found: list[Figure] = []
    with ExitStack() as held:
        for name, door, prefix, floor in kinds:
            before = resident_bytes(pids)
            subscriptions = [(f"{prefix}{n % CHANNELS}",) for n in range(OTHERS)]
            held.enter_context(counting(door, [subscriptions], Slots(1)))
            time.sleep(SETTLE_S)
            found.append(_memory(name, (resident_bytes(pids) - before) / OTHERS / 1024, floor))
    return found


def _memory(what: str, each_kib: float, floor: float) -> Figure:
    name = f"memory of an idle subscribed socket, {what}"
    return Figure(name, each_kib, "KiB (PSS)", floor, at_most=True, first=True)

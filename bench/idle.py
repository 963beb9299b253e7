"""What does a socket cost that only waits, and how many can be held?"""

import time
from collections.abc import Sequence

from bench.figure import Figure
from bench.load import SOCKETS_PER_PROCESS, Load, counting, judged, run
from bench.machine import listeners, resident_bytes
from bench.place import Place
from bench.slots import Slots, Stage

STRAIGHT_SOCKETS = 15_000
EDGE_SOCKETS = 8_000
SOCKET_KIB_MAX = 15.0
SETTLE_S = 2.0
CHANNELS = 100


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
        seen = run(place.door, Load(4, 20, rate_hz=200), max(seconds, 30.0))  # a ping each 25 s
        held = sockets - slots.closed()
    rest = judged(seen)
    return [
        Figure("idle sockets held while publishing", held, "sockets", sockets, **rest),
        Figure(
            "memory of an idle subscribed socket",
            each_kib,
            "KiB (PSS)",
            SOCKET_KIB_MAX * (not place.is_edge),
            at_most=True,
            first=True,
        ),
        Figure("connect and subscribe", sockets / opened_s, "sockets/s"),
        Figure(
            "publication beside them, delivered p99", seen.driven.delivered_ms.p99, "ms", at_most=True, **rest
        ),
    ]

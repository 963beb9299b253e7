"""Do subscribers that stop reading hurt the others, or the replica's memory?"""

from collections.abc import Sequence

from bench.conversation import head_of
from bench.figure import Figure
from bench.load import Load, judged, run
from bench.machine import listeners, resident_bytes
from bench.peak import peak_bytes
from bench.place import Place
from bench.swarm import swarm
from core.connections.codes import SLOW
from settings import Realtime

SUBSCRIBERS, STOPPED = 2_000, 200
PAYLOAD_BYTES, RATE_HZ = 16_384, 10.0
LONG_S = 45.0
"""In this time more flows by than the kernel and a connection's outbox hold together."""
RECEIVE_BYTES = 32_768
P99_RATIO_MAX = 1.10
RETURN_S, CATCH_UP_S = 60.0, 60.0
MIB = 1_048_576
OUTBOX_BYTES: int = Realtime.model_fields["outbox_bytes_max"].default
MEMORY_SLACK = 1.25


def figures(place: Place, seconds: float) -> Sequence[Figure]:
    """Publish to 2,000 sockets, to the same while every tenth does not read, and again when those read on."""
    if place.is_edge or not place.origin:  # what stands between would read for those who stopped
        return []
    load = Load(SUBSCRIBERS - STOPPED, 4, rate_hz=RATE_HZ, prefix="slow", payload_bytes=PAYLOAD_BYTES)
    channel, long_s = load.channel(0), max(seconds, LONG_S)
    pids = listeners(place.replica_port)
    with swarm(place.door, [channel] * STOPPED, receive_bytes=RECEIVE_BYTES) as stopped:
        before = run(place.door, load, long_s)
        resting = resident_bytes(pids)
        stopped.mark()
        stopped.stop_reading()
        with peak_bytes(pids) as most:
            meanwhile = run(place.door, load, long_s)
        stopped.read_on()
        seen = stopped.await_return(RETURN_S)
        _, head = head_of(place.door, channel)
        seen = stopped.await_heads({channel: head}, CATCH_UP_S)
        after = run(place.door, load, long_s)
    before_ms, after_ms = (one.driven.delivered_ms.p99 for one in (before, after))
    # The mean of both sides: a machine that becomes slower in these minutes is not what is asked about.
    ratio = 2 * meanwhile.driven.delivered_ms.p99 / (before_ms + after_ms)
    codes = ", ".join(f"{count} with {code}" for code, count in sorted(seen.codes.items()))
    fault = seen.fault or f"closed {codes}" * (set(seen.codes) != {SLOW})
    who = f"{STOPPED} of {SUBSCRIBERS:,} stop reading"
    return [
        Figure(
            f"{who}: p99 of the others / before and after", ratio, "ratio", P99_RATIO_MAX, at_most=True,
            note=f"{before_ms:.1f} ms before, {after_ms:.1f} ms after", **judged(meanwhile),
        ),
        Figure(
            f"{who}: memory of the replica, above before", (most.value - resting) / MIB, "MiB (PSS)",
            STOPPED * OUTBOX_BYTES / MIB * MEMORY_SLACK, at_most=True,
        ),
        Figure(
            f"{who}: dropped, back, nothing missing", seen.returned, "sockets", STOPPED,
            note=codes, fault=fault,
        ),
    ]  # fmt: skip

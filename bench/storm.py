"""How soon is everybody back who was dropped at once?"""

import os
import signal
import socket
import time
from collections.abc import Sequence

from bench.figure import Figure
from bench.limits import limits_of
from bench.machine import listeners
from bench.place import Place
from bench.steady import steady
from bench.swarm import swarm
from bench.wire import LoadError

SOCKETS, CHANNELS = 5_000, 100
RATE_HZ = 20.0
SETTLE_S = 2.0
BACK_S_MAX = 30.0
GIVE_UP_S = 120.0
CUT = b"shutdown sessions server sockets/sockets\n"


def figures(place: Place, seconds: float) -> Sequence[Figure]:  # noqa: ARG001 (it takes what it takes)
    """Drop 5,000 subscribers that come back as the SDKs do, while others publish, and see them recover.

    Straight, a replica is killed; in the edge's column the edge cuts them all, and the replicas live on.
    """
    if not place.origin or not listeners(place.replica_port):  # they must run here to be killed
        return []
    channels = [f"storm{n}" for n in range(CHANNELS)]
    subscriptions = [channels[n % CHANNELS] for n in range(SOCKETS)]
    with swarm(place.door, subscriptions) as subscribers, steady(place, channels, RATE_HZ) as publisher:
        time.sleep(SETTLE_S)
        subscribers.mark()
        dropped_ns = time.monotonic_ns()
        _cut(place) if place.is_edge else _kill(place)
        back = subscribers.await_return(GIVE_UP_S)
        seen = subscribers.await_heads(publisher.end(), GIVE_UP_S)
    back_s = (back.returned_ns - dropped_ns) / 1e9
    short = "" if back.returned == SOCKETS else f"only {back.returned:,} came back"
    how = "cut by the edge" if place.is_edge else "their replica killed"
    return [
        Figure(
            f"{SOCKETS:,} sockets dropped at once, all back", back_s, "s", BACK_S_MAX, at_most=True,
            fault=short or seen.fault, note=f"{how}; {limits_of(place).text}",
        )
    ]  # fmt: skip


def _kill(place: Place) -> None:
    for pid in listeners(place.replica_port):
        os.kill(pid, signal.SIGKILL)


def _cut(place: Place) -> None:
    path = place.data_dir / "run" / "edge.sock"
    if not path.exists():
        raise LoadError(f"no {path}: the edge of another machine can't be told to cut")
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(str(path))
        control.sendall(CUT)
        control.recv(1_024)

"""What does presence cost with ten thousand members in one channel?"""

import json
import socket
import time
from collections.abc import Sequence
from typing import Any

from bench.exchange import Requests, call
from bench.figure import Figure
from bench.namespaces import set_namespace, users_door
from bench.opening import open_sockets
from bench.place import Place
from bench.quantiles import Quantiles, quantiles
from bench.subscribing import await_answers, subscribe_all
from bench.wire import Door, LoadError, Readable

NAMESPACE = "benchpresence"
CHANNEL = f"{NAMESPACE}:one"
OPTIONS = {
    "presence": True, "history": "whole", "allow_recovery": True, "allow_subscribe_for_client": True,
    "allow_presence_for_subscriber": True,
}  # fmt: skip
MEMBERS, EDGE_MEMBERS = 10_000, 2_000
STATS_ASKED, LIST_ASKED = 100, 5
ENTERS_MIN = 1_000
STATS_P99_MS_MAX = 25.0
ENTERED_WITHIN_S = 10.0
"""A subscribe waits a second for its entry; when these are too many at once, some follow."""
LEFT_WITHIN_S = 30.0
LOOK_S = 0.05


def figures(place: Place, seconds: float) -> Sequence[Figure]:  # noqa: ARG001 (so many members take what they take)
    """Let all enter, ask how many and who they are, and let all leave."""
    if not place.origin:
        return []
    set_namespace(place, NAMESPACE, OPTIONS)
    door, members = users_door(place), EDGE_MEMBERS if place.is_edge else MEMBERS
    sockets = open_sockets(door, [()] * members)
    try:
        began = time.monotonic()
        subscribe_all(door, sockets, [CHANNEL])
        there = _filled(place, members)
        entered_s = time.monotonic() - began
        fault = "" if there == members else f"{there:,} of {members:,} are present"
        stats = _asked(door, sockets[0], "presence_stats", STATS_ASKED)
        listed = _asked(door, sockets[0], "presence", LIST_ASKED)
        began = time.monotonic()
        for one in sockets:
            one.close()
        left_s = _emptied(place) - began
    finally:
        for one in sockets:
            one.close()
    floor = not place.is_edge
    who = f"{members:,} members of one channel"
    return [
        Figure(f"{who}, enter", members / entered_s, "/s", ENTERS_MIN * floor, fault=fault),
        Figure(f"{who}, presence_stats p50", stats.p50, "ms", at_most=True),
        Figure(f"{who}, presence_stats p99", stats.p99, "ms", STATS_P99_MS_MAX * floor, at_most=True),
        Figure(f"{who}, presence p50", listed.p50, "ms", at_most=True),
        Figure(f"{who}, all leave", members / left_s, "/s"),
    ]  # fmt: skip


def _there(place: Place) -> int:
    answer = call(Requests(place.origin, place.door.token, "GET", f"/v1/channels/{CHANNEL}/presence/stats"))
    found: dict[str, Any] = json.loads(answer)
    return int(found["clients"])


def _filled(place: Place, members: int) -> int:
    """Return how many are present, once all of them are or the time is up."""
    deadline = time.monotonic() + ENTERED_WITHIN_S
    while (there := _there(place)) < members and time.monotonic() < deadline:
        time.sleep(LOOK_S)
    return there


def _emptied(place: Place) -> float:
    """Return when nobody was present any more."""
    deadline = time.monotonic() + LEFT_WITHIN_S
    while there := _there(place):
        if time.monotonic() > deadline:
            raise LoadError(f"{there:,} are present {LEFT_WITHIN_S:.0f} s after they left")
        time.sleep(LOOK_S)
    return time.monotonic()


def _asked(door: Door, one: socket.socket, command: str, times: int) -> Quantiles:
    """Ask one after the other."""
    readable, durations = Readable([one]), []
    for number in range(times):
        asked = door.encoding.payload([{"id": number + 10, command: {"channel": CHANNEL}}])
        began = time.monotonic_ns()
        one.send(door.frame(asked))
        await_answers(door, readable, {one: 1})
        durations.append(time.monotonic_ns() - began)
    return quantiles(durations)

"""Does a publication cost more because there are more subscribers, other channels, or other organizations?"""

import json
from collections.abc import Sequence
from socket import socket

from bench.exchange import Requests, call
from bench.figure import Figure
from bench.load import Load, counting, judged, run
from bench.opening import open_sockets
from bench.organizations import keys_of_others
from bench.place import Place
from bench.slots import Slots
from bench.wire import Door

CHANNELS_PER_SOCKET = 100
CHANNELS_PER_EVENT = 1_000
# What two runs of the same load differ by on a shared machine.
NOISE = 1.25


def figures(place: Place, seconds: float) -> Sequence[Figure]:
    """Publish beside other channels, beside other organizations, and to more and more subscribers."""
    if place.is_edge:  # the question is about what lies behind it
        return []
    beside = [*_beside_channels(place, seconds), *_beside_organizations(place, seconds)]
    return [*beside, *_to_subscribers(place, seconds)]


def _beside_channels(place: Place, seconds: float) -> Sequence[Figure]:
    found: list[Figure] = []
    for others in (1, 100, 10_000):
        channels = [f"other{n}" for n in range(others)]
        if place.origin:
            _publish_once(place, channels)
        sockets = [channels[i : i + CHANNELS_PER_SOCKET] for i in range(0, others, CHANNELS_PER_SOCKET)]
        slots = Slots(1)
        with counting(place.door, [sockets], slots):
            seen = run(place.door, Load(1, 64), seconds)
        floor = found[0].value / NOISE if found else 0.0
        name = f"64 publishers beside {others:,} other channels"
        found.append(Figure(name, seen.publishes_hz, "publishes/s", floor, **judged(seen)))
    return found


def _beside_organizations(place: Place, seconds: float) -> Sequence[Figure]:
    if not place.origin:  # another server, without organizations
        return []
    found: list[Figure] = []
    for others in (1, 1_000):
        # One listener and one publication each, so that replica and owner hold something of all of them.
        doors = [Door(place.door.url, key) for key in keys_of_others(place.data_dir, others)]
        listening: list[socket] = []
        try:
            for door in doors:
                listening += open_sockets(door, [("other",)])
                body = json.dumps({"data": 1}).encode()
                call(Requests(place.origin, door.token, "POST", "/v1/channels/other/publications", body))
            seen = run(place.door, Load(1, 64), seconds)
        finally:
            for one in listening:
                one.close()
        floor = found[0].value / NOISE if found else 0.0
        name = f"64 publishers beside {others:,} other organizations"
        found.append(Figure(name, seen.publishes_hz, "publishes/s", floor, **judged(seen)))
    return found


def _publish_once(place: Place, channels: Sequence[str]) -> None:
    for start in range(0, len(channels), CHANNELS_PER_EVENT):
        item = {"channels": channels[start : start + CHANNELS_PER_EVENT], "data": 1}
        call(
            Requests(
                place.origin, place.door.token, "POST", "/v1/publish", json.dumps({"items": [item]}).encode()
            )
        )


def _to_subscribers(place: Place, seconds: float) -> Sequence[Figure]:
    found: list[Figure] = []
    for subscribers in (10, 100, 1_000):
        seen = run(place.door, Load(subscribers, 64), seconds)
        cost_us = seen.cpu.rest_s / seen.seconds / seen.publishes_hz * 1e6
        ceiling = found[-1].value * 10 * NOISE if found else 0.0
        name = f"processor time per publication to {subscribers:,} subscribers"
        found.append(Figure(name, cost_us, "µs", ceiling, at_most=True, **judged(seen)))
    return found

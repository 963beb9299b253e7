"""Does a publication cost more because there are more subscribers, or other channels?"""

import json
from collections.abc import Sequence

from bench.exchange import Requests, call
from bench.figure import Figure
from bench.load import Load, counting, judged, run
from bench.place import Place
from bench.slots import Slots

CHANNELS_PER_SOCKET = 100
CHANNELS_PER_EVENT = 1_000
# What two runs of the same load differ by on a shared machine.
NOISE = 1.25


def figures(place: Place, seconds: float) -> Sequence[Figure]:
    """Publish beside 1, 100 and 10,000 other channels, then to 10, 100 and 1,000 subscribers."""
    if place.is_edge:  # the question is about what lies behind it
        return []
    return [*_beside_channels(place, seconds), *_to_subscribers(place, seconds)]


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

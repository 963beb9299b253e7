"""How many durable publications a second?"""

from collections.abc import Sequence

from bench.figure import Figure
from bench.load import Load, judged, run
from bench.place import Place

ONE_IN_FLIGHT_MIN = 5_500
SIXTEEN_IN_FLIGHT_MIN = 12_000
MANY_CHANNELS_MIN = 3_500


def figures(place: Place, seconds: float) -> Sequence[Figure]:
    """Publish from 64 sockets: one in flight each, sixteen in flight each, and into 500 channels."""
    loads = (
        ("64 publishers, 1 in flight", Load(1, 64), ONE_IN_FLIGHT_MIN),
        ("64 publishers, 16 in flight", Load(1, 64, depth=16), SIXTEEN_IN_FLIGHT_MIN),
        ("500 channels, 2,000 subscribers", Load(2_000, 64, channels=500), MANY_CHANNELS_MIN),
    )
    found = []
    for name, load, floor in loads:
        seen = run(place.door, load, seconds)
        floor_here = floor * (not place.is_edge)
        found.append(Figure(name, seen.publishes_hz, "publishes/s", floor_here, **judged(seen)))
    return found

"""How many deliveries a second to a thousand sockets?"""

from collections.abc import Sequence

from bench.figure import Figure
from bench.load import Load, judged, run
from bench.place import Place

ONE_IN_FLIGHT_MIN = 1_000_000
SIXTEEN_IN_FLIGHT_MIN = 3_500_000


def figures(place: Place, seconds: float) -> Sequence[Figure]:
    """Publish from 64 sockets into one channel with 1,000 subscribers."""
    found = []
    for depth, floor in ((1, ONE_IN_FLIGHT_MIN), (16, SIXTEEN_IN_FLIGHT_MIN)):
        seen = run(place.door, Load(1_000, 64, depth=depth), seconds)
        name = f"1,000 subscribers, 64 publishers, {depth} in flight"
        floor_here = floor * (not place.is_edge)
        found.append(Figure(name, seen.deliveries_hz, "deliveries/s", floor_here, **judged(seen)))
    return found

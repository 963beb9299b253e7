"""How long does one publication take when nothing else happens?"""

from collections.abc import Sequence

from bench.figure import Figure
from bench.load import Load, judged, run
from bench.place import Place

DELIVERED_P50_MS_MAX = 2.2
DELIVERED_P99_MS_MAX = 9.0


def figures(place: Place, seconds: float) -> Sequence[Figure]:
    """Publish one after the other to four subscribers."""
    seen = run(place.door, Load(subscribers=4, publishers=1), seconds)
    driven, rest = seen.driven, judged(seen)
    straight = not place.is_edge
    return [
        Figure(
            "alone, delivered p50", driven.delivered_ms.p50, "ms", DELIVERED_P50_MS_MAX * straight,
            at_most=True, **rest,
        ),
        Figure(
            "alone, delivered p99", driven.delivered_ms.p99, "ms", DELIVERED_P99_MS_MAX * straight,
            at_most=True, **rest,
        ),
        Figure("alone, acknowledged p50", driven.acknowledged_ms.p50, "ms", at_most=True, **rest),
    ]  # fmt: skip

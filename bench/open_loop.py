"""How late is a publication under a steady load that does not wait for the server?"""

from collections.abc import Sequence
from dataclasses import replace

from bench.figure import Figure
from bench.load import Load, judged, run
from bench.place import Place

P50_MS_MAX = 25.0
P99_MS_MAX = 60.0
LAG_P99_MS_MAX = 5.0


def figures(place: Place, seconds: float) -> Sequence[Figure]:
    """Publish 200 a second by schedule to 1,000 subscribers; latency counts from the scheduled time."""
    seen = run(place.door, Load(1_000, 20, rate_hz=200), seconds)
    driven = seen.driven
    found = [
        Figure(
            f"1,000 subscribers, 200/s open loop, delivered {name}", value, "ms", floor * (not place.is_edge),
            at_most=True, **judged(seen),
        )
        for name, value, floor in (
            ("p50", driven.delivered_ms.p50, P50_MS_MAX),
            ("p99", driven.delivered_ms.p99, P99_MS_MAX),
        )
    ]  # fmt: skip
    if driven.lag_ms.p99 > LAG_P99_MS_MAX:
        return [replace(figure, fault=f"generator lagged {driven.lag_ms.p99:.1f} ms") for figure in found]
    return found

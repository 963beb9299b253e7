"""What do permissions, presence, joins and leaves, and deltas cost those who use them?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from bench.figure import Figure
from bench.load import Load, judged, run
from bench.namespaces import set_namespace, users_door
from bench.place import Place
from bench.wire import Door

SUBSCRIBERS: Final = 1_000
SHARE_MIN: Final = 0.8
LATER_MS_MAX: Final = 0.5
DELTA: Final = {"delta": "fossil"}
RULES: Final[Mapping[str, object]] = {
    "history": "whole", "allow_recovery": True, "presence": True,
    "allow_subscribe_for_client": True, "allow_publish_for_client": True,
    "allow_history_for_subscriber": True, "allow_presence_for_subscriber": True,
}  # fmt: skip
TELLING: Final = {**RULES, "join_leave": True, "force_push_join_leave": True}
ALL: Final = {**TELLING, "delta_publish": True, "allowed_delta_types": ["fossil"]}


@dataclass(frozen=True, slots=True)
class _Feature:
    """A namespace with options, and what its subscribers wish."""

    name: str
    namespace: str
    options: Mapping[str, object]
    wish: Mapping[str, object]


FEATURES: Final = (
    _Feature("permissions and presence", "benchrules", RULES, {}),
    _Feature("joins and leaves as well", "benchtelling", TELLING, {}),
    _Feature("deltas as well", "benchall", ALL, DELTA),
)


def figures(place: Place, seconds: float) -> Sequence[Figure]:
    """Fan out, and publish alone, in a namespace without options and in one after the other with more."""
    if not place.origin:
        return []
    plain = _measured(place.door, "benchplain", "no options", seconds)
    door, found = users_door(place), [*plain]
    for feature in FEATURES:
        set_namespace(place, feature.namespace, feature.options)
        measured = _measured(replace(door, wish=feature.wish), feature.namespace, feature.name, seconds)
        found += [measured[0], *_compared(measured, plain, is_judged=not place.is_edge)]
    return found


def _compared(measured: Sequence[Figure], plain: Sequence[Figure], *, is_judged: bool) -> Sequence[Figure]:
    deliveries, acknowledged = measured
    share = deliveries.value / plain[0].value
    later_ms = acknowledged.value - plain[1].value
    return [
        replace(
            deliveries, name=f"{deliveries.name} / no options", value=share, unit="ratio",
            floor=SHARE_MIN * is_judged,
        ),
        replace(
            acknowledged, name=f"{acknowledged.name}, later than with no options", value=later_ms,
            floor=LATER_MS_MAX * is_judged,
        ),
    ]  # fmt: skip


def _measured(door: Door, namespace: str, what: str, seconds: float) -> Sequence[Figure]:
    """Return deliveries a second, and the milliseconds of a durable publication."""
    fanout = run(door, Load(SUBSCRIBERS, 64, prefix=f"{namespace}:fanout"), seconds)
    alone = run(door, Load(4, 1, prefix=f"{namespace}:alone"), seconds)
    ms = alone.driven.acknowledged_ms.p50
    return [
        Figure(
            f"{SUBSCRIBERS:,} subscribers, {what}", fanout.deliveries_hz, "deliveries/s", **judged(fanout)
        ),
        Figure(f"acknowledged alone, {what}, p50", ms, "ms", at_most=True, **judged(alone)),
    ]

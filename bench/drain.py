"""What do clients notice of a rolling update?"""

import time
from collections.abc import Sequence

from bench.figure import Figure
from bench.limits import limits_of
from bench.machine import listeners
from bench.place import Place
from bench.rolling import can_update, update
from bench.steady import steady
from bench.swarm import swarm

SOCKETS, CHANNELS = 2_000, 10
RATE_HZ = 50.0
"""Each subscriber hears something five times a second."""
SETTLE_S = 2.0
GIVE_UP_S = 120.0
SHUTDOWN = 3001
AWAY_S_MAX = 5.0
"""An update is no outage: they come back at once, to replicas that are there already."""


def figures(place: Place, seconds: float) -> Sequence[Figure]:  # noqa: ARG001 (it takes what it takes)
    """Replace the replicas under 2,000 subscribers while others publish; see them recover."""
    if not place.origin or not can_update(place):
        return []
    who = f"{len(listeners(place.replica_port))} replicas; {limits_of(place).text}"
    channels = [f"drain{n}" for n in range(CHANNELS)]
    subscriptions = [channels[n % CHANNELS] for n in range(SOCKETS)]
    with swarm(place.door, subscriptions) as subscribers, steady(place, channels, RATE_HZ) as publisher:
        time.sleep(SETTLE_S)
        subscribers.mark()
        update(place)
        back = subscribers.await_return(GIVE_UP_S)
        seen = subscribers.await_heads(publisher.end(), GIVE_UP_S)
    others = [f"{count} with {code}" for code, count in sorted(seen.codes.items()) if code != SHUTDOWN]
    what = f"rolling update under {SOCKETS:,} sockets"
    short = "" if back.returned == SOCKETS else f"only {back.returned:,} came back"
    return [
        Figure(
            f"{what}, told {SHUTDOWN}", seen.codes[SHUTDOWN], "sockets",
            SOCKETS, fault=short or seen.fault, note=", ".join(others),
        ),
        Figure(
            f"{what}, longest away of one", seen.longest_away_s, "s", AWAY_S_MAX, at_most=True, note=who,
        ),
        Figure(f"{what}, longest silence of one", seen.longest_silence_s, "s", at_most=True, note=who),
    ]  # fmt: skip

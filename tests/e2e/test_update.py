"""A rolling update: every client is told to come back, does, and has missed nothing."""

from bench.place import places
from bench.rolling import update
from bench.steady import steady
from bench.swarm import swarm
from tests.helpers.running import Running

SOCKETS, CHANNELS, RATE_HZ = 60, 3, 30.0
SHUTDOWN = 3001
WITHIN_S = 120.0


def test_an_update_of_the_replicas_loses_nobody_and_nothing(system: Running) -> None:
    place = places(system.data_dir)[-1]
    assert place.is_edge
    channels = [f"update{number}" for number in range(CHANNELS)]
    wanted = [channels[number % CHANNELS] for number in range(SOCKETS)]
    with swarm(place.door, wanted) as subscribers, steady(place, channels, RATE_HZ) as publisher:
        subscribers.mark()
        update(place)
        back = subscribers.await_return(WITHIN_S)
        seen = subscribers.await_heads(publisher.end(), WITHIN_S)
    assert back.returned == SOCKETS
    assert dict(seen.codes) == {SHUTDOWN: SOCKETS}
    assert seen.fault == ""
    assert seen.delivered

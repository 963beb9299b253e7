"""When silence has lasted too long."""

from hypothesis import given
from hypothesis import strategies as st

from adapters.links.liveness import Liveness


def beats_until_silent(liveness: Liveness) -> int:
    beats = 1
    while liveness.beat():
        beats += 1
    return beats


@given(st.floats(0.01, 10), st.floats(0.01, 60))
def test_silence_ends_a_link_after_its_time_and_at_most_one_beat_more(
    ping_s: float, silence_s: float
) -> None:
    liveness = Liveness(ping_s, silence_s)
    silent_s = beats_until_silent(liveness) * ping_s
    assert silent_s >= silence_s
    assert silent_s <= max(2 * ping_s, silence_s) + 2 * ping_s


@given(st.lists(st.booleans(), max_size=50))
def test_whatever_arrives_gives_the_whole_time_again(heard: list[bool]) -> None:
    fresh, used = Liveness(1, 5), Liveness(1, 5)
    for arrived in heard:
        used.beat()
        if arrived:
            used.heard()
    used.heard()
    assert beats_until_silent(used) == beats_until_silent(fresh)


def test_one_missed_beat_ends_nothing_however_short_the_silence_is() -> None:
    liveness = Liveness(ping_s=1, silence_s=0.1)
    assert liveness.beat()
    assert liveness.beat()
    assert not liveness.beat()

"""Clients by their users."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from gateway.realtime.seats import Seats


@dataclass(frozen=True)
class Somebody:
    client_id: str


STEPS = st.lists(st.tuples(st.booleans(), st.sampled_from(["", "ann"]), st.integers(0, 3)))


@given(STEPS)
def test_whoever_took_a_seat_is_found_until_it_leaves(steps: list[tuple[bool, str, int]]) -> None:
    seats: Seats[Somebody] = Seats()
    present: set[tuple[str, Somebody]] = set()
    everybody = {user: [Somebody(f"{user}{number}") for number in range(4)] for user in ("", "ann")}
    for comes, user, number in steps:
        client = everybody[user][number]
        (seats.take if comes else seats.leave)(user, client)
        (present.add if comes else present.discard)((user, client))
        for one in everybody:
            assert set(seats.of(one)) == {client for other, client in present if other == one}
        assert sorted(client.client_id for client in seats) == sorted(c.client_id for _, c in present)
        assert bool(seats) == bool(present)

"""Any process may be killed at any moment: no event is lost, everybody is back in time, and it runs again."""

import time
from dataclasses import dataclass

import psutil
import pytest

from tests.faults.load import Account
from tests.faults.roles import API, EDGE, OWNER, POSTGRES, RAYLET, REALTIME, VALKEY, Role, is_back, lives
from tests.faults.target import Target
from tests.faults.trial import Bounds, Injected, InvalidTrialError, judge, trial
from tests.helpers.eventually import eventually
from tests.helpers.loop import run

# Its partitions are with another owner within the bound; Ray then starts a process, and after three rounds
# in which it has answered placement gives it back its share.
OWNER_AGAIN_S = 15.0


@dataclass(frozen=True, slots=True)
class Kill:
    """Whom to kill, and within which times everybody is served and it runs again.

    `drags_along`: who ends a little later because of it, and must run again as well.
    """

    role: Role
    back_s: float
    again_s: float
    drags_along: tuple[Role, ...] = ()


# The cache holds nothing that matters, so its loss may cost no more than a hiccup. A database has to replay.
KILLS = [
    Kill(OWNER, 5, OWNER_AGAIN_S),
    Kill(REALTIME, 15, 15),
    Kill(API, 15, 15),
    Kill(EDGE, 15, 15),
    Kill(VALKEY, 5, 5),
    Kill(POSTGRES, 30, 30),
    Kill(RAYLET, 60, 60, (API, REALTIME, OWNER)),
]


class Killer:
    """Kills the first process of a role, and knows when it has a successor."""

    def __init__(self, target: Target, kill: Kill, organization: str) -> None:
        self._target, self._kill, self._organization = target, kill, organization
        self._before: dict[str, list[psutil.Process]] = {}

    async def inject(self) -> Injected:
        """Kill it, and return when it and those whom it drags along are gone."""
        roles = (self._kill.role, *self._kill.drags_along)
        for role in roles:
            self._before[role.name] = await role.find(self._target, self._organization)
            if not self._before[role.name]:
                raise InvalidTrialError(f"nobody is {role.name}")
        dying = [process for role in roles[1:] for process in self._before[role.name]]
        victim = self._before[roles[0].name][0]
        at_ns = time.monotonic_ns()
        victim.kill()
        is_gone = await eventually(lambda: not any(map(lives, (victim, *dying))), within_s=self._kill.back_s)
        return Injected(at_ns, time.monotonic_ns(), int(is_gone))

    async def again(self) -> bool:
        """Return whether every role has as many processes again as before, and answers."""
        backs = [
            await is_back(self._target, role, self._organization, self._before[role.name])
            for role in (self._kill.role, *self._kill.drags_along)
        ]
        return all(backs)


@pytest.mark.parametrize("kill", KILLS, ids=lambda kill: kill.role.name)
def test_a_killed_process_costs_time_but_no_event_and_is_started_again(
    target: Target, accounts: list[Account], kill: Kill
) -> None:
    killer = Killer(target, kill, accounts[0].organization)
    bounds = Bounds(kill.back_s, kill.back_s, kill.again_s)
    name = f"kill -9 {kill.role.name}"
    judge(run(trial(target, accounts, name, killer.inject, bounds, again=killer.again)))

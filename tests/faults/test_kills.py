"""Any process may be killed at any moment: nothing acknowledged is lost, and everybody is back in time."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import psutil
import pytest

from tests.faults.load import Account
from tests.faults.target import Target, postmaster
from tests.faults.trial import judge, trial
from tests.helpers.loop import run


async def owner(target: Target, account: Account) -> list[psutil.Process]:
    return [target.owner_process(await target.partition_of(account.organization))]


async def realtime_replica(target: Target, _account: Account) -> list[psutil.Process]:
    return target.system.listeners(target.system.port + 11)[:1]


async def api_replica(target: Target, _account: Account) -> list[psutil.Process]:
    return target.system.listeners(target.system.port + 10)[:1]


async def edge(target: Target, _account: Account) -> list[psutil.Process]:
    return target.system.listeners(target.system.port)


async def valkey(target: Target, _account: Account) -> list[psutil.Process]:
    return target.system.named("valkey")


async def postgres(target: Target, _account: Account) -> list[psutil.Process]:
    return [postmaster(target.system.data_dir)]


async def raylet(target: Target, _account: Account) -> list[psutil.Process]:
    return target.system.named("raylet")


@dataclass(frozen=True, slots=True)
class Kill:
    """Whom to kill, and within which time everybody must be served again."""

    victims: Callable[[Target, Account], Awaitable[list[psutil.Process]]]
    bound_s: float
    drags_along: tuple[Callable[[Target, Account], Awaitable[list[psutil.Process]]], ...] = ()
    """Who ends a little later, because of it."""


# The cache holds nothing that matters, so its loss may cost no more than a hiccup. A database has to replay.
KILLS = [
    Kill(owner, 5),
    Kill(realtime_replica, 15),
    Kill(api_replica, 15),
    Kill(edge, 15),
    Kill(valkey, 5),
    Kill(postgres, 30),
    Kill(raylet, 60, (api_replica, realtime_replica, owner)),
]


@pytest.mark.parametrize("kill", KILLS, ids=lambda kill: kill.victims.__name__)
def test_a_killed_process_costs_time_but_no_event(
    target: Target, accounts: list[Account], kill: Kill
) -> None:
    dragged: list[psutil.Process] = []

    async def inject() -> int:
        for who in kill.drags_along:
            dragged.extend(await who(target, accounts[0]))
        return target.kill(await kill.victims(target, accounts[0]))

    def gone() -> bool:
        return not any(process.is_running() for process in dragged)

    name = f"kill -9 {kill.victims.__name__}"
    judge(
        run(
            trial(
                target, accounts, name, inject, bound_s=kill.bound_s, gone=gone if kill.drags_along else None
            )
        )
    )

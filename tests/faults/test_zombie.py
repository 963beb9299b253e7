"""An owner that sleeps through its own replacement wakes up harmless."""

import asyncio
import signal
import time

from tests.faults.load import Account
from tests.faults.target import Target
from tests.faults.trial import judge, trial
from tests.helpers.loop import run

# The lease is 10 s: until it ends nobody may take the partition from an owner that merely does not answer.
TAKEN_WITHIN_S = 20.0
BACK_WITHIN_S = 5.0
ENDED_WITHIN_S = 15.0


def test_an_owner_stopped_past_its_lease_writes_nothing_after_it(
    target: Target, accounts: list[Account]
) -> None:
    async def inject() -> int:
        before = await target.partition_of(accounts[0].organization)
        sleeper = target.owner_process(before)
        sleeper.send_signal(signal.SIGSTOP)
        try:
            deadline = time.monotonic() + TAKEN_WITHIN_S
            while (await target.partition_of(accounts[0].organization)).epoch == before.epoch:
                assert time.monotonic() < deadline, "nobody took the partition of an owner that sleeps"
                await asyncio.sleep(0.1)
        finally:
            sleeper.send_signal(signal.SIGCONT)
        return time.monotonic_ns()

    judge(run(trial(target, accounts, "SIGSTOP owner, SIGCONT", inject, bound_s=BACK_WITHIN_S)))

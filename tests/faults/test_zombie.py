"""An owner that sleeps through its own replacement wakes up harmless: it writes nothing, and ends."""

import asyncio
import signal
import time

import psutil

from tests.faults.load import Account
from tests.faults.roles import OWNER, is_back, lives
from tests.faults.target import Partition, Target
from tests.faults.trial import Bounds, Injected, InvalidTrialError, judge, trial
from tests.helpers.eventually import eventually
from tests.helpers.loop import run

# Until its lease ends nobody may take the partition from an owner that merely does not answer.
LEASE_S = 10.0
TAKE_OVER_S = 5.0
BACK_WITHIN_S = 5.0
# It notices at the next renewal of its lease, which are 3 s apart, or with the next write.
ENDED_WITHIN_S = 5.0
AGAIN_WITHIN_S = 25.0


class Sleeper:
    """Stops the owner of an organization until another has taken the partition, then wakes it."""

    def __init__(self, target: Target, organization: str) -> None:
        self._target, self._organization = target, organization
        self._owners: list[psutil.Process] = []
        self.ended = False

    async def inject(self) -> Injected:
        """Do it, and return when the sleeper has ended or its time for that is up."""
        self.partition = await self._target.partition_of(self._organization)
        self._owners = await OWNER.find(self._target, self._organization)
        sleeper = self._owners[0]
        sleeper.send_signal(signal.SIGSTOP)
        try:
            await self._taken(self.partition)
            stopped = sleeper.status() == psutil.STATUS_STOPPED
            self.written = await self._target.written_under(self.partition)
        finally:
            sleeper.send_signal(signal.SIGCONT)
        woken_ns = time.monotonic_ns()
        self.ended = await eventually(lambda: not lives(sleeper), within_s=ENDED_WITHIN_S)
        return Injected(woken_ns, woken_ns, int(stopped), outage_s=LEASE_S / 2)

    async def _taken(self, before: Partition) -> None:
        deadline = time.monotonic() + 2 * (LEASE_S + TAKE_OVER_S)
        while (await self._target.partition_of(self._organization)).epoch == before.epoch:
            if time.monotonic() > deadline:
                raise InvalidTrialError("nobody took the partition of an owner that sleeps")
            await asyncio.sleep(0.1)

    async def again(self) -> bool:
        """Return whether there are as many owners as before, the sleeper not among them."""
        return self.ended and await is_back(self._target, OWNER, self._organization, self._owners)


def test_an_owner_stopped_past_its_lease_writes_nothing_after_it_and_ends(
    target: Target, accounts: list[Account]
) -> None:
    sleeper = Sleeper(target, accounts[0].organization)
    bounds = Bounds(BACK_WITHIN_S, LEASE_S + TAKE_OVER_S, AGAIN_WITHIN_S)

    async def sleep_and_judge() -> None:
        found = await trial(
            target, accounts, "SIGSTOP owner past its lease, SIGCONT", sleeper.inject, bounds,
            again=sleeper.again,
        )  # fmt: skip
        assert sleeper.ended, "the owner that was replaced goes on"
        assert await target.written_under(sleeper.partition) == sleeper.written
        judge(found)

    run(sleep_and_judge())

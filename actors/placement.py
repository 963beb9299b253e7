"""Keeps the owners present and the partitions spread: a control loop that no write ever waits for."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import structlog

from core.ports import Clock
from core.streams.placement import to_move, wanted

RECONCILE_S = 1.0
STEADY_ROUNDS = 3
"""An owner must have answered this often in a row before partitions are moved back to it."""


class OwnerControl(Protocol):
    """The control side of one owner; data never goes this way."""

    async def ping(self) -> None:
        """Return when it answers.

        Raises:
            Exception: it is gone, or being restarted.
        """
        ...

    async def rebalance(self, partitions: set[int]) -> None:
        """Hold exactly these: release the others, take the missing as they become free."""
        ...


class Placement:
    """Reconciles once a second.

    Args:
        owners: control of each owner by name.
        holders: reads who holds each partition.
        partitions: how many there are.
        clock: for the interval.
    """

    def __init__(
        self,
        owners: Mapping[str, OwnerControl],
        holders: Callable[[], Awaitable[dict[int, str]]],
        partitions: int,
        clock: Clock,
    ) -> None:
        self._owners = owners
        self._holders = holders
        self._partitions = partitions
        self._clock = clock
        self._answered: dict[str, int] = dict.fromkeys(owners, 0)
        self._log = structlog.get_logger()

    async def run(self) -> None:
        """Reconcile for ever; a round that fails is logged and tried again."""
        while True:
            await self._clock.sleep(RECONCILE_S)
            try:
                await self.reconcile()
            except Exception as error:  # noqa: BLE001 (control must survive whatever the database or Ray does)
                self._log.warning("placement.failed", error=f"{type(error).__name__}: {error}")

    async def reconcile(self) -> None:
        """One round: see who lives, and tell those whose share is wrong."""
        for name, owner in self._owners.items():
            try:
                await owner.ping()
            except Exception:  # noqa: BLE001 (however it is gone, Ray restarts it)
                self._answered[name] = 0
            else:
                self._answered[name] += 1
        steady = [name for name, rounds in self._answered.items() if rounds >= STEADY_ROUNDS]
        if len(steady) < len(self._owners):
            return  # somebody is coming back: what it held is with the others meanwhile
        shares = wanted(self._partitions, list(self._owners))
        holders = await self._holders()
        moves = to_move(shares, holders, steady)
        # First those who give, then those who take.
        givers = {holder for partition, holder in holders.items() if partition not in moves.get(holder, ())}
        for name, share in sorted(moves.items(), key=lambda move: move[0] not in givers):
            self._log.info("owner.rebalanced", owner=name, partitions=sorted(share))
            await self._owners[name].rebalance(share)

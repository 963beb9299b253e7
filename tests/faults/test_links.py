"""A link may be cut or stall at any moment: gaps are filled from the log, and no command has two effects."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from tests.faults.load import Account
from tests.faults.target import Target
from tests.faults.trial import judge, trial
from tests.helpers.eventually import eventually
from tests.helpers.loop import run
from tests.helpers.relay import Relay

CUTS = 20
BETWEEN_CUTS_S = 0.3
# Shorter than the silence after which a link is closed, and longer.
STALLS_S = (2.0, 8.0)
BACK_WITHIN_S = 5.0
# Callers look up again where partitions live at least this often.
ROUTES_S = 20.0


@asynccontextmanager
async def between_links(target: Target, organization: str) -> AsyncIterator[Relay]:
    """Put a relay before the owner of an organization: whoever looks it up finds the relay."""
    partition = await target.partition_of(organization)
    host, _, port = partition.address.rpartition(":")
    connection = await asyncpg.connect(target.dsn)
    move = "UPDATE partitions SET address = $2 WHERE address = $1"
    async with Relay(host, int(port)) as relay:
        there = f"127.0.0.1:{relay.port}"
        await connection.execute(move, partition.address, there)
        try:
            assert await eventually(lambda: relay.connections > 0, within_s=ROUTES_S), "nobody came by"
            yield relay
        finally:
            await connection.execute(move, there, partition.address)
            await connection.close()


def test_a_link_cut_again_and_again_loses_nothing(target: Target, accounts: list[Account]) -> None:
    async def inject() -> int:
        async with between_links(target, accounts[0].organization) as relay:
            for _ in range(CUTS):
                relay.cut()
                relay.heal()
                await asyncio.sleep(BETWEEN_CUTS_S)
            return time.monotonic_ns()

    judge(run(trial(target, accounts, "cut links", inject, bound_s=BACK_WITHIN_S, injections=CUTS)))


def test_a_link_that_stalls_loses_nothing(target: Target, accounts: list[Account]) -> None:
    async def inject() -> int:
        async with between_links(target, accounts[0].organization) as relay:
            for stall_s in STALLS_S:
                relay.stall()
                await asyncio.sleep(stall_s)
                relay.heal()
                await asyncio.sleep(1)
            return time.monotonic_ns()

    judge(
        run(trial(target, accounts, "stall links", inject, bound_s=BACK_WITHIN_S, injections=len(STALLS_S)))
    )

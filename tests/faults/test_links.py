"""A link may be cut or stall at any moment: gaps are filled from the log, and no command has two effects."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from tests.faults.load import Account
from tests.faults.target import Target
from tests.faults.trial import Bounds, Injected, InvalidTrialError, judge, trial
from tests.helpers.eventually import eventually
from tests.helpers.loop import run
from tests.helpers.proxy import Flow, Proxy

CUTS = 20
AFTER_LINKED_S = 0.1
# A link that is silent this long is closed; then there is another, and what was under way is settled.
SILENCE_S = 5.0
SETTLED_S = 3.0
# Shorter than the silence, and longer.
STALLS_S = (2.0, 8.0)
BACK_WITHIN_S = 5.0
# Callers look up again where partitions live at least this often.
ROUTES_S = 20.0
# Both halves of the gateway write through an own link.
LINKS = 2


@asynccontextmanager
async def between_links(target: Target, organization: str) -> AsyncIterator[Proxy]:
    """Put a proxy before the owner of an organization: whoever looks it up finds the proxy."""
    partition = await target.partition_of(organization)
    connection = await asyncpg.connect(target.dsn)
    move = "UPDATE partitions SET address = $2 WHERE address = $1"
    async with Proxy(partition.address) as proxy:
        await connection.execute(move, partition.address, proxy.address)
        try:
            await linked(proxy)
            yield proxy
        finally:
            await connection.execute(move, proxy.address, partition.address)
            await connection.close()


async def linked(proxy: Proxy) -> None:
    """Return when every link passes through the proxy, and is used.

    Raises:
        InvalidTrialError: they go another way.
    """
    passed = proxy.up.bytes_passed
    if not await eventually(
        lambda: len(proxy.connections) >= LINKS and proxy.up.bytes_passed > passed, within_s=ROUTES_S
    ):
        raise InvalidTrialError("the links go another way")


async def held(proxy: Proxy, for_s: float) -> bool:
    """Let nothing pass for so long, and return whether nothing did."""
    proxy.stall()
    passed = proxy.up.bytes_passed, proxy.down.bytes_passed
    await asyncio.sleep(for_s)
    return passed == (proxy.up.bytes_passed, proxy.down.bytes_passed)


def test_a_link_cut_again_and_again_loses_nothing(target: Target, accounts: list[Account]) -> None:
    async def inject() -> Injected:
        async with between_links(target, accounts[0].organization) as proxy:
            for number in range(CUTS):
                await linked(proxy)
                # In the midst of their opening, of settling what was under way, and of work.
                await asyncio.sleep(number % 4 * AFTER_LINKED_S)
                proxy.cut()
            now_ns = time.monotonic_ns()
            return Injected(now_ns, now_ns, CUTS)

    bounds = Bounds(BACK_WITHIN_S, BACK_WITHIN_S)
    judge(run(trial(target, accounts, "cut links", inject, bounds, injections=CUTS)))


def test_links_that_stall_and_go_on_lose_nothing(target: Target, accounts: list[Account]) -> None:
    async def inject() -> Injected:
        times = now_ns = 0
        async with between_links(target, accounts[0].organization) as proxy:
            for stall_s in STALLS_S:
                await linked(proxy)
                times += await held(proxy, stall_s)
                proxy.resume()
                now_ns = time.monotonic_ns()
            await linked(proxy)
            return Injected(now_ns, now_ns, times, outage_s=max(STALLS_S) / 2)

    bounds = Bounds(BACK_WITHIN_S, max(STALLS_S) + SETTLED_S)
    judge(run(trial(target, accounts, "stall links", inject, bounds, injections=len(STALLS_S))))


def test_links_that_hang_are_given_up_for_others(target: Target, accounts: list[Account]) -> None:
    async def inject() -> Injected:
        async with between_links(target, accounts[0].organization) as proxy:
            hanging = proxy.up, proxy.down
            proxy.stall()
            proxy.up, proxy.down = Flow(), Flow()  # for connections from now on
            passed, at_ns = [flow.bytes_passed for flow in hanging], time.monotonic_ns()
            # The hanging ones stay: those who gave them up can't tell anybody.
            await eventually(lambda: len(proxy.connections) >= 2 * LINKS, within_s=2 * SILENCE_S)
            await asyncio.sleep(SETTLED_S)
            hung = passed == [flow.bytes_passed for flow in hanging]
            return Injected(at_ns, at_ns, int(hung), outage_s=SILENCE_S / 2)

    bounds = Bounds(SILENCE_S + SETTLED_S, SILENCE_S + SETTLED_S)
    judge(run(trial(target, accounts, "hanging links", inject, bounds)))

"""The answer to a COMMIT may never come: no write is lost by it, and none takes effect twice."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from adapters.embedded.postgres import EmbeddedPostgres
from tests.faults.accounts import organizations
from tests.faults.target import Target
from tests.faults.trial import Bounds, Injected, judge, trial
from tests.helpers.loop import run
from tests.helpers.postgres_proxy import Cut, PostgresProxy
from tests.helpers.running import Running, running

CUTS = 210
BETWEEN_CUTS_S = 0.02
BACK_WITHIN_S = 10.0
# The owner sees at once that its connection is gone, takes another one and reads. A writer may meet a few.
UNAVAILABLE_MAX_S = 5.0


@pytest.fixture
def server() -> Iterator[EmbeddedPostgres]:
    with tempfile.TemporaryDirectory(prefix="tidings-") as folder:
        root = Path(folder)
        root.chmod(0o755)
        found = EmbeddedPostgres(root / "data", root / "socket", root / "postgres.log")
        run(found.start())
        try:
            yield found
        finally:
            run(found.stop())


@asynccontextmanager
async def system_on(proxy: PostgresProxy) -> AsyncIterator[Running]:
    url = f"postgresql://postgres@127.0.0.1:{proxy.port}/tidings?sslmode=disable"
    opener = running("--single-process", environment={"DATABASE_URL": url})
    system = await asyncio.to_thread(opener.__enter__)  # starting blocks; the proxy must not
    try:
        yield system
    finally:
        await asyncio.to_thread(opener.__exit__, None, None, None)


def test_commits_whose_answer_is_cut_off_settle_by_reading(server: EmbeddedPostgres) -> None:
    async def cut_and_judge() -> None:
        socket = server.dsn.partition("host=")[2] + "/.s.PGSQL.5432"
        async with PostgresProxy(socket) as proxy, system_on(proxy) as system:

            async def inject() -> Injected:
                for number in range(CUTS):
                    await proxy.cut_next(list(Cut)[number % len(Cut)], within_s=20)
                    await asyncio.sleep(BETWEEN_CUTS_S)
                now_ns = time.monotonic_ns()
                return Injected(now_ns, now_ns, len(Cut) * min(proxy.cuts[where] for where in Cut))

            target = Target(system, server.dsn)
            accounts = await organizations(system, target)
            bounds = Bounds(BACK_WITHIN_S, UNAVAILABLE_MAX_S)
            judge(await trial(target, accounts, "cut COMMIT", inject, bounds, injections=CUTS))

    run(cut_and_judge())

"""Two organizations, made as an operator makes them."""

import asyncio
import os
import re
import subprocess
import sys

from tests.faults.load import Account
from tests.faults.target import Target
from tests.helpers.running import ROOT, Running

ORGANIZATIONS_MAX = 64
COMMAND_S = 60.0


async def organizations(system: Running, target: Target) -> list[Account]:
    """Return the first organization and a new one in the same partition.

    The two then share owner, batches and links: where one could get into the other's hands.
    """
    first = Account(system.organization, system.key)
    partition = await target.partition_of(first.organization)
    for _ in range(ORGANIZATIONS_MAX):
        second = await asyncio.to_thread(_created, system)
        if (await target.partition_of(second.organization)).partition_id == partition.partition_id:
            return [first, second]
    raise AssertionError(
        f"none of {ORGANIZATIONS_MAX} organizations is in partition {partition.partition_id}"
    )


def _created(system: Running) -> Account:
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "orgs", "create", "faults"],
        cwd=ROOT,
        env={**os.environ, "TIDINGS_DATA_DIR": str(system.data_dir), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=COMMAND_S,
        check=True,
    )
    found = re.search(r"Organization +(org_\w+)\nAPI key +(tdg_\w+)\n", done.stdout)
    assert found is not None, done.stdout
    return Account(*found.groups())

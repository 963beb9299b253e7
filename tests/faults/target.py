"""The running system from outside: its processes, its partitions, and all that its log holds."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import psutil

from core import ids
from tests.helpers.history import Record
from tests.helpers.running import Running

READ_HEADS = """
SELECT organization_id, last_seq FROM stream_heads
"""
READ_LOG = """
SELECT e.organization_id, e.seq, e.partition_epoch, e.data, h.epoch, c.channel, c."offset"
  FROM events e
  JOIN stream_heads h USING (organization_id)
  JOIN channel_entries c USING (organization_id, seq, day)
 ORDER BY e.seq
"""
READ_CHANNEL_HEADS = """
SELECT organization_id, channel, last_offset FROM channel_heads WHERE channel = ANY($1)
"""
READ_WRITTEN_UNDER = """
SELECT count(*) AS events FROM events JOIN stream_heads h USING (organization_id)
 WHERE h.partition_id = $1 AND partition_epoch <= $2
"""
READ_PARTITIONS = """
SELECT p.partition_id, p.owner, p.address, p.epoch, h.organization_id
  FROM partitions p LEFT JOIN stream_heads h USING (partition_id) ORDER BY p.partition_id
"""


@dataclass(frozen=True, slots=True)
class Partition:
    """Where one partition lives at the moment, and whose log it holds."""

    partition_id: int
    owner: str
    address: str
    epoch: int
    organizations: tuple[str, ...]


class Target:
    """One system under faults."""

    def __init__(self, system: Running, dsn: str = "") -> None:
        self.system = system
        self.dsn = dsn or embedded_dsn(system.data_dir)

    async def partitions(self) -> list[Partition]:
        """Return every partition with its present owner."""
        found: dict[int, Partition] = {}
        for row in await self._read(READ_PARTITIONS):
            before = found.get(row["partition_id"])
            mine = (_organization(row),) if row["organization_id"] else ()
            found[row["partition_id"]] = Partition(
                row["partition_id"], row["owner"] or "", row["address"] or "", row["epoch"],
                (*(before.organizations if before else ()), *mine),
            )  # fmt: skip
        return list(found.values())

    async def partition_of(self, organization: str) -> Partition:
        """Return the partition that holds an organization's log."""
        return next(p for p in await self.partitions() if organization in p.organizations)

    def owner_process(self, partition: Partition) -> psutil.Process:
        """Return the process that listens at a partition's address."""
        return self.system.listeners(int(partition.address.rpartition(":")[2]))[0]

    async def written_under(self, partition: Partition) -> int:
        """Return how many events of a partition its owner of that time, or an earlier one, wrote."""
        (row,) = await self._read(READ_WRITTEN_UNDER, partition.partition_id, partition.epoch)
        return int(row["events"])

    async def log(self, channels: Sequence[str], organizations: Sequence[str]) -> list[Record]:
        """Return the final full read of the database: events and heads of the channels of one run.

        What stands in these channels is returned under whatever organization; heads of streams only for those
        that the run wrote to.
        """
        records = []
        wanted = set(channels)
        for row in await self._read(READ_LOG):
            if row["channel"] not in wanted:
                continue
            data = json.loads(row["data"])
            records.append(
                Record(
                    "database", "observe", time.monotonic_ns(), "log",
                    _organization(row), row["channel"],
                    id=data["id"], canary=data["canary"], seq=row["seq"], offset=row["offset"],
                    epoch=row["epoch"], partition_epoch=row["partition_epoch"],
                )
            )  # fmt: skip
        return [*records, *await self._heads(channels, organizations)]

    async def _heads(self, channels: Sequence[str], organizations: Sequence[str]) -> list[Record]:
        seqs = [
            Record(
                "database", "observe", time.monotonic_ns(), "head", _organization(row), seq=row["last_seq"]
            )
            for row in await self._read(READ_HEADS)
            if _organization(row) in organizations
        ]
        offsets = [
            Record(
                "database", "observe", time.monotonic_ns(), "head", _organization(row), row["channel"],
                offset=row["last_offset"],
            )
            for row in await self._read(READ_CHANNEL_HEADS, list(channels))
        ]  # fmt: skip
        return [*seqs, *offsets]

    async def _read(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.dsn, timeout=10)
        try:
            return list(await connection.fetch(statement, *arguments))
        finally:
            await connection.close()


def _organization(row: asyncpg.Record) -> str:
    return ids.encode("org", row["organization_id"].bytes)


def embedded_dsn(data_dir: Path) -> str:
    """Return how to reach the embedded PostgreSQL of a data folder, as its own lock file says."""
    lock = next(data_dir.rglob("postmaster.pid")).read_text().splitlines()
    return f"postgresql://postgres@/tidings?host={lock[4]}&port={lock[3]}"


def postmaster(data_dir: Path) -> psutil.Process:
    """Return the embedded PostgreSQL's first process.

    Raises:
        OSError: it does not run, and left no file; or it is about to write it.
        psutil.NoSuchProcess: it died.
    """
    for file in data_dir.rglob("postmaster.pid"):
        if lines := file.read_text().splitlines():
            return psutil.Process(int(lines[0]))
    raise FileNotFoundError(data_dir)

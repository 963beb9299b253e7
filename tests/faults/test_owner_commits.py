"""The answer to a COMMIT may never come: nothing is lost by it, and nothing takes effect twice.

Here the owner alone, so that hundreds of cuts take seconds; `test_commits.py` does it to the whole system.
"""

import asyncio
import json
import time
from typing import Any

import asyncpg

from actors.streams.owner import StreamOwner
from core import ids
from core.streams.event import EphemeralPublication, Head, LiveBatch
from core.streams.outcome import Committed, Refused, Unknown
from tests.faults.target import READ_LOG
from tests.helpers.history import Record, check
from tests.helpers.log import make_organization
from tests.helpers.loop import run
from tests.helpers.owners import owner_of, publish
from tests.helpers.postgres_proxy import Cut, PostgresProxy

WRITERS = 20
ORGANIZATIONS = 2
CUTS = 210
CHANNELS = ("a", "b", "c")


class Watcher:
    """Notes every event that goes out live."""

    def __init__(self, organization: str, records: list[Record]) -> None:
        self._organization = organization
        self._records = records
        self._name = f"watcher of {organization}"
        records += [Record(self._name, "observe", 0, "start", organization, channel) for channel in CHANNELS]

    def on_live(self, batch: LiveBatch) -> None:
        for event in batch.events:
            data = json.loads(event.data)
            ((channel, offset),) = event.entries
            self._records.append(
                Record(
                    self._name, "observe", time.monotonic_ns(), "push", self._organization, channel,
                    id=data["id"], canary=data["canary"], seq=event.seq, offset=offset, epoch=batch.epoch,
                )
            )  # fmt: skip

    def on_head(self, head: Head) -> None:
        """A head alone shows nothing here."""

    def on_ephemeral(self, publication: EphemeralPublication) -> None:
        raise AssertionError(publication)


class Writers:
    """Publishes without pause, each request repeated under its key until it is acknowledged."""

    def __init__(self, owner: StreamOwner, organization_id: bytes, records: list[Record]) -> None:
        self._owner = owner
        self._organization_id = organization_id
        self._organization = ids.encode("org", organization_id)
        self._records = records
        self.stopping = False

    async def write(self, writer: int) -> None:
        number = 0
        while not self.stopping:
            number += 1
            await self._settle(f"w{writer}-{number}", CHANNELS[writer // ORGANIZATIONS % len(CHANNELS)])

    async def _settle(self, request: str, channel: str) -> None:
        data = json.dumps({"id": request, "canary": self._organization}).encode()
        for attempt in range(100):
            common: dict[str, Any] = {
                "organization": self._organization, "channel": channel, "id": request, "key": request,
                "operation": f"{request}#{attempt}",
            }  # fmt: skip
            self._records.append(Record("writer", "invoke", time.monotonic_ns(), **common))
            command = publish(self._organization_id, channel, data, key=request)
            match await self._owner.submit(command):
                case Committed(seq=seq, offsets=offsets, epoch=epoch, created_at=at):
                    self._records.append(
                        Record(
                            "writer", "ok", time.monotonic_ns(), seq=seq, offset=offsets[0], epoch=epoch,
                            answer=str((seq, offsets, at)), **common,
                        )
                    )  # fmt: skip
                    return
                case Refused():
                    self._records.append(Record("writer", "refused", time.monotonic_ns(), **common))
                    await asyncio.sleep(0.01)
                case Unknown():
                    self._records.append(Record("writer", "unknown", time.monotonic_ns(), **common))
        raise AssertionError(f"{request} was never acknowledged")


async def log_of(url: str) -> list[Record]:
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(READ_LOG)
    finally:
        await connection.close()
    return [
        Record(
            "database", "observe", 0, "log", ids.encode("org", row["organization_id"].bytes), row["channel"],
            id=data["id"], canary=data["canary"], seq=row["seq"], offset=row["offset"], epoch=row["epoch"],
            partition_epoch=row["partition_epoch"],
        )
        for row in rows
        for data in (json.loads(row["data"]),)
    ]  # fmt: skip


def test_two_hundred_cut_commits_settle_by_reading(database_url: str) -> None:
    async def cut_and_judge() -> None:
        ids_ = [await make_organization(database_url) for _ in range(ORGANIZATIONS)]
        names, records = [ids.encode("org", one) for one in ids_], list[Record]()
        database, _, rest = database_url.partition("?")
        socket = rest.partition("host=")[2].partition("&")[0] + "/.s.PGSQL.5432"
        async with PostgresProxy(socket) as proxy:
            url = (
                f"postgresql://postgres@127.0.0.1:{proxy.port}/{database.rpartition('/')[2]}?sslmode=disable"
            )
            async with owner_of(url) as owner:
                everybody = []
                for one, name in zip(ids_, names, strict=True):
                    owner.watch(one, Watcher(name, records))
                    everybody.append(Writers(owner, one, records))
                work = asyncio.gather(*(everybody[n % len(everybody)].write(n) for n in range(WRITERS)))
                for number in range(CUTS):
                    await proxy.cut_next(list(Cut)[number % len(Cut)], within_s=10)
                for writers in everybody:
                    writers.stopping = True
                await work
            ends = [
                Record(f"watcher of {name}", "observe", 0, "end", name, channel)
                for name in names for channel in CHANNELS
            ]  # fmt: skip
            report = check([*records, *ends, *await log_of(database_url)])
            assert report.violations == []
            assert proxy.cuts == dict.fromkeys(Cut, CUTS // len(Cut))
            assert report.counts["ok"] >= 1_000

    run(cut_and_judge())

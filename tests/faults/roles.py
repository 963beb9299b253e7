"""Who does what in a running system, from outside: found by where it listens, asked whether it answers."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import aiohttp
import asyncpg
import psutil

from adapters.embedded.folder import DataFolder
from tests.faults.target import Target, postmaster

ASK_S = 2.0
NOT_YET = (
    OSError, TimeoutError, psutil.Error, aiohttp.ClientError, asyncpg.PostgresError, asyncpg.InterfaceError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Role:
    """One kind of process.

    `find` returns those that have the role now, that of the organization first where each has its own;
    `answers` asks one of them for what it is there for.
    """

    name: str
    find: Callable[[Target, str], Awaitable[list[psutil.Process]]]
    answers: Callable[[Target], Awaitable[bool]]


def lives(process: psutil.Process) -> bool:
    """Return whether a process has not ended; one that waits for its parent to look has."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def is_back(target: Target, role: Role, organization: str, before: Sequence[psutil.Process]) -> bool:
    """Return whether as many as before have the role again, none of those that ended, and it is answered."""
    try:
        now = [process for process in await role.find(target, organization) if lives(process)]
        return len(now) >= len(before) and all(map(lives, now)) and await role.answers(target)
    except NOT_YET:
        return False


async def _listening(target: Target, port: int) -> list[psutil.Process]:
    return list(dict.fromkeys(await asyncio.to_thread(target.system.listeners, port)))


async def _owners(target: Target, organization: str) -> list[psutil.Process]:
    partitions = [partition for partition in await target.partitions() if partition.address]
    partitions.sort(key=lambda partition: organization not in partition.organizations)
    ports = dict.fromkeys(int(partition.address.rpartition(":")[2]) for partition in partitions)
    return [process for port in ports for process in await _listening(target, port)]


async def _realtime(target: Target, _: str) -> list[psutil.Process]:
    return await _listening(target, target.system.port + 11)


async def _api(target: Target, _: str) -> list[psutil.Process]:
    return await _listening(target, target.system.port + 10)


async def _edge(target: Target, _: str) -> list[psutil.Process]:
    return await _listening(target, target.system.port)


async def _valkey(target: Target, _: str) -> list[psutil.Process]:
    return await asyncio.to_thread(target.system.named, "valkey")


async def _raylet(target: Target, _: str) -> list[psutil.Process]:
    return await asyncio.to_thread(target.system.named, "raylet")


async def _postgres(target: Target, _: str) -> list[psutil.Process]:
    return [postmaster(target.system.data_dir)]


async def _gets(port: int, path: str) -> bool:
    timeout = aiohttp.ClientTimeout(total=ASK_S)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(f"http://127.0.0.1:{port}{path}") as answer,
    ):
        return answer.status == 200


async def _realtime_answers(target: Target) -> bool:
    return await _gets(target.system.port + 11, "/healthz")


async def _api_answers(target: Target) -> bool:
    return await _gets(target.system.port + 10, "/healthz")


async def _edge_answers(target: Target) -> bool:
    return await _gets(target.system.port, "/readyz")


async def _valkey_answers(target: Target) -> bool:
    async with asyncio.timeout(ASK_S):
        path = DataFolder(target.system.data_dir).run / "valkey.sock"
        reader, writer = await asyncio.open_unix_connection(path)
        try:
            writer.write(b"PING\r\n")
            return await reader.readline() == b"+PONG\r\n"
        finally:
            writer.close()


async def _database_answers(target: Target) -> bool:
    return bool(await target.partitions())


async def _has_a_successor(_: Target) -> bool:
    return True  # an owner is asked by the load itself; a raylet by those that it starts


OWNER = Role("owner", _owners, _has_a_successor)
REALTIME = Role("realtime_replica", _realtime, _realtime_answers)
API = Role("api_replica", _api, _api_answers)
EDGE = Role("edge", _edge, _edge_answers)
VALKEY = Role("valkey", _valkey, _valkey_answers)
POSTGRES = Role("postgres", _postgres, _database_answers)
RAYLET = Role("raylet", _raylet, _has_a_successor)

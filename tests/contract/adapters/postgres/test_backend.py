"""What organizations say of their backends: sealed, their own, and changed by one at a time."""

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from adapters.entropy import SystemEntropy
from adapters.postgres.auth import AuthStore
from adapters.postgres.backend import BackendStore
from adapters.postgres.pool import Database
from adapters.postgres.sealing import Sealer, SealingError
from core.connections.backend_options import BackendOptions
from tests.helpers.loop import run

Scenario = Callable[[BackendStore, bytes, bytes], Awaitable[None]]


def played(database_url: str, scenario: Scenario) -> None:
    async def work() -> None:
        entropy = SystemEntropy()
        sealer = Sealer(bytes(32), entropy)
        database = await Database.open(database_url, 4)
        organizations = AuthStore(database, sealer, entropy)
        one, other = [await organizations.create_organization(name, "test") for name in ("one", "other")]
        try:
            await scenario(BackendStore(database, sealer), one.organization_id, other.organization_id)
        finally:
            await database.close()

    run(work())


def to(options: BackendOptions) -> Callable[[BackendOptions], BackendOptions]:
    return lambda _: options


def longer(current: BackendOptions) -> BackendOptions:
    return BackendOptions(timeout_ms=current.timeout_ms + 1)


def test_options_are_the_organizations_own(database_url: str) -> None:
    async def scenario(store: BackendStore, one: bytes, other: bytes) -> None:
        assert await store.find(one) is None
        options = BackendOptions(static_headers={"X-Key": "k"}, secret="whsec_x")  # noqa: S106 (none)
        assert await store.change(one, to(options)) == options
        assert await store.find(one) == options
        assert await store.find(other) is None

    played(database_url, scenario)


def test_options_are_sealed_for_their_place(database_url: str) -> None:
    async def scenario(store: BackendStore, one: bytes, other: bytes) -> None:
        await store.change(one, to(BackendOptions(static_headers={"X-Key": "planted"})))
        connection = await asyncpg.connect(database_url)
        try:
            rows = await connection.fetch("SELECT o::text FROM organizations o")
            assert not any("planted" in row[0] or b"planted".hex() in row[0] for row in rows)
            await connection.execute(
                "UPDATE organizations SET backend_sealed = "
                "(SELECT backend_sealed FROM organizations WHERE backend_sealed IS NOT NULL)"
            )
        finally:
            await connection.close()
        with pytest.raises(SealingError):
            await store.find(other)

    played(database_url, scenario)


def test_changes_follow_one_another(database_url: str) -> None:
    async def scenario(store: BackendStore, one: bytes, _: bytes) -> None:
        await asyncio.gather(*(store.change(one, longer) for _ in range(8)))
        found = await store.find(one)
        assert found is not None
        assert found.timeout_ms == BackendOptions().timeout_ms + 8

    played(database_url, scenario)


def test_a_change_that_fails_changes_nothing(database_url: str) -> None:
    def fail(_: BackendOptions) -> BackendOptions:
        raise ZeroDivisionError

    async def scenario(store: BackendStore, one: bytes, _: bytes) -> None:
        await store.change(one, longer)
        before = await store.find(one)
        with pytest.raises(ZeroDivisionError):
            await store.change(one, fail)
        assert await store.find(one) == before

    played(database_url, scenario)

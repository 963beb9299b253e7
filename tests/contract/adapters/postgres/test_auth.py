"""Organizations and keys in a real database: what is stored, and what never is."""

import asyncpg
import pytest

from adapters.entropy import SystemEntropy
from adapters.postgres.auth import AuthStore, Options
from adapters.postgres.pool import Database
from adapters.postgres.sealing import Sealer, SealingError
from core.auth.keys import digest, is_well_formed
from tests.helpers.loop import run


def test_a_key_is_shown_once_and_stored_as_its_digest(database_url: str) -> None:
    async def scenario() -> None:
        entropy = SystemEntropy()
        database = await Database.open(database_url, 2)
        store = AuthStore(database, Sealer(bytes(32), entropy), entropy)
        try:
            one, other = [await store.create_organization(name, "test") for name in ("one", "other")]
            key_id, key = await store.create_key(one, "ci", ["events:read"])
            assert is_well_formed(key)
            found = await store.find_key(digest(key))
            assert found is not None
            assert (found.organization_id, found.api_key_id) == (one.organization_id, key_id)
            assert [k.shown for k in await store.keys(one.organization_id)] == [f"{key[:12]}…{key[-4:]}"]
            assert await store.keys(other.organization_id) == []
            connection = await asyncpg.connect(database_url)
            rows = await connection.fetch("SELECT k::text, o::text FROM api_keys k, organizations o")
            await connection.close()
            assert not [row for row in rows if key in str(row) or one.token_secret.decode() in str(row)]
            assert not await store.revoke_key(other.organization_id, key_id)
            assert await store.revoke_key(one.organization_id, key_id)
            assert not await store.revoke_key(one.organization_id, key_id)
        finally:
            await database.close()

    run(scenario())


def test_options_change_alone_and_a_moved_secret_does_not_open(database_url: str) -> None:
    async def scenario() -> None:
        entropy = SystemEntropy()
        database = await Database.open(database_url, 2)
        store = AuthStore(database, Sealer(bytes(32), entropy), entropy)
        try:
            one, other = [await store.create_organization(name, "test") for name in ("one", "other")]
            assert await store.set_options(one.organization_id, Options(anonymous=True, token_secret=b"s"))
            changed = await store.organization(one.organization_id)
            assert changed is not None
            assert (changed.anonymous, changed.client_publish, changed.token_secret) == (True, False, b"s")
            assert not await store.set_options(bytes(16), Options(anonymous=True))
            with pytest.raises(SealingError):
                await AuthStore(database, Sealer(b"x" * 32, entropy), entropy).organization(
                    one.organization_id
                )
            connection = await asyncpg.connect(database_url)
            await connection.execute(
                "UPDATE organizations o SET token_secret_sealed = s.token_secret_sealed FROM organizations s"
                " WHERE o.name = 'other' AND s.name = 'one'"
            )
            await connection.close()
            with pytest.raises(SealingError):
                await store.organization(other.organization_id)
        finally:
            await database.close()

    run(scenario())

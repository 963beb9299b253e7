"""Keys that organizations brought along, sealed; and tokens that they took back, as long as it matters."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from adapters.entropy import SystemEntropy
from adapters.postgres.auth import AuthStore
from adapters.postgres.pool import Database
from adapters.postgres.sealing import Sealer, SealingError
from adapters.postgres.tokens import TokenStore, sweep_revocations
from core.auth.principal import Organization
from core.auth.revocation import Revocation
from core.auth.token_keys import TokenKeys
from core.instants import Instant, parse_instant
from tests.helpers.loop import run

PAST, NEXT, FAR = (parse_instant(f"{year}-01-01T00:00:00Z") for year in (2020, 2021, 2999))
MOST = 3

Scenario = Callable[[AuthStore, Organization, Organization, Database], Awaitable[None]]


def played(database_url: str, scenario: Scenario) -> None:
    async def work() -> None:
        entropy = SystemEntropy()
        database = await Database.open(database_url, 4)
        store = AuthStore(database, Sealer(bytes(32), entropy), entropy)
        one, other = [await store.create_organization(name, "test") for name in ("one", "other")]
        try:
            await scenario(store, one, other, database)
        finally:
            await database.close()

    run(work())


async def token_keys(store: AuthStore, organization: Organization) -> TokenKeys:
    found = await store.organization(organization.organization_id)
    assert found is not None
    return found.token_keys


def test_keys_are_kept_sealed_and_come_with_their_organization(database_url: str) -> None:
    async def scenario(store: AuthStore, one: Organization, other: Organization, _: Database) -> None:
        tokens, document = store.tokens, {"hmac_secret": "planted-secret", "issuer": "planted-issuer"}
        assert await tokens.token_keys(one.organization_id) == {}
        await tokens.set_token_keys(one.organization_id, document)
        assert await tokens.token_keys(one.organization_id) == document
        assert (await token_keys(store, one)).hmac_secret == b"planted-secret"
        assert [found.token_keys.hmac_secret for found in await store.organizations()] == [
            b"planted-secret",
            b"",
        ]
        assert await tokens.token_keys(other.organization_id) == {}
        connection = await asyncpg.connect(database_url)
        rows = await connection.fetch("SELECT o::text FROM organizations o")
        await connection.close()
        assert not [row for row in rows if "planted" in str(row) or b"planted".hex() in str(row)]
        await tokens.set_token_keys(one.organization_id, {})
        assert await token_keys(store, one) == TokenKeys()

    played(database_url, scenario)


def test_keys_that_were_moved_to_another_organization_do_not_open(database_url: str) -> None:
    async def scenario(store: AuthStore, one: Organization, other: Organization, database: Database) -> None:
        await store.tokens.set_token_keys(one.organization_id, {"hmac_secret": "s"})
        await database.execute(
            "UPDATE organizations o SET token_keys_sealed = s.token_keys_sealed FROM organizations s"
            " WHERE o.name = 'other' AND s.name = 'one'"
        )
        with pytest.raises(SealingError):
            await store.organization(other.organization_id)

    played(database_url, scenario)


async def revoked(
    tokens: TokenStore, organization: Organization, *revocations: Any, until: Instant = FAR
) -> bool:
    outcomes = [
        await tokens.revoke(organization.organization_id, Revocation(*one), until, MOST)
        for one in revocations
    ]
    return all(outcomes)


def test_revocations_are_their_organizations(database_url: str) -> None:
    async def scenario(store: AuthStore, one: Organization, other: Organization, _: Database) -> None:
        tokens = store.tokens
        assert await revoked(tokens, one, ("ann", PAST), ("ann", NEXT, "t1"), ("", PAST))
        assert await revoked(tokens, other, ("bob", PAST))
        ours, theirs, nobodys = await asyncio.gather(
            *(tokens.revocations(key) for key in (one.organization_id, other.organization_id, bytes(16)))
        )
        assert set(ours) == {Revocation("ann", PAST), Revocation("ann", NEXT, "t1"), Revocation("", PAST)}
        assert list(theirs) == [Revocation("bob", PAST)]
        assert list(nobodys) == []

    played(database_url, scenario)


def test_the_same_again_never_means_fewer_tokens(database_url: str) -> None:
    async def scenario(store: AuthStore, one: Organization, _: Organization, __: Database) -> None:
        assert await revoked(store.tokens, one, ("ann", NEXT), ("ann", PAST), ("ann", NEXT))
        assert await store.tokens.revocations(one.organization_id) == [Revocation("ann", NEXT)]
        assert await revoked(store.tokens, one, ("ann", PAST), until=PAST)
        assert await store.tokens.revocations(one.organization_id) == [Revocation("ann", NEXT)]

    played(database_url, scenario)


def test_only_so_many_are_in_force_and_what_has_expired_makes_room(database_url: str) -> None:
    async def scenario(store: AuthStore, one: Organization, other: Organization, database: Database) -> None:
        tokens, users = store.tokens, [f"u{number}" for number in range(20)]
        outcomes = await asyncio.gather(*(revoked(tokens, one, (user, PAST)) for user in users))
        assert outcomes.count(True) == MOST
        kept = [found.user for found in await tokens.revocations(one.organization_id)]
        assert await revoked(tokens, one, *((user, NEXT) for user in kept))
        assert await revoked(tokens, other, ("u0", PAST))
        await database.execute("UPDATE token_revocations SET expires_at = clock_timestamp()")
        assert await tokens.revocations(one.organization_id) == ()
        assert await revoked(tokens, one, ("ann", PAST))
        assert await tokens.revocations(one.organization_id) == [Revocation("ann", PAST)]

    played(database_url, scenario)


def test_what_has_expired_is_swept(database_url: str) -> None:
    async def scenario(store: AuthStore, one: Organization, other: Organization, database: Database) -> None:
        assert await revoked(store.tokens, one, ("ann", PAST), until=PAST)
        assert await revoked(store.tokens, other, ("bob", PAST))
        await sweep_revocations(database)
        assert [row["user_id"] for row in await database.fetch("SELECT user_id FROM token_revocations")] == [
            "bob"
        ]

    played(database_url, scenario)


def test_the_longest_names_fit(database_url: str) -> None:
    async def scenario(store: AuthStore, one: Organization, _: Organization, __: Database) -> None:
        longest = ("".join(chr(0x10000 + 7 * number) for number in range(255)),) * 2
        assert await revoked(store.tokens, one, (longest[0], PAST, longest[1]))
        assert await store.tokens.revocations(one.organization_id) == [
            Revocation(longest[0], PAST, longest[1])
        ]

    played(database_url, scenario)


def test_a_key_is_active_until_it_is_revoked(database_url: str) -> None:
    async def scenario(store: AuthStore, one: Organization, other: Organization, _: Database) -> None:
        key_id, _text = await store.create_key(one, "k", [])
        assert await store.is_active_key(one.organization_id, key_id)
        assert not await store.is_active_key(other.organization_id, key_id)
        await store.revoke_key(one.organization_id, key_id)
        assert not await store.is_active_key(one.organization_id, key_id)

    played(database_url, scenario)

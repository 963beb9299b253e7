"""Who is let in: keys and organizations are believed for a while, and no longer."""

import asyncio

import pytest

from adapters.entropy import SystemEntropy
from adapters.postgres.auth import AuthStore, Options
from adapters.postgres.pool import Database
from adapters.postgres.sealing import Sealer
from core.errors import TidingsError
from core.instants import Instant
from gateway.auth import Authenticator
from settings import Api
from tests.helpers.loop import run


class HandClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def now(self) -> Instant:
        return Instant(round(self.seconds * 1_000_000))

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        await asyncio.sleep(0)


def code(error: pytest.ExceptionInfo[TidingsError]) -> str:
    return error.value.code.value


def test_a_revoked_key_is_believed_for_sixty_seconds_at_most(database_url: str) -> None:
    async def scenario() -> None:
        clock, entropy = HandClock(), SystemEntropy()
        database = await Database.open(database_url, 2)
        store = AuthStore(database, Sealer(bytes(32), entropy), entropy)
        organization = await store.create_organization("one", "live")
        key_id, key = await store.create_key(organization, "k", ["events:read"])
        authenticator = Authenticator(store, clock, Api())
        try:
            assert (await authenticator.api_key(key)).allows("events:read")
            await store.revoke_key(organization.organization_id, key_id)
            clock.seconds += 59.9
            assert await authenticator.api_key(key)
            clock.seconds += 0.2
            with pytest.raises(TidingsError) as refused:
                await authenticator.api_key(key)
            assert code(refused) == "credential_invalid"
        finally:
            await database.close()

    run(scenario())


def test_a_key_ends_with_its_time_even_when_it_is_remembered(database_url: str) -> None:
    async def scenario() -> None:
        clock, entropy = HandClock(), SystemEntropy()
        database = await Database.open(database_url, 2)
        store = AuthStore(database, Sealer(bytes(32), entropy), entropy)
        organization = await store.create_organization("one", "live")
        _, key = await store.create_key(organization, "k", ["events:read"], Instant(clock.now() + 5_000_000))
        authenticator = Authenticator(store, clock, Api())
        try:
            await authenticator.api_key(key)
            clock.seconds += 5
            with pytest.raises(TidingsError) as refused:
                await authenticator.api_key(key)
            assert code(refused) == "credential_expired"
        finally:
            await database.close()

    run(scenario())


def test_without_a_credential_only_a_default_organization_that_allows_it_lets_in(database_url: str) -> None:
    async def scenario() -> None:
        clock, entropy = HandClock(), SystemEntropy()
        database = await Database.open(database_url, 2)
        store = AuthStore(database, Sealer(bytes(32), entropy), entropy)
        authenticator = Authenticator(store, clock, Api())
        try:
            with pytest.raises(TidingsError) as refused:
                await authenticator.connection("", None)
            assert code(refused) == "unauthenticated"
            organization = await store.create_organization("one", "live")
            await store.set_default_organization(organization.organization_id, replace=True)
            with pytest.raises(TidingsError):
                await authenticator.connection("", None)
            await store.set_options(organization.organization_id, Options(anonymous=True))
            clock.seconds += 2
            principal, entered = await authenticator.connection("", None)
            assert (principal.kind, entered.organization_id) == ("anonymous", organization.organization_id)
        finally:
            await database.close()

    run(scenario())

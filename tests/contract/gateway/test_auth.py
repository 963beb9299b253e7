"""Who is let in, and who may stay: what is known is believed for a while, and no longer."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web

from adapters.entropy import SystemEntropy
from adapters.http.jwks import KeySets
from adapters.postgres.auth import AuthStore, Options
from adapters.postgres.pool import Database
from adapters.postgres.sealing import Sealer
from core.auth.principal import Organization, Principal
from core.auth.revocation import Revocation, Revocations
from core.errors import TidingsError
from core.ids import encode
from core.instants import Instant, from_seconds
from gateway.auth import Authenticator
from settings import Api, Tokens
from tests.helpers.hand_clock import HandClock
from tests.helpers.loop import run
from tests.helpers.ports import free_port
from tests.helpers.tokens import jwk_of, key_set, pem_of, private_key, token

FAR = Instant(2**52)
SHORT, ONE = "short", "one"


@dataclass(frozen=True)
class Door:
    """An authenticator over a real database, with one organization, the default one."""

    authenticator: Authenticator
    store: AuthStore
    organization: Organization
    clock: HandClock

    def token(self, **claims: Any) -> str:
        return token(claims, self.organization.token_secret)

    async def enter(self, text: str) -> Principal:
        return (await self.authenticator.connection(text, None))[0]

    async def refusal(self, text: str) -> str:
        with pytest.raises(TidingsError) as caught:
            await self.enter(text)
        return caught.value.code.value

    async def subscription_refusal(self, text: str) -> str:
        with pytest.raises(TidingsError) as caught:
            await self.authenticator.subscription(await self.fresh(), text)
        return caught.value.code.value

    async def fresh(self) -> Organization:
        return await self.authenticator.organization(self.organization.organization_id)

    async def keys(self, **document: Any) -> None:
        await self.store.tokens.set_token_keys(self.organization.organization_id, document)
        self.clock.seconds += 1

    async def revoke(self, revocation: Revocation, organization_id: bytes = b"") -> None:
        owner = organization_id or self.organization.organization_id
        assert await self.store.tokens.revoke(owner, revocation, FAR, 100)


def played(
    database_url: str, scenario: Callable[[Door], Awaitable[None]], *, has_key_sets: bool = True
) -> None:
    async def work() -> None:
        clock, entropy = HandClock(), SystemEntropy()
        database = await Database.open(database_url, 2)
        store = AuthStore(database, Sealer(bytes(32), entropy), entropy)
        organization = await store.create_organization("one", "live")
        await store.set_default_organization(organization.organization_id, replace=True)
        key_sets = KeySets(Tokens(jwks_private=True), clock)
        authenticator = Authenticator(store, clock, Api(), key_sets if has_key_sets else None)
        try:
            await scenario(Door(authenticator, store, organization, clock))
        finally:
            await key_sets.close()
            await database.close()

    run(work())


def code(error: pytest.ExceptionInfo[TidingsError]) -> str:
    return error.value.code.value


# Keys, and nobody at all.


def test_a_revoked_key_is_believed_for_sixty_seconds_at_most(database_url: str) -> None:
    async def scenario(door: Door) -> None:
        key_id, key = await door.store.create_key(door.organization, "k", ["events:read"])
        assert (await door.authenticator.api_key(key)).allows("events:read")
        await door.store.revoke_key(door.organization.organization_id, key_id)
        door.clock.seconds += 59.9
        assert await door.authenticator.api_key(key)
        door.clock.seconds += 0.2
        assert await door.refusal(key) == "credential_invalid"

    played(database_url, scenario)


def test_a_key_ends_with_its_time_even_when_it_is_remembered(database_url: str) -> None:
    async def scenario(door: Door) -> None:
        expires_at = Instant(door.clock.now() + 5_000_000)
        _, key = await door.store.create_key(door.organization, "k", ["events:read"], expires_at)
        await door.authenticator.api_key(key)
        door.clock.seconds += 5
        assert await door.refusal(key) == "credential_expired"

    played(database_url, scenario)


def test_without_a_credential_only_a_default_organization_that_allows_it_lets_in(database_url: str) -> None:
    async def scenario(door: Door) -> None:
        assert await door.refusal("") == "unauthenticated"
        await door.store.set_options(door.organization.organization_id, Options(anonymous=True))
        door.clock.seconds += 2
        principal = await door.enter("")
        assert (principal.kind, principal.organization_id) == ("anonymous", door.organization.organization_id)

    played(database_url, scenario)


def test_without_a_default_organization_nobody_enters_without_a_credential(database_url: str) -> None:
    async def work() -> None:
        entropy = SystemEntropy()
        database = await Database.open(database_url, 1)
        store = AuthStore(database, Sealer(bytes(32), entropy), entropy)
        try:
            for text in ("", token({}, b"hush")):
                with pytest.raises(TidingsError) as refused:
                    await Authenticator(store, HandClock(), Api()).connection(text, None)
                assert code(refused) == "unauthenticated"
        finally:
            await database.close()

    run(work())


# Connection tokens.


def test_a_token_brings_everything_that_it_says(database_url: str) -> None:
    async def scenario(door: Door) -> None:
        claims = {
            "sub": "ann",
            "exp": 1_060,
            "iat": 990,
            "jti": "t1",
            "info": 1,
            "meta": 2,
            "channels": ["a"],
        }
        principal = await door.enter(door.token(**claims))
        assert principal == Principal(
            door.organization.organization_id,
            "user",
            "ann",
            expires_at=from_seconds(1_060),
            refreshable=True,
            info=b"1",
            channels=("a",),
            meta=b"2",
            token_id="t1",  # noqa: S106 (an id)
            issued_at=from_seconds(990),
        )
        assert list((await door.enter(door.token(subs={"b": {}}))).subs) == ["b"]
        by_header = await door.authenticator.connection("", f"bearer {door.token(sub='bob')}")
        assert by_header[0].id == "bob"

    played(database_url, scenario)


def test_a_token_enters_the_organization_that_it_names_if_this_has_signed_it(database_url: str) -> None:
    async def scenario(door: Door) -> None:
        other = await door.store.create_organization("other", "live")
        named = {"sub": "ann", "org": encode("org", other.organization_id)}
        assert (await door.enter(token(named, other.token_secret))).organization_id == other.organization_id
        assert await door.refusal(token(named, door.organization.token_secret)) == "credential_invalid"
        assert await door.refusal(token({"sub": "ann"}, other.token_secret)) == "credential_invalid"
        nobodys = {**named, "org": encode("org", bytes(16))}
        assert await door.refusal(token(nobodys, door.organization.token_secret)) == "credential_invalid"

    played(database_url, scenario)


def test_the_keys_of_another_system_hold_within_a_second_and_for_their_organization_alone(
    database_url: str,
) -> None:
    async def scenario(door: Door) -> None:
        moved = token({"sub": "ann"}, b"short", "HS512")
        assert await door.refusal(moved) == "credential_invalid"
        await door.keys(hmac_secret=SHORT, rsa_public_key=pem_of(private_key("RS256")), user_claim="uid")
        assert (await door.enter(token({"uid": "ann"}, b"short", "HS512"))).id == "ann"
        assert (await door.enter(token({"uid": "bob"}, private_key("RS256"), "RS384"))).id == "bob"
        other = await door.store.create_organization("other", "live")
        named = {"uid": "ann", "org": encode("org", other.organization_id)}
        assert await door.refusal(token(named, b"short")) == "credential_invalid"
        await door.keys()
        assert await door.refusal(moved) == "credential_invalid"

    played(database_url, scenario)


def test_a_token_that_never_ends_may_be_renewed_once_it_was_given_an_end(database_url: str) -> None:
    async def scenario(door: Door) -> None:
        principal = await door.enter(door.token())
        assert (principal.expires_at, principal.refreshable) == (None, True)

    played(database_url, scenario)


def test_an_insecure_organization_verifies_what_it_is_shown_but_ends_nothing(database_url: str) -> None:
    async def scenario(door: Door) -> None:
        await door.store.set_options(door.organization.organization_id, Options(client_insecure=True))
        principal = await door.enter(door.token(exp=1_060))
        assert (principal.expires_at, principal.refreshable) == (None, False)
        assert await door.refusal(token({}, b"other")) == "credential_invalid"

    played(database_url, scenario)


@asynccontextmanager
async def provider(*keys: dict[str, Any]) -> AsyncIterator[str]:
    """Publish keys, and give the URL; without any it is broken."""

    async def serve(_: web.BaseRequest) -> web.Response:
        return web.Response(body=key_set(*keys), status=200 if keys else 503)

    runner = web.ServerRunner(web.Server(serve))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port := free_port()).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


def test_published_keys_verify_by_their_name(database_url: str) -> None:
    async def scenario(door: Door) -> None:
        async with provider(
            jwk_of(private_key("EdDSA"), kid="a"), jwk_of(private_key("ES256"), kid="b")
        ) as url:
            await door.keys(jwks_url=url)
            assert (
                await door.enter(token({"sub": "ann"}, private_key("EdDSA"), "EdDSA", kid="a"))
            ).id == "ann"
            assert (
                await door.enter(token({"sub": "bob"}, private_key("ES256"), "ES256", kid="b"))
            ).id == "bob"
            forged = token({"sub": "ann"}, private_key("EdDSA", 1), "EdDSA", kid="a")
            assert await door.refusal(forged) == "credential_invalid"
            assert (await door.enter(door.token(sub="own"))).id == "own"

    played(database_url, scenario)


def test_a_provider_that_is_away_sends_nobody_away_for_good(database_url: str) -> None:
    async def scenario(door: Door) -> None:
        async with provider() as url:
            await door.keys(jwks_url=url)
            text = token({"sub": "ann"}, private_key("EdDSA"), "EdDSA", kid="a")
            assert await door.refusal(text) == "unavailable"
            assert await door.refusal(token({}, b"other")) == "credential_invalid"

    played(database_url, scenario)
    played(database_url, scenario, has_key_sets=False)


# Subscription tokens.


def test_a_subscription_token_is_verified_by_the_keys_of_its_connection(database_url: str) -> None:
    async def scenario(door: Door) -> None:
        text = door.token(sub="ann", channel="$a", exp=1_060)
        claims = await door.authenticator.subscription(await door.fresh(), text)
        assert (claims.user, claims.channel, claims.expires_at) == ("ann", "$a", from_seconds(1_060))
        assert await door.subscription_refusal(door.token(sub="ann")) == "credential_invalid"
        assert await door.subscription_refusal(door.token(channel="$a", exp=1)) == "credential_expired"
        assert await door.subscription_refusal("no token") == "credential_invalid"
        other = await door.store.create_organization("other", "live")
        named = door.token(channel="$a", org=encode("org", other.organization_id))
        assert await door.subscription_refusal(named) == "credential_invalid"
        assert await door.refusal(text) == "credential_invalid"

    played(database_url, scenario)


def test_subscription_tokens_may_have_keys_of_their_own(database_url: str) -> None:
    async def scenario(door: Door) -> None:
        await door.keys(hmac_secret=ONE, subscriptions={"hmac_secret": "two"})
        claims = {"sub": "ann", "channel": "$a"}
        organization = await door.fresh()
        assert (await door.authenticator.subscription(organization, token(claims, b"two"))).user == "ann"
        assert await door.subscription_refusal(token(claims, b"one")) == "credential_invalid"
        assert await door.refusal(token({"sub": "ann"}, b"two")) == "credential_invalid"
        assert (await door.enter(token({"sub": "ann"}, b"one"))).id == "ann"

    played(database_url, scenario)


# What is taken back.


def test_a_token_that_was_taken_back_opens_nothing_any_more(database_url: str) -> None:
    async def scenario(door: Door) -> None:
        old, new = door.token(sub="ann", iat=1_000), door.token(sub="ann", iat=1_001)
        undated, bobs = door.token(sub="ann"), door.token(sub="bob", iat=1)
        channel = door.token(sub="ann", channel="$a", iat=1_000)
        principals = [await door.enter(text) for text in (old, undated, new, bobs)]
        await door.revoke(Revocation("ann", from_seconds(1_000)))
        door.clock.seconds += 1
        assert [await door.authenticator.still_valid(one) for one in principals] == [False, False, True, True]
        for text in (old, undated):
            assert await door.refusal(text) == "credential_invalid"
        assert await door.subscription_refusal(channel) == "credential_invalid"
        assert {(await door.enter(text)).id for text in (new, bobs)} == {"ann", "bob"}

    played(database_url, scenario)


def test_one_token_may_be_taken_back_alone(database_url: str) -> None:
    async def scenario(door: Door) -> None:
        one, two = [await door.enter(door.token(sub="ann", iat=2_000, jti=name)) for name in "ab"]
        await door.revoke(Revocation("ann", from_seconds(1), "a"))
        door.clock.seconds += 1
        assert not await door.authenticator.still_valid(one)
        assert await door.authenticator.still_valid(two)

    played(database_url, scenario)


def test_what_one_organization_takes_back_is_nothing_to_another(database_url: str) -> None:
    async def scenario(door: Door) -> None:
        other = await door.store.create_organization("other", "live")
        ours = await door.enter(door.token(sub="ann", iat=1))
        theirs = await door.enter(
            token({"sub": "ann", "iat": 1, "org": encode("org", other.organization_id)}, other.token_secret)
        )
        await door.revoke(Revocation("ann", from_seconds(1)), other.organization_id)
        door.clock.seconds += 1
        assert await door.authenticator.still_valid(ours)
        assert not await door.authenticator.still_valid(theirs)

    played(database_url, scenario)


def test_revocations_are_a_second_old_at_most(database_url: str) -> None:
    async def scenario(door: Door) -> None:
        organization_id = door.organization.organization_id
        assert await door.authenticator.revocations(organization_id) == Revocations()
        await door.revoke(Revocation("ann", from_seconds(1)))
        assert await door.authenticator.revocations(organization_id) == Revocations()
        door.clock.seconds += 1
        known = await door.authenticator.revocations(organization_id)
        assert known == Revocations([Revocation("ann", from_seconds(1))])

    played(database_url, scenario)


def test_whoever_was_let_in_stays_until_the_reason_is_gone(database_url: str) -> None:
    async def scenario(door: Door) -> None:
        organization_id, authenticator = door.organization.organization_id, door.authenticator
        key_id, key = await door.store.create_key(door.organization, "k", ["events:read"])
        await door.store.set_options(organization_id, Options(anonymous=True))
        door.clock.seconds += 1
        by_key, nobody, ann = (
            await door.enter(key),
            await door.enter(""),
            await door.enter(door.token(sub="ann")),
        )
        assert [await authenticator.still_valid(one) for one in (by_key, nobody, ann)] == [True] * 3
        await door.store.revoke_key(organization_id, key_id)
        await door.store.set_options(organization_id, Options(anonymous=False))
        door.clock.seconds += 1
        assert [await authenticator.still_valid(one) for one in (by_key, nobody, ann)] == [False, False, True]

    played(database_url, scenario)


def test_what_is_read_anew_and_found_unchanged_is_the_same_object(database_url: str) -> None:
    async def scenario(door: Door) -> None:
        organization_id = door.organization.organization_id
        _, key = await door.store.create_key(door.organization, "k", ["events:read"])
        organization, principal = await door.fresh(), await door.enter(key)
        door.clock.seconds += 60
        assert await door.fresh() is organization
        assert await door.enter(key) is principal
        await door.store.set_options(organization_id, Options(anonymous=True))
        door.clock.seconds += 1
        assert (await door.fresh()).anonymous

    played(database_url, scenario)


def test_a_suspended_organization_keeps_nobody_and_a_silent_database_everybody(database_url: str) -> None:
    async def scenario(door: Door) -> None:
        database = await Database.open(database_url, 1)
        ann = await door.enter(door.token(sub="ann"))
        await database.execute("UPDATE organizations SET status = 'suspended'")
        await database.close()
        door.clock.seconds += 1
        assert not await door.authenticator.still_valid(ann)
        silent = AuthStore(database, Sealer(bytes(32), SystemEntropy()), SystemEntropy())
        assert await Authenticator(silent, door.clock, Api()).still_valid(ann)

    played(database_url, scenario)

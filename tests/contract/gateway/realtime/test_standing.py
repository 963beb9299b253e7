"""What is written about organizations and credentials holds for those who are in, whatever word was lost."""

import asyncio
from dataclasses import replace

from core.auth.principal import Organization
from core.auth.revocation import Revocation
from core.auth.scopes import ALL
from core.channels.namespace import Options as ChannelOptions
from core.instants import Instant
from gateway.auth import LOOK_S
from gateway.realtime.standing import Standing
from tests.helpers.loop import run
from tests.helpers.meeting import Meeting
from tests.helpers.realtime import Realtimes, Speaker, realtime_of
from tests.helpers.replica import OTHER_ORG, token_of

WITHIN_S = 5.0
NEVER = Instant(2**52)
INVALID = (3500, "invalid token")


async def is_served(speaker: Speaker) -> bool:
    return "history" in await speaker.ask({"id": 9, "history": {"channel": "news"}})


def test_a_token_that_is_taken_back_ends_its_connections_and_no_others(database_url: str) -> None:
    async def scenario() -> None:
        async with (
            realtime_of(database_url) as realtimes,
            Speaker(realtimes.url, realtimes.token("ann", iat=1)) as ann,
            Speaker(realtimes.url, realtimes.token("bob", iat=1)) as bob,
            Speaker(realtimes.url, realtimes.key) as key,
        ):
            organization_id = realtimes.organization.organization_id
            revocation = Revocation("ann", Instant(2_000_000))
            await realtimes.store.tokens.revoke(organization_id, revocation, NEVER, 10)
            assert await ann.closed() == INVALID
            assert await is_served(bob)
            assert await is_served(key)

    run(scenario())


def test_a_key_that_is_revoked_ends_its_connections_and_no_others(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as realtimes:
            organization = realtimes.organization
            key_id, key = await realtimes.store.create_key(organization, "other", sorted(ALL))
            async with (
                Speaker(realtimes.url, key) as revoked,
                Speaker(realtimes.url, realtimes.key) as other,
                Speaker(realtimes.url, realtimes.token("ann")) as ann,
            ):
                await realtimes.store.revoke_key(organization.organization_id, key_id)
                assert await revoked.closed() == INVALID
                assert await is_served(other)
                assert await is_served(ann)

    run(scenario())


def test_who_was_let_in_without_a_credential_leaves_when_that_ends(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as realtimes:
            await realtimes.options(anonymous=True)
            async with Speaker(realtimes.url) as nobody, Speaker(realtimes.url, realtimes.token("")) as user:
                assert "connect" in await nobody.ask({"id": 1, "connect": {}})
                await realtimes.options(anonymous=False)
                assert await nobody.closed() == INVALID
                assert await is_served(user)

    run(scenario())


def test_the_rules_of_channels_change_for_those_who_are_in(database_url: str) -> None:
    async def scenario() -> None:
        async with (
            realtime_of(database_url) as realtimes,
            Speaker(realtimes.url, realtimes.token("ann")) as ann,
        ):
            assert "history" in await ann.ask({"id": 2, "history": {"channel": "news"}})
            await forbid_history(realtimes)

            async with asyncio.timeout(WITHIN_S):
                while "error" not in (answer := await ann.ask({"id": 3, "history": {"channel": "news"}})):
                    pass
            assert answer["error"]["code"] == 108

    run(scenario())


async def forbid_history(realtimes: Realtimes) -> None:
    closed = ChannelOptions(allow_subscribe_for_client=True)
    await realtimes.rules.change_namespace(realtimes.organization.organization_id, "_", lambda *_: closed)


def test_an_organization_that_can_not_be_read_does_not_keep_the_others_from_being_looked_at() -> None:
    async def scenario() -> None:
        world = Meeting()
        replica = world.replica
        other, its_socket = await world.connect(token=token_of("bob", OTHER_ORG))
        _, socket = await world.connect(token=token_of("ann"))
        standing = Standing(replica.clients, replica.parts.authenticator)
        await standing.look(replica.hub.feeds)
        replica.clock.seconds += 2 * LOOK_S
        known = replica.store.organizations

        async def organization(organization_id: bytes) -> Organization | None:
            if organization_id == OTHER_ORG:
                raise ValueError  # options that only a newer release knows
            return replace(known[organization_id], status="suspended")

        replica.store.organization = organization  # type: ignore[method-assign]  # what is stored changes
        await standing.look(replica.hub.feeds)
        assert (socket.codes, its_socket.codes) == ([3507], [])
        assert other.connection.is_connected
        await world.close()

    run(scenario())

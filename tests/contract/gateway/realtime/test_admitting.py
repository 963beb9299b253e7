"""Who is let in, and what becomes of those who are not."""

import msgspec

from tests.helpers.loop import run
from tests.helpers.realtime import Speaker, realtime_of


def test_where_tokens_must_name_a_user_one_without_ends_the_connection(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as realtimes:
            await realtimes.options(anonymous=True)
            await realtimes.rules.change_organization(
                realtimes.organization.organization_id,
                lambda stored: msgspec.structs.replace(stored.options, disallow_anonymous_tokens=True),
            )
            async with Speaker(realtimes.url) as nameless:
                await nameless.say({"id": 1, "connect": {"token": realtimes.token("")}})
                assert await nameless.closed() == (3507, "permission denied")
            async with Speaker(realtimes.url, realtimes.token("ann")), Speaker(realtimes.url) as without:
                assert "connect" in await without.ask({"id": 1, "connect": {}})

    run(scenario())


def test_a_key_that_was_taken_back_lets_nobody_in_again(database_url: str) -> None:
    async def scenario() -> None:
        async with realtime_of(database_url) as realtimes:
            organization = realtimes.organization
            api_key_id, key = await realtimes.store.create_key(organization, "another", ["channels:read"])
            async with Speaker(realtimes.url, key) as speaker:
                assert await realtimes.store.revoke_key(organization.organization_id, api_key_id)
                assert await speaker.closed() == (3500, "invalid token")
            for _ in range(2):
                async with Speaker(realtimes.url) as again:
                    await again.say({"id": 1, "connect": {"token": key}})
                    assert await again.closed() == (3500, "invalid token")

    run(scenario())

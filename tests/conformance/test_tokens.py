"""How clients come in, stay in and are sent away, by the tokens that they bring."""

from functools import partial

import pytest

from tests.conformance.kinds import KINDS, Kind, Site
from tests.conformance.sdk import sdk
from tests.conformance.tenants import Tenant
from tests.conformance.together import together
from tests.helpers.loop import run

# So long that an SDK is in before its token has expired, however slow the machine.
SHORT_S = 6
ANOTHER = "a secret that is long enough for the library"


def test_a_wrong_token_ends_the_client_with_3500(plain: Tenant, site: Site, kind: Kind) -> None:
    async def conversation() -> None:
        for token in (plain.token("ann", secret=ANOTHER), "not.a.token"):
            async with sdk(kind, site, token) as client:
                ended = await client.last("disconnected")
                assert (ended["code"], ended["reason"]) == (3500, "invalid token")

    run(conversation())


def test_an_unknown_api_key_ends_the_client_with_3500(plain: Tenant, site: Site, socket: Kind) -> None:
    wrong = plain.key[:-6] + ("aaaaaa" if not plain.key.endswith("aaaaaa") else "bbbbbb")

    async def conversation() -> None:
        async with sdk(socket, site, wrong) as client:
            assert (await client.last("disconnected"))["code"] == 3500

    run(conversation())


def test_an_expired_token_is_asked_for_again(plain: Tenant, site: Site, kind: Kind, name: str) -> None:
    async def conversation() -> None:
        async with sdk(kind, site, plain.token("ann", lifetime_s=-60), plain.token("ann")) as client:
            await client.heard("token asked")
            await client.heard("connected")
            await client.subscribed(f"conformance:{name}")
            assert not client.so_far("disconnected")

    run(conversation())


def test_a_client_without_token_asks_for_its_first(plain: Tenant, site: Site, kind: Kind) -> None:
    async def conversation() -> None:
        async with sdk(kind, site, "", plain.token("ann")) as client:
            await client.heard("connected")
            assert len(client.so_far("token asked")) == 1

    run(conversation())


def test_a_token_is_refreshed_while_the_connection_stays(plain: Tenant, site: Site, name: str) -> None:
    async def conversation(kind: Kind) -> None:
        async with sdk(
            kind, site, partial(plain.token, "ann", lifetime_s=SHORT_S), plain.token("ann")
        ) as client:
            await client.subscribed(f"conformance:{name}-{kind.name}")
            await client.heard("token asked")
            plain.publish(f"conformance:{name}-{kind.name}", {"n": 1})
            await client.heard("publication")
            assert len(await client.heard("connected")) == 1

    together(KINDS, conversation)


def test_a_connection_that_is_not_refreshed_ends_after_a_grace_and_comes_back_with_a_new_token(
    plain: Tenant, site: Site, name: str
) -> None:
    async def conversation(kind: Kind) -> None:
        tokens = (partial(plain.token, "ann", lifetime_s=SHORT_S), None, plain.token("ann"))
        async with sdk(kind, site, *tokens) as client:
            await client.subscribed(f"conformance:{name}-{kind.name}")
            ended = await client.last("connecting", code=3005)
            assert ended["reason"] == "connection expired"
            await client.heard("connected", 2)
            assert len(client.so_far("token asked")) == 2
            again = await client.last("subscribed", 2)
            assert (again["was_recovering"], again["recovered"]) == (True, True)

    together(KINDS, conversation)


def test_a_refresh_with_the_token_of_another_user_ends_the_client_with_3500(
    plain: Tenant, site: Site
) -> None:
    async def conversation(kind: Kind) -> None:
        async with sdk(
            kind, site, partial(plain.token, "ann", lifetime_s=SHORT_S), plain.token("bob")
        ) as client:
            assert (await client.last("disconnected"))["code"] == 3500

    together(KINDS, conversation)


def test_a_private_channel_opens_to_its_token_alone(plain: Tenant, site: Site, kind: Kind, name: str) -> None:
    private, other = f"$private:{name}", f"$other:{name}"

    async def conversation() -> None:
        async with sdk(kind, site, plain.token("ann")) as client:
            token = plain.token("ann", channel=private, data={"hello": "ann"})
            assert (await client.subscribed(private, tokens=[token]))["data"] == {"hello": "ann"}
            plain.publish(private, {"n": 1})
            await client.heard("publication", channel=private)
            await client.call("subscribe", channel=other)
            assert (await client.last("unsubscribed", channel=other))["code"] == 103
            forged = plain.token("ann", channel="$forged", secret=ANOTHER)
            await client.call("subscribe", channel="$forged", tokens=[forged])
            assert (await client.last("unsubscribed", channel="$forged"))["code"] == 103
            assert len(client.so_far("connected")) == 1

    run(conversation())


@pytest.mark.parametrize("claims", [{"channel": "$else"}, {"user": "bob"}], ids=["channel", "user"])
def test_a_subscription_token_of_something_else_ends_the_client_with_3500(
    plain: Tenant, site: Site, socket: Kind, claims: dict[str, str]
) -> None:
    token = plain.token(**{"user": "ann", "channel": "$this", **claims})

    async def conversation() -> None:
        async with sdk(socket, site, plain.token("ann")) as client:
            await client.call("subscribe", channel="$this", tokens=[token])
            assert (await client.last("disconnected"))["code"] == 3500

    run(conversation())


def test_an_expired_subscription_token_is_asked_for_again(
    plain: Tenant, site: Site, kind: Kind, name: str
) -> None:
    channel = f"$private:{name}"
    tokens = [plain.token("ann", channel=channel, lifetime_s=-60), plain.token("ann", channel=channel)]

    async def conversation() -> None:
        async with sdk(kind, site, plain.token("ann")) as client:
            await client.subscribed(channel, tokens=tokens)
            assert client.so_far("subscription token asked")
            assert not client.so_far("unsubscribed")

    run(conversation())


def test_a_subscription_token_is_refreshed_while_the_subscription_stays(
    plain: Tenant, site: Site, name: str
) -> None:
    async def conversation(kind: Kind) -> None:
        channel = f"$private:{name}-{kind.name}"
        lasting = plain.token("ann", channel=channel)
        async with sdk(kind, site, plain.token("ann")) as client:
            await client.heard("connected")
            lives = (SHORT_S, 2 * SHORT_S)
            short, longer = (plain.token("ann", channel=channel, lifetime_s=s) for s in lives)
            await client.subscribed(channel, tokens=[short, longer, lasting])
            # The second question comes as early as the answer to the first refresh said.
            await client.heard("subscription token asked", 2)
            plain.publish(channel, {"n": 1})
            await client.heard("publication")
            assert len(client.so_far("subscribed")) == 1

    together(KINDS, conversation)


def test_a_subscription_that_is_not_refreshed_ends_with_2501_and_comes_back_with_a_new_token(
    plain: Tenant, site: Site, name: str
) -> None:
    async def conversation(kind: Kind) -> None:
        channel = f"$private:{name}-{kind.name}"
        lasting = plain.token("ann", channel=channel)
        async with sdk(kind, site, plain.token("ann")) as client:
            await client.heard("connected")
            short = plain.token("ann", channel=channel, lifetime_s=SHORT_S)
            await client.subscribed(channel, tokens=[short, None, lasting])
            ended = await client.last("subscribing", code=2501)
            assert ended["reason"] == "subscription expired"
            again = await client.last("subscribed", 2)
            assert (again["was_recovering"], again["recovered"]) == (True, True)
            assert len(client.so_far("connected")) == 1

    together(KINDS, conversation)

"""Tokens over REST: made, taken back, and whose are believed."""

import asyncio
from typing import Any

from adapters.clock import SystemClock
from core.auth.principal import Principal
from core.connections.orders import ORDER, Disconnect, Order, Revoke, Who, decode_order
from core.errors import TidingsError
from core.instants import Instant, format_instant, from_seconds, parse_instant
from core.streams.event import EphemeralPublication, Head, LiveBatch
from gateway.auth import Authenticator
from settings import Api, Tokens
from tests.helpers.eventually import eventually
from tests.helpers.loop import run
from tests.helpers.rest import Answer, Rest, rest_of
from tests.helpers.tokens import pem_of, private_key, token

KEYS, MAKE, REVOKE = "/v1/organization/token_keys", "/v1/connection_tokens", "/v1/connection_tokens/revoke"
DAY_S = 86_400


def door(api: Rest) -> Authenticator:
    """Return another replica's authenticator, which remembers nothing yet."""
    return Authenticator(api.store, SystemClock(), Api())


async def enter(api: Rest, text: str) -> Principal:
    return (await door(api).connection(text, None))[0]


async def is_refused(api: Rest, text: str) -> bool:
    try:
        await enter(api, text)
    except TidingsError as error:
        return error.code.value == "credential_invalid"
    return False


async def made(api: Rest, **body: Any) -> str:
    answer = await api.post(MAKE, body)
    assert answer.status == 200, answer.raw
    text: str = answer.body["token"]
    return text


def pointers(answer: Answer) -> list[str]:
    assert (answer.status, answer.code) == (422, "validation_failed"), answer.raw
    return [error["pointer"] for error in answer.body["errors"]]


class Heard:
    """A replica's ear for orders."""

    def __init__(self) -> None:
        self.orders: list[Order] = []

    def on_live(self, batch: LiveBatch) -> None:
        raise AssertionError(batch)

    def on_head(self, head: Head) -> None:
        pass

    def on_ephemeral(self, publication: EphemeralPublication) -> None:
        assert (publication.kind, publication.channel) == (ORDER, "")
        self.orders.append(decode_order(publication.data))


# Making.


def test_a_token_opens_a_connection_with_what_was_asked_for(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            before = SystemClock().now()
            body = {
                "user": "ann",
                "expires_in_s": 60,
                "info": {"name": "Ann"},
                "subs": {"news": {"data": [1], "override": {"presence": {"value": True}}}},
                "meta": {"plan": 1},
            }
            answer = await api.post(MAKE, body)
            assert (answer.status, answer.body["object"]) == (200, "connection_token")
            assert answer.headers["cache-control"] == "no-store"
            principal = await enter(api, answer.body["token"])
            assert (principal.kind, principal.id) == ("user", "ann")
            assert principal.organization_id == api.organization.organization_id
            assert (principal.info, principal.meta) == (b'{"name":"Ann"}', b'{"plan":1}')
            assert principal.subs["news"].data == b"[1]"
            assert principal.subs["news"].override.presence is True
            assert principal.token_id == answer.body["token_id"]
            assert principal.issued_at is not None
            assert before <= principal.issued_at <= SystemClock().now()
            assert principal.expires_at == parse_instant(answer.body["expires_at"])
            assert 58 <= (principal.expires_at - before) / 1_000_000 <= 61
            by_name = await enter(api, await made(api, user="bob", channels=["a", "b"]))
            assert (by_name.channels, by_name.info) == (("a", "b"), b"")

    run(scenario())


def test_a_token_for_a_channel_opens_that_channel_alone(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            text = await made(api, user="ann", channel="$a", info=1, data=2, client="c1")
            claims = await door(api).subscription(api.organization, text)
            assert (claims.user, claims.channel, claims.client) == ("ann", "$a", "c1")
            assert (claims.info, claims.data) == (b"1", b"2")
            assert await is_refused(api, text)

    run(scenario())


def test_what_is_made_is_believed_whatever_keys_were_brought_along(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            expected = {"user_claim": "uid", "issuer": "us", "audience": "chat", "audience_pattern": "^chat$"}
            for keys in (expected, {"audience": "rooms", "subscriptions": {"user_claim": "uid"}}):
                assert (await api.call("PUT", KEYS, keys)).status == 200
                async with asyncio.timeout(5):  # options are believed for a second
                    while await is_refused(api, text := await made(api, user="ann")):
                        pass
                assert (await enter(api, text)).id == "ann"
                organization = await door(api).organization(api.organization.organization_id)
                text = await made(api, user="ann", channel="a")
                assert (await door(api).subscription(organization, text)).user == "ann"

    run(scenario())


def test_no_token_is_made_that_the_organization_would_refuse(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            for keys in ({"issuer_pattern": "^https://"}, {"user_claim": "jti"}, {"user_claim": "exp"}):
                assert (await api.call("PUT", KEYS, {**keys, "subscriptions": {}})).status == 200
                refusal = await api.until(422, "POST", MAKE, {"user": "ann"})
                assert refusal.code == "rule_violated"
                await made(api, user="ann", channel="a")

    run(scenario())


UNSAYABLE: list[tuple[dict[str, Any], str]] = [
    ({}, "#/user"),
    ({"user": ""}, "#/user"),
    ({"user": 7}, "#/user"),
    ({"user": "a" * 256}, "#/user"),
    ({"user": "ann", "expires_in_s": 0}, "#/expires_in_s"),
    ({"user": "ann", "expires_in_s": 365 * DAY_S + 1}, "#/expires_in_s"),
    ({"user": "ann", "expires_in_s": 1.5}, "#/expires_in_s"),
    ({"user": "ann", "admin": True}, "#/admin"),
    ({"user": "ann", "org": "org_1"}, "#/org"),
    ({"user": "ann", "channels": "a"}, "#/channels"),
    ({"user": "ann", "channels": ["a", "\u00e9"]}, "#/channels/1"),
    ({"user": "ann", "channels": [""]}, "#/channels/0"),
    ({"user": "ann", "subs": {"\u00e9": {}}}, "#/subs/\u00e9"),
    (
        {"user": "ann", "subs": {"a": {"override": {"presense": {"value": True}}}}},
        "#/subs/a/override/presense",
    ),
    ({"user": "ann", "data": 1}, "#/data"),
    ({"user": "ann", "channel": ""}, "#/channel"),
    ({"user": "ann", "channel": "\u00e9"}, "#/channel"),
    ({"user": "ann", "channel": "a", "channels": ["a"]}, "#/channels"),
    ({"user": "ann", "channel": "a", "meta": 1}, "#/meta"),
]


def test_what_no_token_can_say_is_named(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            for body, pointer in UNSAYABLE:
                assert pointer in pointers(await api.post(MAKE, body)), body

    run(scenario())


def test_a_token_that_nobody_would_read_is_not_made(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            answer = await api.post(MAKE, {"user": "ann", "info": "x" * 8_000})
            assert (answer.status, answer.code) == (422, "rule_violated")
            for body in (b"[]", b"{", b'{"user":"a\\u0000"}'):
                assert (await api.post(MAKE, body)).status == 400

    run(scenario())


# Taking back.


def test_a_user_taken_back_is_out_and_a_new_token_lets_him_in_again(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            heard = Heard()
            api.owner.watch(api.organization.organization_id, heard)
            ann, bob = await made(api, user="ann"), await made(api, user="bob")
            answer = await api.post(REVOKE, {"user": "ann"})
            new = await made(api, user="ann")
            assert (answer.status, answer.body["object"], answer.body["user"]) == (200, "revocation", "ann")
            assert await is_refused(api, ann)
            assert {(await enter(api, text)).id for text in (bob, new)} == {"ann", "bob"}
            assert await eventually(lambda: bool(heard.orders), within_s=1)
            (order,) = heard.orders
            assert isinstance(order, Revoke)
            assert (order.who, order.token_id) == (Who("ann"), "")
            assert from_seconds(order.before_s) == parse_instant(answer.body["issued_before"])

    run(scenario())


def test_a_repeated_revocation_takes_back_what_the_first_did_and_no_more(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            first = await api.post(REVOKE, {"user": "ann"}, idempotency_key="k")
            new = await made(api, user="ann")
            again = await api.post(REVOKE, {"user": "ann"}, idempotency_key="k")
            assert (again.status, again.raw) == (200, first.raw)
            assert (first.headers.get("idempotent-replayed"), again.headers["idempotent-replayed"]) == (
                None,
                "true",
            )
            assert (await enter(api, new)).id == "ann"
            other = await api.post(REVOKE, {"user": "bob"}, idempotency_key="k")
            assert (other.status, other.code) == (422, "idempotency_mismatch")
            assert (await api.post(REVOKE, {"user": "ann"})).status == 200
            assert await is_refused(api, new)
            key = (await api.another("tokens:write"))[1]
            assert (
                await api.call("POST", REVOKE, {"user": "bob"}, key=key, idempotency_key="k")
            ).status == 200

    run(scenario())


def test_a_revocation_that_is_none_uses_up_no_key(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            bad = {"user": "ann", "issued_before": "yesterday"}
            assert (await api.post(REVOKE, bad, idempotency_key="k")).status == 422
            assert (await api.post(REVOKE, {"user": "ann"}, idempotency_key="k")).status == 200
            answer = await api.post(REVOKE, {"user": "ann"}, idempotency_key="no key")
            assert (answer.status, answer.code) == (400, "idempotency_key_invalid")

    run(scenario())


def test_one_token_is_taken_back_alone(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            one = (await api.post(MAKE, {"user": "ann"})).body
            two = await made(api, user="ann")
            answer = await api.post(REVOKE, {"user": "ann", "token_id": one["token_id"]})
            assert (answer.status, answer.body["token_id"]) == (200, one["token_id"])
            assert await is_refused(api, one["token"])
            assert (await enter(api, two)).id == "ann"

    run(scenario())


def test_a_backend_whose_clock_is_ahead_says_until_when(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            now = SystemClock().now()
            ahead = token({"sub": "ann", "iat": now // 1_000_000 + 30}, api.organization.token_secret)
            await api.store.set_default_organization(api.organization.organization_id, replace=True)
            assert (await enter(api, ahead)).id == "ann"
            until = format_instant(Instant(now + 60_000_000))
            answer = await api.post(REVOKE, {"user": "ann", "issued_before": until, "keep_s": 60})
            assert answer.body["issued_before"] == until
            assert parse_instant(answer.body["expires_at"]) - now == 120_000_000
            assert await is_refused(api, ahead)

    run(scenario())


def test_one_connection_is_ended_and_its_token_stays_good(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            heard = Heard()
            api.owner.watch(api.organization.organization_id, heard)
            text = await made(api, user="ann")
            named = [{"client": "c1"}, {"session": "s1"}, {"client": "c1", "session": "s1"}]
            for one in named:
                assert (await api.post(REVOKE, {"user": "ann", **one})).status == 200
            assert await eventually(lambda: len(heard.orders) == len(named), within_s=1)
            assert heard.orders == [Disconnect(Who("ann", **one), 3_500) for one in named]
            assert (await enter(api, text)).id == "ann"

    run(scenario())


UNTAKEABLE: list[tuple[dict[str, Any], str]] = [
    ({}, "#/user"),
    ({"user": "ann", "issued_before": "yesterday"}, "#/issued_before"),
    ({"user": "ann", "issued_before": "2999-01-01T00:00:00Z"}, "#/issued_before"),
    ({"user": "ann", "keep_s": 0}, "#/keep_s"),
    ({"user": "ann", "keep_s": 365 * DAY_S + 1}, "#/keep_s"),
    ({"user": "ann", "token_id": ""}, "#/token_id"),
    ({"user": "ann", "token_id": "t", "client": "c"}, "#/client"),
    ({"user": "ann", "all": True}, "#/all"),
]


def test_what_can_not_be_taken_back_is_named(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            for body, pointer in UNTAKEABLE:
                assert pointers(await api.post(REVOKE, body)) == [pointer]

    run(scenario())


def test_only_so_many_are_in_force(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url, tokens=Tokens(revocations_max=2)) as api:
            for user in ("ann", "bob", "ann"):
                assert (await api.post(REVOKE, {"user": user})).status == 200
            answer = await api.post(REVOKE, {"user": "cid"})
            assert (answer.status, answer.code) == (422, "rule_violated")

    run(scenario())


# Whose tokens are believed.


def test_keys_are_set_whole_and_never_shown(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            assert (await api.get(KEYS)).body == {"object": "token_keys"}
            document = {
                "hmac_secret": "planted-secret",
                "rsa_public_key": pem_of(private_key("RS256")),
                "issuer": "us",
                "audience": None,
                "subscriptions": {"hmac_secret": "other-secret"},
            }
            answer = await api.call("PUT", KEYS, document)
            shown = await api.get(KEYS)
            assert (answer.status, shown.raw) == (200, answer.raw)
            assert b"-secret" not in shown.raw
            assert shown.body["hmac_secret"].keys() == {"fingerprint"}
            assert (shown.body["issuer"], "audience" in shown.body) == ("us", False)
            await api.store.set_default_organization(api.organization.organization_id, replace=True)
            assert (await enter(api, token({"sub": "ann", "iss": "us"}, b"planted-secret"))).id == "ann"
            assert (await api.call("PUT", KEYS, {})).body == {"object": "token_keys"}
            assert await is_refused(api, token({"sub": "ann", "iss": "us"}, b"planted-secret"))

    run(scenario())


NO_KEYS: list[tuple[dict[str, Any], list[str]]] = [
    ({"hmac_secret": ""}, ["#/hmac_secret"]),
    ({"rsa_public_key": "x", "secret": "y"}, ["#/rsa_public_key", "#/secret"]),
    ({"subscriptions": {"issuer_pattern": "("}}, ["#/subscriptions/issuer_pattern"]),
]


def test_keys_that_are_none_change_nothing(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            await api.call("PUT", KEYS, {"issuer": "us"})
            for body, expected in NO_KEYS:
                assert pointers(await api.call("PUT", KEYS, body)) == expected
            assert (await api.get(KEYS)).body == {"object": "token_keys", "issuer": "us"}

    run(scenario())


def test_each_needs_its_scope(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            reader = await api.key_with("organization:read", "tokens:read")
            assert (await api.call("GET", KEYS, key=reader)).status == 200
            refused = await asyncio.gather(
                api.call("PUT", KEYS, {}, key=reader),
                api.call("POST", MAKE, {"user": "ann"}, key=reader),
                api.call("POST", REVOKE, {"user": "ann"}, key=reader),
            )
            wanted = ["organization:write", "tokens:write", "tokens:write"]
            assert [answer.body["required_scope"] for answer in refused] == wanted
            narrow = await api.key_with("channels:write")
            assert (await api.call("GET", KEYS, key=narrow)).body["required_scope"] == "organization:read"

    run(scenario())

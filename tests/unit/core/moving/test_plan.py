"""A configuration becomes a plan: all that is set, a row for each key, and what stands against it."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from core.channels.namespace import ClientOptions, PersonalChannel
from core.moving.plan import Plan, ServerApi, plan_of
from core.moving.source import SAME, TAKEN, UNAVAILABLE, leaves

PEM = (
    ec.generate_private_key(ec.SECP256R1())
    .public_key()
    .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    .decode()
)
TYPES = frozenset({"room", "message"})


def plan(configuration: dict[str, Any], **variables: str) -> Plan:
    return plan_of(configuration, variables, TYPES)


def verdicts(found: Plan) -> dict[str, str]:
    return {row.key: row.verdict for row in found.rows}


def test_keys_of_tokens_are_taken_over() -> None:
    token = {
        "hmac_secret_key": "short",
        "ecdsa_public_key": PEM,
        "jwks_public_endpoint": "https://k",
        "issuer": "i",
        "issuer_regex": "i.",
        "audience": "a",
        "audience_regex": "a.",
        "user_id_claim": "uid",
    }
    found = plan({"client": {"token": token}})
    assert found.token_keys == {
        "hmac_secret": "short",
        "ecdsa_public_key": PEM,
        "jwks_url": "https://k",
        "issuer": "i",
        "issuer_pattern": "i.",
        "audience": "a",
        "audience_pattern": "a.",
        "user_claim": "uid",
    }
    assert set(verdicts(found).values()) == {TAKEN}
    assert not found.refusals
    assert "short" not in repr(found)


def test_subscription_tokens_have_keys_of_their_own_only_where_that_is_on() -> None:
    token = {"hmac_secret_key": "x"}
    on = plan({"client": {"subscription_token": {"enabled": True, **token}}})
    assert on.token_keys == {"subscriptions": {"hmac_secret": "x"}}
    off = plan({"client": {"subscription_token": {"enabled": False, **token}}})
    assert off.token_keys == {}
    assert verdicts(off)["client.subscription_token.hmac_secret_key"] == SAME


@pytest.mark.parametrize("kind", ["token", "subscription_token"])
def test_a_key_that_cannot_be_one_stands_against_the_move(kind: str) -> None:
    found = plan({"client": {kind: {"enabled": True, "rsa_public_key": "/etc/key.pem"}}})
    assert found.refusals[0].startswith(f"client.{kind}.rsa_public_key: Must be the PEM of a public RSA key")


def test_modes_of_connections_are_taken_over() -> None:
    found = plan({"client": {"insecure": True, "allow_anonymous_connect_without_token": True}})
    assert (found.client_insecure, found.anonymous) == (True, True)
    assert (plan({}).client_insecure, plan({}).anonymous) == (False, False)


@pytest.mark.parametrize("key", ["client_insecure", "api_insecure", "api_disable"])
def test_a_row_says_what_a_switch_does_only_where_it_is_on(key: str) -> None:
    for value, says_it in ((True, True), ("true", True), (False, False)):
        (row,) = plan({key: value}).rows
        assert (row.key, row.verdict, row.why != "") == (key, TAKEN, says_it)


def test_limits_and_the_personal_channel_are_taken_over() -> None:
    found = plan(
        {
            "client": {
                "disallow_anonymous_connection_tokens": True,
                "channel_limit": 10,
                "user_connection_limit": 3,
                "subscribe_to_user_personal_channel": {
                    "enabled": True,
                    "personal_channel_namespace": "own",
                    "single_connection": True,
                },
            },
            "channel": {"max_length": 100, "namespaces": [{"name": "own", "presence": True}]},
        }
    )
    assert found.rules.clients == ClientOptions(
        disallow_anonymous_tokens=True,
        user_personal_channel=PersonalChannel(enabled=True, namespace="own", single_connection=True),
        channels_max=10,
        connections_per_user_max=3,
        channel_characters_max=100,
    )
    assert set(verdicts(found).values()) == {TAKEN}
    assert not found.refusals


def test_longer_names_than_there_are_here_are_not_available() -> None:
    found = plan({"channel": {"max_length": 1000}})
    assert found.rules.clients.channel_characters_max == 255
    assert verdicts(found)["channel.max_length"] == UNAVAILABLE


def test_a_personal_channel_in_no_namespace_stands_against_the_move() -> None:
    personal = {"enabled": True, "personal_channel_namespace": "own"}
    found = plan({"client": {"subscribe_to_user_personal_channel": personal}})
    assert found.refusals[0].endswith("there is no such namespace")


def test_rules_replace_ours_wholly_and_refuse_unknown_namespaces() -> None:
    found = plan({"channel": {"publication_data_format": "json", "namespaces": [{"name": "chat"}]}})
    assert found.rules.unknown == "refuse"
    assert found.rules.without.allow_subscribe_for_client is False
    assert found.rules.namespaces["chat"].publication_data_format == "json"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("message", "is a resource type"),
        ("a", "two or more letters"),
        ("ä b", "letters"),
        ("tidings", "the system's own"),
    ],
)
def test_a_namespace_that_no_namespace_can_be_called_stands_against_the_move(name: str, why: str) -> None:
    found = plan({"channel": {"namespaces": [{"name": name}]}})
    assert why in found.refusals[0]


MARKS = {
    "channel_private_prefix": "$",
    "channel_namespace_boundary": ":",
    "channel_user_boundary": "#",
    "channel_user_separator": ",",
    "rpc_namespace_boundary": ":",
}


@pytest.mark.parametrize(("key", "ours"), MARKS.items())
def test_an_older_file_that_reads_names_by_other_marks_stands_against_the_move(key: str, ours: str) -> None:
    open_to_clients = {"token_hmac_secret_key": "s", "allow_subscribe_for_client": True}
    assert plan({key: "@", **open_to_clients}).refusals == (f"{key}: names are read by {ours!r} alone",)
    variable = f"CENTRIFUGO_{key.upper()}"
    assert plan(open_to_clients, **{variable: "@"}).refusals[0].startswith(f"{variable}: names are read by")
    same = plan({key: ours, **open_to_clients})
    assert not same.refusals
    assert verdicts(same)[key] == SAME


def test_more_costly_expressions_than_there_can_be_stand_against_the_move() -> None:
    regexes = ["(", *(rf"^\pL{{1,20}}x{number}$" for number in range(9))]
    namespaces = [{"name": f"n{at}", "channel_regex": regex} for at, regex in enumerate(regexes)]
    none_at_all, *others = plan({"channel": {"namespaces": namespaces}}).refusals
    assert none_at_all.startswith("channel.namespaces.n0.channel_regex: No regular expression")
    why = "more than 8 have a channel_regex that compiles to more than 64 KiB"
    assert others == [f"channel.namespaces: {why}"]
    assert plan({"channel": {"namespaces": namespaces[:9]}}).refusals == (none_at_all,)


def test_more_namespaces_than_there_can_be_stand_against_the_move() -> None:
    found = plan({"channel": {"namespaces": [{"name": f"ns{n}"} for n in range(1001)]}})
    assert found.refusals == ("channel.namespaces: there are more than 1000",)


@pytest.mark.parametrize("key", ["namespaces", "rpc_namespaces", "proxies"])
def test_a_list_of_what_has_no_name_stands_against_the_move(key: str) -> None:
    assert plan({key: [{"presence": True}]}).refusals == (
        f"{key}: must be a list of objects, each with a name",
    )
    assert not plan({"api_key": "K", key: []}).refusals


def test_channels_of_an_older_file_are_asked_of_the_proxy_that_they_name() -> None:
    found = plan(
        {
            "granular_proxy_mode": True,
            "proxies": [{"name": "backend", "endpoint": "http://127.0.0.1:18501/deny"}],
            "namespaces": [
                {"name": "chat", "subscribe_proxy_name": "backend", "allow_subscribe_for_client": True}
            ],
        }
    )
    assert not found.refusals
    assert found.rules.namespaces["chat"].subscribe_proxy is True
    assert found.backend["endpoints"] == {"subscribe": "http://127.0.0.1:18501/deny"}
    assert set(verdicts(found).values()) == {TAKEN}


def test_the_server_api_is_taken_over_with_its_key() -> None:
    found = plan({"http_api": {"key": "K", "insecure": True, "error_mode": "transport"}})
    assert found.server_api == ServerApi("K", is_open=True, errors_by_status=True)
    assert "'K'" not in repr(found)
    off = plan({"http_api": {"key": "K", "insecure": True, "disabled": True}})
    assert off.server_api == ServerApi()
    assert plan({"http_api": {"error_mode": "loud"}}).refusals


@pytest.mark.parametrize(
    "configuration", [{}, {"engine": {"type": "redis"}}, {"client": {"ping_interval": "9s"}}]
)
def test_a_configuration_without_anything_to_take_over_stands_against_the_move(
    configuration: dict[str, Any],
) -> None:
    assert plan(configuration).refusals[0].startswith("there is nothing to take over")
    assert not plan({"http_api": {"insecure": False}, **configuration}).refusals


def test_variables_alone_are_a_configuration() -> None:
    found = plan(
        {},
        CENTRIFUGO_HTTP_API_KEY="K",
        CENTRIFUGO_CHANNEL_NAMESPACES="chat",
        CENTRIFUGO_CHANNEL_NAMESPACES_CHAT_PRESENCE="true",
        CENTRIFUGO_LOG_LEVEL="debug",
    )
    assert found.server_api.key == "K"
    assert found.rules.namespaces["chat"].presence is True
    assert verdicts(found)["CENTRIFUGO_LOG_LEVEL"] == UNAVAILABLE


Json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "client",
                    "token",
                    "channel",
                    "namespaces",
                    "name",
                    "presence",
                    "enabled",
                    "insecure",
                    "history_ttl",
                    "http_api",
                    "key",
                    "proxies",
                    "endpoint",
                    "proxy",
                    "connect",
                    "x.y",
                    "",
                    "rpc",
                    "max_length",
                    "without_namespace",
                ]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=30,
)


@given(
    st.dictionaries(
        st.sampled_from(["client", "channel", "http_api", "rpc", "proxies", "namespaces", "z"]), Json
    )
)
def test_no_key_is_dropped_in_silence(configuration: dict[str, Any]) -> None:
    rows = plan(configuration).rows
    assert {row.key for row in rows} == set(leaves(configuration))
    assert all(row.verdict == TAKEN or row.why for row in rows)

"""Files of several versions and an environment become one set of keys."""

from typing import Any

from core.moving.found import source_of, take_the_rest

OPTIONS = ("presence", "subscribe_proxy_enabled")


def values_of(configuration: dict[str, Any], **variables: str) -> dict[str, Any]:
    return source_of(configuration, variables, OPTIONS).values


def test_a_file_of_version_6_stays_as_it_is() -> None:
    assert values_of({"client": {"insecure": True}, "presence_": 1}) == {
        "client.insecure": True,
        "presence_": 1,
    }


def test_an_older_file_is_read_under_newer_names() -> None:
    source = source_of(
        {
            "api_key": "k",
            "presence": True,
            "proxy_subscribe": True,
            "namespaces": [{"name": "a.b", "proxy_publish": True}],
            "proxies": [{"name": "p", "endpoint": "e", "static_http_headers": {"X": "1"}}],
            "rpc_namespaces": [{"name": "r", "rpc_proxy_name": "p"}],
        },
        {},
        OPTIONS,
    )
    assert source.values == {
        "http_api.key": "k",
        "channel.without_namespace.presence": True,
        "channel.without_namespace.subscribe_proxy_enabled": True,
        "channel.namespaces.a.b.name": "a.b",
        "channel.namespaces.a.b.publish_proxy_enabled": True,
        "proxies.p.name": "p",
        "proxies.p.endpoint": "e",
        "proxies.p.http.static_headers.X": "1",
        "rpc.namespaces.r.name": "r",
        "rpc.namespaces.r.proxy_name": "p",
    }
    assert "http_api.key" in source.older
    assert "proxies.p.endpoint" not in source.older
    assert source.spelled["http_api.key"] == "api_key"


def test_somebody_elses_variables_are_not_looked_at() -> None:
    assert not source_of({}, {"PATH": "/bin"}, OPTIONS).variables


def test_a_list_comes_from_a_variable_as_json_or_as_names() -> None:
    assert values_of({}, CENTRIFUGO_CHANNEL_NAMESPACES='[{"name":"chat","presence":true}]') == {
        "channel.namespaces.chat.name": "chat",
        "channel.namespaces.chat.presence": True,
    }
    assert values_of({}, CENTRIFUGO_PROXIES="one two") == {
        "proxies.one.name": "one",
        "proxies.two.name": "two",
    }
    assert values_of({}, CENTRIFUGO_CONSUMERS="[]") == {"consumers": []}


def test_a_list_that_cannot_be_read_stands_against_the_move() -> None:
    for text in ("[", "[1]"):
        source = source_of({}, {"CENTRIFUGO_CHANNEL_NAMESPACES": text}, OPTIONS)
        assert source.refusals == ["CENTRIFUGO_CHANNEL_NAMESPACES: must be JSON or names between spaces"]


def test_variables_of_older_versions_count_as_they_did() -> None:
    variables = {
        "CENTRIFUGO_TOKEN_HMAC_SECRET_KEY": "s",
        "CENTRIFUGO_PRESENCE": "true",
        "CENTRIFUGO_CLIENT_INSECURE": "true",
        "CENTRIFUGO_NAMESPACES": '[{"name":"chat","proxy_subscribe":true}]',
        "CENTRIFUGO_RPC_NAMESPACES": '[{"name":"aa","rpc_proxy_name":"p"},{"name":"bb","proxy_name":"p"}]',
    }
    source = source_of({"token_hmac_secret_key": "of the file"}, variables, OPTIONS)
    assert source.values == {
        "client.token.hmac_secret_key": "s",
        "channel.without_namespace.presence": "true",
        "channel.namespaces.chat.name": "chat",
        "channel.namespaces.chat.subscribe_proxy_enabled": True,
        "rpc.namespaces.aa.name": "aa",
        "rpc.namespaces.aa.proxy_name": "p",
        "rpc.namespaces.bb.name": "bb",
        "rpc.namespaces.bb.proxy_name": "p",
    }
    for key, variable in (
        ("client.token.hmac_secret_key", "CENTRIFUGO_TOKEN_HMAC_SECRET_KEY"),
        ("channel.namespaces.chat.subscribe_proxy_enabled", "CENTRIFUGO_NAMESPACES.chat.proxy_subscribe"),
    ):
        assert source.spelled[key] == variable
    assert "rpc.namespaces.aa.proxy_name" in source.older
    assert "rpc.namespaces.bb.proxy_name" not in source.older
    assert set(source.variables) == {"CENTRIFUGO_CLIENT_INSECURE"}  # the key is called so, before and since


def test_two_variables_that_say_the_same_stand_against_the_move() -> None:
    variables = {"CENTRIFUGO_NAMESPACES": "a", "CENTRIFUGO_CHANNEL_NAMESPACES": "b"}
    source = source_of({}, variables, OPTIONS)
    assert source.refusals == [
        "CENTRIFUGO_NAMESPACES: means the same as CENTRIFUGO_CHANNEL_NAMESPACES: keep one of them"
    ]


def test_what_nothing_asked_for_gets_the_key_it_stands_for() -> None:
    variables = {
        "CENTRIFUGO_ENGINE_REDIS_ADDRESS": "a",
        "CENTRIFUGO_CLIENT_PING_INTERVAL": "25s",
        "CENTRIFUGO_ENGINES": "x",
    }
    source = source_of({}, variables, OPTIONS)
    take_the_rest(source)
    assert source.values == {
        "engine.redis_address": "a",
        "client.ping_interval": "25s",
        "CENTRIFUGO_ENGINES": "x",
    }
    assert source.spelled["engine.redis_address"] == "CENTRIFUGO_ENGINE_REDIS_ADDRESS"


def test_two_ways_to_say_the_same_stand_against_the_move() -> None:
    source = source_of({"http_api": {"key": "a"}, "api_key": "b"}, {}, OPTIONS)
    assert source.refusals == ["api_key: means the same as http_api.key: keep one of them"]
    assert source.values == {"http_api.key": "a", "api_key": "b"}

"""Proxies become one address for each kind of event, or stand against the move."""

from typing import Any

import pytest

from core.moving.backends import backend_of, options_of
from core.moving.found import source_of
from core.moving.options import NAMES
from core.moving.source import SAME, TAKEN, UNAVAILABLE, Source, leaves

CHAT, NEWS = "channel.namespaces.chat", "channel.namespaces.news"


def source_with(document: dict[str, Any]) -> Source:
    return Source(leaves(document))


def older(configuration: dict[str, Any]) -> Source:
    """Return a file of version 4 or 5."""
    return source_of(configuration, {}, NAMES)


def test_without_proxies_nobody_is_asked() -> None:
    assert backend_of(Source({}), [CHAT]) == {}


def test_proxies_of_connections_are_taken_over_with_all_that_they_send() -> None:
    asked = {
        "enabled": True,
        "endpoint": "https://b/connect",
        "timeout": "2s",
        "http_headers": ["Cookie", "X-Real-IP"],
        "include_connection_meta": True,
        "http": {"static_headers": {"X": "1"}},
        "grpc": {"compression": True},
    }
    source = source_with(
        {"client": {"proxy": {"connect": asked, "refresh": {"enabled": True, "endpoint": "https://b/r"}}}}
    )
    backend = backend_of(source, [])
    assert backend == {
        "endpoints": {"connect": "https://b/connect", "refresh": "https://b/r"},
        "timeout_ms": 2_000,
        "http_headers": ["Cookie", "X-Real-IP"],
        "emulated_headers": ["Cookie"],
        "static_headers": {"X": "1"},
        "include_meta": True,
        "binary_encoding": False,
    }
    options = options_of(backend, bytes(24))
    assert options.url_of("refresh") == "https://b/r"
    assert options.secret.startswith("whsec_")
    assert not source.refusals
    assert source.rows["client.proxy.connect.grpc.compression"].verdict == UNAVAILABLE


def test_namespaces_ask_the_default_proxy_or_a_named_one() -> None:
    source = source_with(
        {
            "channel": {
                "proxy": {"subscribe": {"endpoint": "http://s"}},
                "namespaces": [
                    {
                        "name": "chat",
                        "subscribe_proxy_enabled": True,
                        "publish_proxy_enabled": True,
                        "publish_proxy_name": "p",
                    },
                    {
                        "name": "news",
                        "subscribe_proxy_enabled": True,
                        "subscribe_proxy_name": "default",
                        "publish_proxy_name": "p",
                    },
                ],
            },
            "proxies": [{"name": "p", "endpoint": "http://p"}],
        }
    )
    backend = backend_of(source, [CHAT, NEWS])
    assert backend["endpoints"] == {"subscribe": "http://s", "publish": "http://p"}
    assert backend["timeout_ms"] == 1_000
    assert not source.refusals


def test_namespaces_that_ask_different_addresses_stand_against_the_move() -> None:
    source = source_with(
        {
            "channel": {
                "proxy": {"subscribe": {"endpoint": "http://s"}},
                "namespaces": [
                    {"name": "chat", "subscribe_proxy_enabled": True},
                    {"name": "news", "subscribe_proxy_enabled": True, "subscribe_proxy_name": "p"},
                ],
            },
            "proxies": [{"name": "p", "endpoint": "http://p"}],
        }
    )
    assert backend_of(source, [CHAT, NEWS]) == {}
    assert source.refusals[0].startswith(f"{NEWS}.subscribe_proxy_name: one kind of event has one address")


def test_a_proxy_without_endpoint_stands_against_the_move() -> None:
    source = source_with({"channel": {"namespaces": [{"name": "chat", "publish_proxy_enabled": True}]}})
    assert backend_of(source, [CHAT]) == {}
    assert source.refusals == [
        f"{CHAT}.publish_proxy_enabled: there is no endpoint channel.proxy.publish.endpoint"
    ]


@pytest.mark.parametrize("endpoint", ["grpc://b", ""])
def test_who_cannot_be_asked_over_http_stands_against_the_move(endpoint: str) -> None:
    source = source_with({"client": {"proxy": {"connect": {"enabled": True, "endpoint": endpoint}}}})
    assert backend_of(source, []) == {}
    assert "client.proxy.connect.endpoint: a backend is asked over HTTP" in source.refusals[0]


def test_methods_ask_one_proxy() -> None:
    source = source_with(
        {
            "rpc": {
                "proxy": {"endpoint": "http://rpc"},
                "without_namespace": {"proxy_enabled": True},
                "namespaces": [{"name": "aa", "proxy_enabled": False, "proxy_name": "x"}],
            }
        }
    )
    assert backend_of(source, [])["endpoints"] == {"rpc": "http://rpc"}
    assert len(source.rows) == len(source.values)


def test_an_older_file_turns_a_proxy_on_by_its_endpoint() -> None:
    keys = {"client.proxy.connect.endpoint": "http://c", "rpc.proxy.endpoint": "http://r"}
    source = Source(dict(keys), older=set(keys))
    assert backend_of(source, [])["endpoints"] == {"connect": "http://c", "rpc": "http://r"}


def test_an_endpoint_without_an_address_turns_nothing_on() -> None:
    assert backend_of(older({"proxy_connect_endpoint": "", "proxy_rpc_endpoint": ""}), []) == {}


def test_in_an_older_file_all_proxies_without_a_name_are_asked_in_one_way() -> None:
    source = older(
        {
            "proxy_connect_endpoint": "http://b/c",
            "proxy_http_headers": ["Cookie"],
            "proxy_static_http_headers": {"X-Key": "k"},
            "proxy_include_connection_meta": True,
            "proxy_binary_encoding": True,
        }
    )
    backend = backend_of(source, [])
    assert (backend["http_headers"], backend["static_headers"]) == (["Cookie"], {"X-Key": "k"})
    assert (backend["include_meta"], backend["binary_encoding"]) == (True, True)
    assert {row.verdict for row in source.rows.values()} == {TAKEN}
    assert set(source.rows) == set(source.values)


def test_in_granular_mode_events_ask_the_proxies_that_they_name() -> None:
    source = older(
        {
            "granular_proxy_mode": True,
            "proxies": [
                {"name": "one", "endpoint": "https://b/1", "static_http_headers": {"X": "1"}},
                {"name": "two", "endpoint": "https://b/2"},
            ],
            "connect_proxy_name": "one",
            "refresh_proxy_name": "two",
            "rpc_proxy_name": "two",
            "rpc_namespaces": [{"name": "aa", "rpc_proxy_name": "two"}],
            "namespaces": [{"name": "chat", "subscribe_proxy_name": "one", "publish_proxy_name": "two"}],
            "proxy_connect_endpoint": "https://other",
            "proxy_rpc_endpoint": "https://other",
        }
    )
    backend = backend_of(source, [CHAT])
    assert backend["endpoints"] == {
        "connect": "https://b/1",
        "refresh": "https://b/2",
        "subscribe": "https://b/1",
        "publish": "https://b/2",
        "rpc": "https://b/2",
    }
    assert backend["static_headers"] == {"X": "1"}
    assert not source.refusals
    assert source.rows[f"{CHAT}.subscribe_proxy_name"].verdict == TAKEN
    assert "client.proxy.connect.endpoint" not in source.rows


def test_without_granular_mode_a_name_turns_on_the_one_proxy_there_is() -> None:
    configuration = {
        "proxies": [{"name": "p", "endpoint": "https://p"}],
        "connect_proxy_name": "p",
        "namespaces": [{"name": "chat", "subscribe_proxy_name": "p"}],
    }
    source = older({**configuration, "proxy_subscribe_endpoint": "https://s"})
    assert backend_of(source, [CHAT])["endpoints"] == {"subscribe": "https://s"}
    for key in ("connect_proxy_name", f"{CHAT}.subscribe_proxy_name"):
        assert (source.rows[key].verdict, "granular" in source.rows[key].why) == (SAME, True)
    source = older(configuration)
    backend_of(source, [CHAT])
    assert source.refusals[0].endswith("there is no endpoint channel.proxy.subscribe.endpoint")


@pytest.mark.parametrize(
    "asking",
    [
        {"connect_proxy_name": "nobody"},
        {"refresh_proxy_name": "nobody"},
        {"rpc_proxy_name": "nobody"},
        {"namespaces": [{"name": "chat", "subscribe_proxy_name": "nobody"}]},
    ],
)
def test_in_granular_mode_a_proxy_that_there_is_not_stands_against_the_move(asking: dict[str, Any]) -> None:
    source = older({"granular_proxy_mode": True, **asking})
    assert backend_of(source, [CHAT]) == {}
    assert "there is no endpoint proxies.nobody.endpoint" in source.refusals[0]


def test_in_granular_mode_a_proxy_without_a_name_stands_against_the_move() -> None:
    namespace = {"name": "chat", "proxy_publish": True}
    source = older(
        {"granular_proxy_mode": True, "proxy_publish_endpoint": "http://p", "namespaces": [namespace]}
    )
    assert backend_of(source, [CHAT]) == {}
    assert "there is no name of a proxy" in source.refusals[0]


def test_a_newer_file_does_not() -> None:
    keys = {"client.proxy.connect.endpoint": "http://c"}
    assert backend_of(Source(dict(keys)), []) == {}
    spelled = dict.fromkeys(keys, "CENTRIFUGO_CLIENT_PROXY_CONNECT_ENDPOINT")
    assert backend_of(Source(dict(keys), spelled=spelled), []) == {}


def proxies_of(connect: dict[str, Any], refresh: dict[str, Any]) -> Source:
    asked = {"connect": {"enabled": True, **connect}, "refresh": {"enabled": True, **refresh}}
    return source_with({"client": {"proxy": asked}})


def test_at_one_host_all_events_share_the_headers_and_the_longest_timeout() -> None:
    source = proxies_of(
        {"endpoint": "http://b/c", "http_headers": ["A", "B"], "timeout": "3s"},
        {
            "endpoint": "http://u:p@B:80/r",
            "http_headers": ["B", "C"],
            "binary_encoding": True,
            "http": {"static_headers": {"X": "1"}},
            "timeout": "2s",
        },
    )
    backend = backend_of(source, [])
    assert not source.refusals
    assert (backend["http_headers"], backend["timeout_ms"]) == (["A", "B", "C"], 3_000)
    assert (backend["static_headers"], backend["binary_encoding"]) == ({"X": "1"}, True)
    for key, why in (
        ("connect.http_headers", "all events share the headers of all proxies"),
        ("refresh.http_headers", "all events share the headers of all proxies"),
        ("refresh.http.static_headers.X", "all events share the headers of all proxies"),
        ("connect.timeout", "all events share the longest timeout"),
        ("refresh.timeout", "all events share the longest timeout"),
        ("refresh.binary_encoding", "all events have it if one has it"),
    ):
        assert source.rows[f"client.proxy.{key}"].why == why
    assert source.rows["client.proxy.connect.endpoint"].why == ""


@pytest.mark.parametrize(
    "more",
    [
        {"http_headers": ["Cookie"]},
        {"http": {"static_headers": {"X-Partner-Secret": "abc"}}},
        {"include_connection_meta": True},
    ],
)
@pytest.mark.parametrize("host", ["https://u:secret@partner", "http://shop", "https://shop:8443"])
def test_headers_of_one_host_stand_against_the_move_where_another_is_asked(
    more: dict[str, Any], host: str
) -> None:
    source = proxies_of({"endpoint": "https://shop/c"}, {"endpoint": f"{host}/r?token=abc", **more})
    backend_of(source, [])
    (sentence,) = source.refusals
    assert sentence.startswith("client.proxy.refresh.endpoint: ")
    assert host.replace("u:secret@", "") in sentence
    assert "https://shop" in sentence
    assert not {"secret", "abc"} & set(sentence.replace("/", " ").split())


def test_hosts_that_get_the_same_may_be_several() -> None:
    source = proxies_of(
        {"endpoint": "https://a", "http_headers": ["Cookie", "Origin"], "timeout": "1s"},
        {"endpoint": "https://b", "http_headers": ["origin", "cookie"], "timeout": "2s"},
    )
    assert backend_of(source, [])["timeout_ms"] == 2_000
    assert not source.refusals


def test_one_header_with_two_values_stands_against_the_move() -> None:
    proxies = {
        event: {"enabled": True, "endpoint": "http://b", "http": {"static_headers": {name: event}}}
        for event, name in (("connect", "x"), ("refresh", "X"))
    }
    source = source_with({"client": {"proxy": proxies}})
    backend_of(source, [])
    assert source.refusals == [
        "client.proxy.refresh.http.static_headers.X: one value is sent to all addresses"
    ]


def test_what_no_backend_can_be_asked_with_stands_against_the_move() -> None:
    proxy = {"enabled": True, "endpoint": "http://c", "http_headers": ["Content-Length"]}
    source = source_with({"client": {"proxy": {"connect": proxy}}})
    backend_of(source, [])
    assert source.refusals[0].startswith("client.proxy.connect: http_headers/0: ")

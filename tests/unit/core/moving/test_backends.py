"""Proxies become one address for each kind of event, or stand against the move."""

from typing import Any

import pytest

from core.moving.backends import Asked, Backend, backend_of
from core.moving.source import UNAVAILABLE, Source, leaves

CHAT, NEWS = "channel.namespaces.chat", "channel.namespaces.news"


def source_with(document: dict[str, Any]) -> Source:
    return Source(leaves(document))


def test_without_proxies_nobody_is_asked() -> None:
    assert backend_of(Source({}), [CHAT]) == Backend()


def test_proxies_of_connections_are_taken_over_with_all_that_they_send() -> None:
    asked = {
        "enabled": True,
        "endpoint": "https://b/connect",
        "timeout": "2s",
        "http_headers": ["Cookie"],
        "include_connection_meta": True,
        "http": {"static_headers": {"X": "1"}},
        "grpc": {"compression": True},
    }
    source = source_with(
        {"client": {"proxy": {"connect": asked, "refresh": {"enabled": True, "endpoint": "http://r"}}}}
    )
    backend = backend_of(source, [])
    assert backend.connect == Asked("https://b/connect", 2.0, ("Cookie",), {"X": "1"}, include_meta=True)
    assert backend.refresh == Asked("http://r", 1.0)
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
    assert (backend.subscribe, backend.publish) == (Asked("http://s", 1.0), Asked("http://p", 1.0))
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
    assert backend_of(source, [CHAT, NEWS]).subscribe is None
    assert source.refusals[0].startswith(f"{NEWS}.subscribe_proxy_name: one kind of event has one address")


def test_a_proxy_without_endpoint_stands_against_the_move() -> None:
    source = source_with({"channel": {"namespaces": [{"name": "chat", "publish_proxy_enabled": True}]}})
    assert backend_of(source, [CHAT]).publish is None
    assert source.refusals == [
        f"{CHAT}.publish_proxy_enabled: there is no endpoint channel.proxy.publish.endpoint"
    ]


@pytest.mark.parametrize("endpoint", ["grpc://b", ""])
def test_who_cannot_be_asked_over_http_stands_against_the_move(endpoint: str) -> None:
    source = source_with({"client": {"proxy": {"connect": {"enabled": True, "endpoint": endpoint}}}})
    assert backend_of(source, []).connect is None
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
    assert backend_of(source, []).rpc == Asked("http://rpc", 1.0)
    assert len(source.rows) == len(source.values)


def test_an_older_file_turns_a_proxy_on_by_its_endpoint() -> None:
    keys = {"client.proxy.connect.endpoint": "http://c", "rpc.proxy.endpoint": "http://r"}
    source = Source(dict(keys), spelled={key: f"proxy_{key.split('.')[-2]}_endpoint" for key in keys})
    assert backend_of(source, []) == Backend(connect=Asked("http://c", 1.0), rpc=Asked("http://r", 1.0))


def test_a_newer_file_does_not() -> None:
    keys = {"client.proxy.connect.endpoint": "http://c"}
    assert backend_of(Source(dict(keys)), []).connect is None
    spelled = dict.fromkeys(keys, "CENTRIFUGO_CLIENT_PROXY_CONNECT_ENDPOINT")
    assert backend_of(Source(dict(keys), spelled=spelled), []).connect is None

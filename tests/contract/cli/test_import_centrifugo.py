"""Which backends of a configuration that moves can be called, as far as their URLs tell."""

import pytest

from cli.import_centrifugo import closed_hosts, uncallable
from settings import Backend

CLOSED = Backend()
OPEN = CLOSED.model_copy(update={"private": True})


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://127.0.0.1:8443/x", "127.0.0.1"),
        ("https://10.1.2.3/x", "10.1.2.3"),
        ("https://[::1]/x", "::1"),
        ("https://localhost:3000", "localhost"),
        ("https://app.localhost", "app.localhost"),
        ("http://app.example.com/x", "app.example.com"),
    ],
)
def test_a_host_that_needs_the_setting_is_named_where_it_is_off(url: str, host: str) -> None:
    assert closed_hosts([url, url], CLOSED) == [host]
    assert closed_hosts([url], OPEN) == []


@pytest.mark.parametrize("url", ["https://app.example.com/x", "https://8.8.8.8", "https://[2600::1]/x"])
def test_a_public_host_needs_no_setting(url: str) -> None:
    assert closed_hosts([url], CLOSED) == []


@pytest.mark.parametrize(
    "url", ["http://[::1/x", "https://u:password@b/x", "https://b:25/x", "https://", "http://b:x"]
)
def test_a_url_that_no_call_can_go_to_is_refused_and_not_shown(url: str) -> None:
    (sentence,) = uncallable({"connect": url, "rpc": "http://127.0.0.1:3000"}, CLOSED)
    assert sentence.startswith("the endpoint for connect: no call can go to such a URL")
    assert url not in sentence

"""Which pages may connect, by every spelling of an origin that somebody may try."""

import pytest

from gateway.realtime.origins import Origins, preflight

OWN = "https://tidings.example"
LISTED = Origins("https://app.example, http://Intra.example:8080/", OWN)
DEFAULT = Origins("", OWN)

STRANGERS = [
    "null", "", "*", "app.example", "//app.example", "https://", "https:", "https://app.example.evil.example",
    "https://evil.example/https://app.example", "https://evilapp.example", "https://app.example:444",
    "https://app.example:443", "https://app.example:80", "http://app.example", "http://app.example:443",
    "wss://app.example", "ftp://app.example", "https://app.example/", "https://app.example/x",
    "https://app.example?", "https://app.example#", "https://app.example@evil.example",
    "https://user@app.example", "https://app.example.", "https://.app.example", "https://sub.app.example",
    "https://app.example,https://evil.example", "https://app.example https://evil.example",
    " https://app.example", "https://app.example ", "https://app.example\t", "https://app\u00e9.example",
    "https://APP.example", "HTTPS://app.example", "https://app.exampl", "https://app.exampleb",
    "https://app-example", "http://intra.example", "http://intra.example:8081", "https://intra.example:8080",
    "https://tidings.example:8443", "http://tidings.example", "https://tidings.example.evil.example",
    "http://localhost", "http://localhost:3000", "file://", "data:", "chrome-extension://abc",
]  # fmt: skip


@pytest.mark.parametrize("origin", STRANGERS)
def test_only_an_origin_that_is_listed_letter_by_letter_is_allowed(origin: str) -> None:
    assert not LISTED.allows(origin)
    assert "Access-Control-Allow-Origin" not in LISTED.headers(origin)


@pytest.mark.parametrize("origin", ["https://app.example", "http://intra.example:8080", OWN, None])
def test_what_is_listed_the_own_page_and_no_page_at_all_are_allowed(origin: str | None) -> None:
    assert LISTED.allows(origin)


@pytest.mark.parametrize(
    "origin",
    ["http://localhost", "https://localhost:3000", "http://127.0.0.1:8000", "http://[::1]:5173", OWN, None],
)
def test_by_default_pages_of_this_machine_are_allowed(origin: str | None) -> None:
    assert DEFAULT.allows(origin)


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost.evil.example", "http://localhost:3000.evil.example", "http://evil.example/localhost",
        "ftp://localhost", "http://127.0.0.10", "http://localhost:", "http://localhost:123456",
        "http://localhost:\u0663", "null", "http://localhost\n", "http://a@localhost", "https://app.example",
    ],
)  # fmt: skip
def test_by_default_nobody_else_is(origin: str) -> None:
    assert not DEFAULT.allows(origin)


def test_a_star_allows_every_page() -> None:
    assert Origins("https://app.example,*", OWN).allows("https://anybody.example")
    assert Origins("*", OWN).allows("null")


def test_a_default_port_that_is_listed_is_the_one_that_browsers_leave_out() -> None:
    origins = Origins("https://a.example:443,http://b.example:80,app://c:443", OWN)
    assert all(map(origins.allows, ("https://a.example", "http://b.example", "app://c:443")))
    assert not any(map(origins.allows, ("https://b.example", "http://a.example", "app://c")))


def test_an_allowed_page_may_read_the_answer_and_caches_tell_pages_apart() -> None:
    assert LISTED.headers("https://app.example") == {
        "Vary": "Origin",
        "Access-Control-Allow-Origin": "https://app.example",
        "Access-Control-Allow-Credentials": "true",
    }
    assert LISTED.headers(None) == LISTED.headers("https://evil.example") == {"Vary": "Origin"}


def test_a_page_that_asks_first_hears_the_methods_and_the_headers_that_it_named() -> None:
    told = {"Access-Control-Allow-Methods": "POST, OPTIONS", "Access-Control-Max-Age": "300"}
    assert preflight("POST, OPTIONS", None) == told
    assert preflight("POST, OPTIONS", "content-type, x-a") == {
        **told,
        "Access-Control-Allow-Headers": "content-type, x-a",
    }

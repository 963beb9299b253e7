"""What an organization may say of its backend, what is shown of it, and which headers pass."""

from typing import Any

import orjson
import pytest

from core.connections.backend_options import (
    HEADERS_MAX,
    TIMEOUT_MS_MAX,
    TIMEOUT_MS_MIN,
    URL_CHARACTERS_MAX,
    BackendOptions,
    Endpoints,
    is_header_value,
    options_object,
    passed_on,
    read_options,
)
from core.errors import TidingsError
from core.webhooks.signature import show_secret

NEW, OWN = bytes(32), b"o" * 24
NONE = BackendOptions()


def options(current: BackendOptions = NONE, **members: Any) -> BackendOptions:
    return read_options(orjson.dumps(members), current, NEW)


def faults(**members: Any) -> list[tuple[str, str]]:
    with pytest.raises(TidingsError) as refused:
        options(**members)
    return [(fault["pointer"], fault["code"]) for fault in refused.value.members["errors"]]


def test_everything_but_a_secret_is_optional() -> None:
    assert options() == BackendOptions(secret=show_secret(NEW))


def test_everything_can_be_set_and_is_stored_as_it_is() -> None:
    found = options(
        endpoints={"connect": "https://b.example.com/connect", "message": "https://b.example.com/message"},
        timeout_ms=250,
        http_headers=["Cookie", "X-Forwarded-For"],
        emulated_headers=["Authorization"],
        static_headers={"X-Key": "k"},
        include_meta=True,
        binary_encoding=True,
        secret=show_secret(OWN),
    )
    assert found == BackendOptions(
        endpoints=Endpoints(connect="https://b.example.com/connect", message="https://b.example.com/message"),
        timeout_ms=250,
        http_headers=("Cookie", "X-Forwarded-For"),
        emulated_headers=("Authorization",),
        include_meta=True,
        binary_encoding=True,
        static_headers={"X-Key": "k"},
        secret=show_secret(OWN),
    )
    assert BackendOptions.of_bytes(found.to_bytes()) == found


def test_what_is_not_shown_stays_unless_it_is_given() -> None:
    current = options(static_headers={"X-Key": "k"}, secret=show_secret(OWN), timeout_ms=250)
    assert options(current) == BackendOptions(static_headers={"X-Key": "k"}, secret=show_secret(OWN))
    assert options(current, static_headers={}).static_headers == {}
    assert options(current, secret=show_secret(b"n" * 24)).secret == show_secret(b"n" * 24)


def test_an_event_is_asked_about_where_its_endpoint_is() -> None:
    found = options(endpoints={"rpc": "https://b.example.com/"})
    assert (found.url_of("rpc"), found.url_of("connect")) == ("https://b.example.com/", "")


def test_secrets_are_not_shown() -> None:
    current = options(endpoints={"rpc": "https://b.example.com/"}, static_headers={"X-Key": "hidden"})
    assert options_object(current) == {
        "object": "backend",
        "endpoints": {"rpc": "https://b.example.com/"},
        "timeout_ms": 1000,
        "http_headers": (),
        "emulated_headers": (),
        "include_meta": False,
        "binary_encoding": False,
        "static_headers": ["X-Key"],
        "has_secret": True,
    }
    assert options_object(NONE)["has_secret"] is False
    assert "hidden" not in repr(current)
    assert current.secret not in repr(current)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"timeout_ms": TIMEOUT_MS_MIN - 1}, [("#/timeout_ms", "too_small")]),
        ({"timeout_ms": TIMEOUT_MS_MAX + 1}, [("#/timeout_ms", "too_large")]),
        ({"timeout_ms": "1s"}, [("#/timeout_ms", "wrong_type")]),
        ({"endpoints": {"rpc": 1}}, [("#/endpoints/rpc", "wrong_type")]),
        ({"endpoints": {"rpc": "x" * (URL_CHARACTERS_MAX + 1)}}, [("#/endpoints/rpc", "too_long")]),
        ({"endpoints": {"presence": ""}}, [("#/endpoints/presence", "unknown_field")]),
        ({"has_secret": True}, [("#/has_secret", "unknown_field")]),
        ({"http_headers": ["a", None]}, [("#/http_headers/1", "wrong_type")]),
        ({"http_headers": ["a"] * (HEADERS_MAX + 1)}, [("#/http_headers", "too_long")]),
        ({"http_headers": ["Host"]}, [("#/http_headers/0", "not_allowed")]),
        ({"http_headers": ["a b"]}, [("#/http_headers/0", "pattern")]),
        ({"static_headers": {"Content-Length": "1"}}, [("#/static_headers/Content-Length", "not_allowed")]),
        ({"static_headers": {"X": "a\r\nY: b"}}, [("#/static_headers/X", "pattern")]),
        ({"static_headers": {"X:": "a"}}, [("#/static_headers/X:", "pattern")]),
        ({"static_headers": dict.fromkeys(map(str, range(33)), "")}, [("#/static_headers", "schema")]),
        ({"emulated_headers": ["X-Forwarded-For"]}, [("#/emulated_headers/0", "not_allowed")]),
        ({"emulated_headers": ["webhook-id"]}, [("#/emulated_headers/0", "not_allowed")]),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_its_place(members: dict[str, Any], expected: list[Any]) -> None:
    assert faults(**members) == expected


@pytest.mark.parametrize("body", [b"", b"[]", b'{"secret":"short"}'])
def test_what_is_no_object_or_no_secret_is_refused(body: bytes) -> None:
    with pytest.raises(TidingsError):
        read_options(body, NONE, NEW)


def test_only_named_headers_pass_and_real_ones_win() -> None:
    chosen = BackendOptions(
        http_headers=("Cookie", "Authorization", "X-Absent"),
        emulated_headers=("authorization", "X-Locale"),
        static_headers={"X-Key": "ours", "X-Locale": "en"},
    )
    real = {"cookie": "c=1", "authorization": "real", "origin": "o"}
    emulated = {"Authorization": "made up", "x-locale": "de", "Cookie": "made up", "X-Key": "made up"}
    passed = {"x-key": "ours", "x-locale": "de", "authorization": "real", "cookie": "c=1"}
    assert passed_on(chosen, real, emulated) == passed
    assert passed_on(chosen, {}, emulated)["authorization"] == "made up"
    assert passed_on(chosen, {}, {}) == {"x-key": "ours", "x-locale": "en"}


@pytest.mark.parametrize("value", ["a\nb", "a\r", "\0", "ä", "x" * 5_000])
def test_what_could_end_a_line_does_not_pass(value: str) -> None:
    assert not is_header_value(value)
    assert passed_on(BackendOptions(emulated_headers=("x",)), {}, {"X": value}) == {}

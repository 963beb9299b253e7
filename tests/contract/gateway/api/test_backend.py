"""The organization's backend over REST: set, shown without its secrets, and none that is never called."""

from typing import Any

import pytest

from tests.helpers.loop import run
from tests.helpers.rest import Rest, rest_of

PATH = "/v1/organization/backend"
CONNECT = {"connect": "https://b.example.com/connect"}
NOTHING = {
    "object": "backend",
    "endpoints": {},
    "timeout_ms": 1000,
    "http_headers": [],
    "emulated_headers": [],
    "include_meta": False,
    "binary_encoding": False,
    "static_headers": [],
    "has_secret": False,
}


async def put(api: Rest, body: Any, **headers: str) -> Any:
    answer = await api.call("PUT", PATH, body, **headers)
    assert answer.status == 200, answer.raw
    return answer.body


def test_without_a_backend_nothing_is_asked(database_url: str) -> None:
    async def work() -> None:
        async with rest_of(database_url) as api:
            assert (await api.get(PATH)).body == NOTHING

    run(work())


def test_what_is_set_is_shown_without_its_secrets(database_url: str) -> None:
    async def work() -> None:
        async with rest_of(database_url) as api:
            sent = {"endpoints": CONNECT, "http_headers": ["Cookie"], "static_headers": {"X-Key": "hidden"}}
            made = await put(api, sent)
            assert made.pop("secret").startswith("whsec_")
            shown = {"endpoints": CONNECT, "http_headers": ["Cookie"], "static_headers": ["X-Key"]}
            assert made == {**NOTHING, **shown, "has_secret": True}
            answer = await api.get(PATH)
            assert answer.body == made
            assert b"hidden" not in answer.raw

    run(work())


def test_a_put_replaces_all_but_what_is_not_shown(database_url: str) -> None:
    async def work() -> None:
        async with rest_of(database_url) as api:
            await put(api, {"endpoints": CONNECT, "timeout_ms": 90, "static_headers": {"X-Key": "hidden"}})
            again = await put(api, {}, idempotency_key="k")
            assert again == {**NOTHING, "static_headers": ["X-Key"], "has_secret": True}

    run(work())


def test_a_secret_that_was_brought_along_is_not_told_back(database_url: str) -> None:
    async def work() -> None:
        async with rest_of(database_url) as api:
            assert "secret" not in await put(api, {"secret": "whsec_" + "AAAA" * 8})

    run(work())


@pytest.mark.parametrize(
    "url",
    [
        "http://b.example.com/",
        "https://b.example.com:25/",
        "ftp://b.example.com/",
        "https://u:p@b.example.com/",
    ],
)
def test_a_url_that_is_never_called_is_refused(database_url: str, url: str) -> None:
    async def work() -> None:
        async with rest_of(database_url) as api:
            answer = await api.call("PUT", PATH, {"endpoints": {"rpc": url}})
            assert (answer.status, answer.code) == (422, "validation_failed")
            (fault,) = answer.body["errors"]
            assert (fault["pointer"], fault["code"]) == ("#/endpoints/rpc", "not_allowed")
            assert (await api.get(PATH)).body == NOTHING

    run(work())


@pytest.mark.parametrize(
    ("scope", "read", "write"),
    [("organization:read", 200, 403), ("organization:write", 200, 200), ("channels:write", 403, 403)],
)
def test_it_is_for_those_who_may_see_or_change_the_organization(
    database_url: str, scope: str, read: int, write: int
) -> None:
    async def work() -> None:
        async with rest_of(database_url) as api:
            key = await api.key_with(scope)
            assert (await api.call("GET", PATH, key=key)).status == read
            assert (await api.call("PUT", PATH, {}, key=key)).status == write

    run(work())

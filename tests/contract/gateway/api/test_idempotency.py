"""The same key: one effect, one answer, whatever happens at the same time."""

import asyncio
from typing import Any

import pytest

from tests.helpers.loop import run
from tests.helpers.rest import rest_of


def test_a_hundred_identical_requests_at_once_have_one_effect_and_one_answer(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            room = {"name": "Lobby", "external_id": "lobby"}
            answers = await asyncio.gather(
                *(api.post("/v1/rooms", room, idempotency_key="one") for _ in range(100))
            )
            assert {answer.status for answer in answers} <= {201, 409}
            done = [answer for answer in answers if answer.status == 201]
            for answer in answers:
                if answer.status == 409:
                    assert (answer.code, answer.headers["retry-after"]) == ("idempotency_in_flight", "1")
            assert len({answer.raw for answer in done}) == 1
            assert sum("idempotent-replayed" not in answer.headers for answer in done) <= 1
            after = await api.post("/v1/rooms", room, idempotency_key="one")
            assert (after.raw, after.headers["idempotent-replayed"]) == (done[0].raw, "true")
            assert len((await api.get("/v1/events")).body["data"]) == 1

    run(scenario())


def test_a_replay_repeats_what_counts_and_names_its_own_request(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            first = await api.post("/v1/rooms", {"name": "A"}, idempotency_key='"quoted"')
            again = await api.post("/v1/rooms", {"name": "A"}, idempotency_key="quoted")
            for name in ("content-type", "etag", "location", "tidings-version", "tidings-position"):
                assert first.headers[name] == again.headers[name]
            assert (again.status, again.raw) == (201, first.raw)
            assert again.headers["request-id"] != first.headers["request-id"]

    run(scenario())


@pytest.mark.parametrize(
    ("method", "path", "body", "headers"),
    [
        ("POST", "/v1/rooms", {"name": "B"}, {}),
        ("POST", "/v1/rooms", b'{"name": "A"}', {}),
        ("POST", "/v1/messages", {"name": "A"}, {}),
        ("PUT", "/v1/rooms/ext:a", {"name": "A"}, {}),
        ("POST", "/v1/channels/a/publications", {"data": 1}, {}),
    ],
)
def test_another_request_under_the_key_is_refused(
    database_url: str, method: str, path: str, body: Any, headers: dict[str, str]
) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            await api.post("/v1/rooms", {"name": "A"}, idempotency_key="k")
            other = await api.call(method, path, body, idempotency_key="k", **headers)
            assert (other.status, other.code) == (422, "idempotency_mismatch")
            assert len((await api.get("/v1/events")).body["data"]) == 1

    run(scenario())


def test_refusals_decided_inside_are_repeated_byte_for_byte(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            path = (await api.post("/v1/rooms", {"name": "A"})).headers["location"]
            stale = await api.call("PATCH", path, {"name": "B"}, if_match='"r7"', idempotency_key="k")
            assert stale.code == "precondition_failed"
            await api.call("PATCH", path, {"name": "C"})
            again = await api.call("PATCH", path, {"name": "B"}, if_match='"r7"', idempotency_key="k")
            assert (again.status, again.raw) == (stale.status, stale.raw)
            assert (again.headers["etag"], again.headers["idempotent-replayed"]) == ('"r1"', "true")
            gone = await api.call("DELETE", "/v1/rooms/ext:none", idempotency_key="d")
            assert (gone.status, gone.code) == (404, "not_found")
            await api.call("PUT", "/v1/rooms/ext:none", {"name": "now"})
            assert (await api.call("DELETE", "/v1/rooms/ext:none", idempotency_key="d")).raw == gone.raw

    run(scenario())


def test_what_was_not_valid_may_be_sent_again_under_its_key(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            body = {"room_id": "ext:late", "text": "hi"}
            early = await api.post("/v1/messages", body, idempotency_key="k")
            assert early.code == "validation_failed"
            await api.call("PUT", "/v1/rooms/ext:late", {"name": "late"})
            assert (await api.post("/v1/messages", body, idempotency_key="k")).status == 201

    run(scenario())


def test_a_key_is_the_organizations_own(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            _, other = await api.another()
            first = await api.post("/v1/rooms", {"name": "A"}, idempotency_key="k")
            second = await api.call("POST", "/v1/rooms", {"name": "B"}, key=other, idempotency_key="k")
            assert (first.status, second.status) == (201, 201)
            another = await api.key_with("resources:write")
            replay = await api.call("POST", "/v1/rooms", {"name": "A"}, key=another, idempotency_key="k")
            assert replay.raw == first.raw

    run(scenario())


def test_a_replay_never_shows_what_the_callers_scopes_do_not_allow(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            await api.post("/v1/rooms", {"name": "A"}, idempotency_key="k")
            narrow = await api.key_with("resources.room:read")
            refused = await api.call("POST", "/v1/rooms", {"name": "A"}, key=narrow, idempotency_key="k")
            assert refused.code == "permission_denied"

    run(scenario())


def test_an_organization_may_insist_on_keys(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            await api.options(require_idempotency_key=True)
            for method, path, body in (
                ("POST", "/v1/rooms", {"name": "A"}),
                ("PUT", "/v1/rooms/ext:a", {"name": "A"}),
                ("PATCH", "/v1/rooms/ext:a", {"name": "B"}),
                ("DELETE", "/v1/rooms/ext:a", None),
                ("POST", "/v1/channels/news/publications", {"data": 1}),
                ("POST", "/v1/publish", {"items": [{"channel": "news", "data": 1}]}),
            ):
                answer = await api.call(method, path, body)
                assert (answer.status, answer.code) == (400, "idempotency_key_required")
                assert (await api.call(method, path, body, idempotency_key=method + path)).status < 300
            assert (await api.get("/v1/rooms")).status == 200

    run(scenario())

"""What reached users and what they have read, over REST."""

from typing import Any

import pytest

from tests.helpers.loop import run
from tests.helpers.rest import Answer, Rest, rest_of

NEWS = "/v1/channels/news/cursors"


async def publish(api: Rest, channel: str = "news", count: int = 3) -> None:
    for _ in range(count):
        assert (await api.post(f"/v1/channels/{channel}/publications", {"data": 1})).status == 201


async def put(api: Rest, path: str, **offsets: int) -> Answer:
    return await api.call("PUT", path, offsets)


def shown(body: dict[str, Any]) -> tuple[str, str, int, int, int]:
    assert body["object"] == "channel_cursor"
    return body["channel"], body["user"], body["delivered_offset"], body["read_offset"], body["unread"]


def test_a_cursor_is_set_and_shown_and_never_goes_back(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            await publish(api)
            path = f"{NEWS}/ann"
            before = (await api.get(path)).body
            assert shown(before) == ("news", "ann", 0, 0, 3)
            assert before["updated_at"] is None
            answer = await put(api, path, delivered_offset=3, read_offset=1)
            assert (answer.status, shown(answer.body)) == (200, ("news", "ann", 3, 1, 2))
            assert answer.body["updated_at"].endswith("Z")
            assert (await put(api, path, read_offset=0)).body == answer.body
            assert (await put(api, path, delivered_offset=2)).body == answer.body
            assert (await api.get(path)).body == answer.body
            assert shown((await put(api, path, read_offset=3)).body) == ("news", "ann", 3, 3, 0)
            await publish(api, count=1)
            assert shown((await api.get(path)).body) == ("news", "ann", 3, 3, 1)

    run(scenario())


def test_lists_of_a_channel_and_of_a_user_are_paged(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            for channel in ("news", "room:1", "sport"):
                await publish(api, channel)
                for user in ("ann", "bob", "%C3%BCmit"):
                    assert (
                        await put(api, f"/v1/channels/{channel}/cursors/{user}", read_offset=2)
                    ).status == 200
            for path, name, names in (
                (NEWS, "user", ["ann", "bob", "ümit"]),
                ("/v1/users/bob/cursors", "channel", ["news", "room:1", "sport"]),
            ):
                page = (await api.get(f"{path}?limit=2")).body
                rest = (await api.get(f"{path}?limit=2&cursor={page['next_cursor']}")).body
                assert [entry[name] for entry in page["data"] + rest["data"]] == names
                assert (page["has_more"], rest["has_more"], rest["next_cursor"]) == (True, False, None)
                assert {entry["unread"] for entry in page["data"]} == {1}
                foreign = await api.get(f"/v1/users/ann/cursors?cursor={page['next_cursor']}")
                assert foreign.code == "cursor_mismatch"
            assert (await api.get("/v1/users/nobody/cursors")).body["data"] == []

    run(scenario())


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"read_offset": 4}, "#/read_offset", "too_large"),
        ({"delivered_offset": 4, "read_offset": 1}, "#/delivered_offset", "too_large"),
        ({"delivered_offset": 2**53 - 1}, "#/delivered_offset", "too_large"),
        ({"read_offset": -1}, "#/read_offset", "too_small"),
        ({"read_offset": "1"}, "#/read_offset", "wrong_type"),
        ({"read_offset": 1.5}, "#/read_offset", "wrong_type"),
        ({"read_offset": True}, "#/read_offset", "wrong_type"),
        ({}, "#/read_offset", "required"),
        ({"read_offset": None}, "#/read_offset", "required"),
        ({"read_offset": 1, "unread": 0}, "#/unread", "unknown_field"),
    ],
)
def test_what_can_not_be_is_named(database_url: str, body: Any, pointer: str, code: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            await publish(api)
            answer = await api.call("PUT", f"{NEWS}/ann", body)
            assert (answer.status, answer.code) == (422, "validation_failed"), answer.raw
            assert [(fault["pointer"], fault["code"]) for fault in answer.body["errors"]] == [(pointer, code)]
            assert shown((await api.get(f"{NEWS}/ann")).body) == ("news", "ann", 0, 0, 3)

    run(scenario())


@pytest.mark.parametrize(
    ("path", "status", "parameter"),
    [
        (f"{NEWS}/a%01", 422, "user"),
        (f"{NEWS}/{'a' * 256}", 422, "user"),
        ("/v1/users/%C2%85/cursors", 422, "user"),
        ("/v1/channels/%C3%B6/cursors", 422, "channel"),
        (f"{NEWS}/a%00", 400, None),
        (f"{NEWS}?limit=0", 422, "limit"),
        (f"{NEWS}?user=ann", 400, None),
        (f"{NEWS}/{'a' * 255}", 200, None),
        (f"{NEWS}/a%2Fb%20%F0%9F%98%80", 200, None),
    ],
)
def test_odd_names_are_refused_or_taken_as_they_are(
    database_url: str, path: str, status: int, parameter: str | None
) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            answer = await api.get(path)
            assert answer.status == status, answer.raw
            assert answer.body.get("errors", [{}])[0].get("parameter") == parameter

    run(scenario())


def test_setting_takes_the_scope_to_write_and_reading_that_to_read(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            await publish(api)
            reads, other = await api.key_with("channels:read"), await api.key_with("events:read")
            body = {"read_offset": 1}
            assert (await api.call("PUT", f"{NEWS}/ann", body, key=reads)).body["required_scope"] == (
                "channels:write"
            )
            assert (await api.call("GET", f"{NEWS}/ann", key=reads)).status == 200
            for path in (NEWS, f"{NEWS}/ann", "/v1/users/ann/cursors"):
                assert (await api.call("GET", path, key=other)).code == "permission_denied"

    run(scenario())


def test_a_key_may_stand_on_the_request_and_repeats_it_harmlessly(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            await publish(api)
            answers = [
                await api.call("PUT", f"{NEWS}/ann", {"read_offset": 1}, idempotency_key="one")
                for _ in range(2)
            ]
            assert answers[0].body == answers[1].body
            bad = await api.call("PUT", f"{NEWS}/ann", {"read_offset": 1}, idempotency_key="")
            assert bad.code == "idempotency_key_invalid"

    run(scenario())


def test_a_channel_of_an_unknown_namespace_has_none(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            await api.options(unknown_namespaces="refuse")
            await api.until(404, "GET", "/v1/channels/nothing:1/cursors")
            assert (await put(api, "/v1/channels/nothing:1/cursors/ann", read_offset=0)).status == 404
            assert (await api.get("/v1/channels/room:1/cursors")).status == 200

    run(scenario())

"""Resources over a real socket, a real owner and a real database."""

import asyncio
import re
from typing import Any

import pytest

from tests.helpers.loop import run
from tests.helpers.rest import Rest, rest_of

ROOM = {"name": "Lobby"}


async def room(api: Rest, name: str = "Lobby", **members: Any) -> dict[str, Any]:
    answer = await api.post("/v1/rooms", {"name": name, **members})
    assert answer.status == 201, answer.raw
    created: dict[str, Any] = answer.body
    return created


def test_a_created_resource_is_answered_whole_with_where_it_stands(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            answer = await api.post("/v1/rooms", {"name": "Lobby", "topic": None, "metadata": {"a": "b"}})
            assert answer.status == 201
            body = answer.body
            assert list(body) == ["id", "object", "version", "name", "metadata", "created_at", "updated_at"]
            assert re.fullmatch(r"room_[0-9a-z]{26}", body["id"])
            assert (body["object"], body["version"], body["metadata"]) == ("room", 1, {"a": "b"})
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", body["created_at"])
            headers = answer.headers
            assert headers["location"] == f"/v1/rooms/{body['id']}"
            assert headers["etag"] == '"r1"'
            assert re.fullmatch(r'"evt_[0-9a-z]{26}";seq=1;epoch="[A-Za-z]{8}"', headers["tidings-position"])
            assert re.fullmatch(r"req_[0-9a-z]{26}", headers["request-id"])
            assert headers["tidings-version"] == "2026-11-22"
            assert headers["cache-control"] == "private, no-cache"
            again = await api.get(headers["location"])
            assert (again.status, again.raw) == (200, answer.raw)
            assert "tidings-position" not in again.headers
            head = await api.call("HEAD", headers["location"])
            assert (head.status, head.raw, head.headers["etag"]) == (200, b"", '"r1"')
            assert head.headers["content-length"] == str(len(answer.raw))

    run(scenario())


def test_a_reader_who_has_the_version_gets_304(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            path = f"/v1/rooms/{(await room(api))['id']}"
            for tag in ('"r1"', 'W/"r1"', '"r7", "r1"', "*"):
                answer = await api.get(path, if_none_match=tag)
                assert (answer.status, answer.raw, answer.headers["etag"]) == (304, b"", '"r1"')
            assert (await api.get(path, if_none_match='"r2"')).status == 200

    run(scenario())


def test_a_patch_merges_and_tells_what_was_before(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            made = await room(api, topic="Old")
            path = f"/v1/rooms/{made['id']}"
            answer = await api.call(
                "PATCH", path, {"topic": None, "archived": True}, content_type="application/merge-patch+json"
            )
            assert (answer.status, answer.headers["etag"]) == (200, '"r2"')
            assert "topic" not in answer.body
            assert answer.body["archived"] is True
            same = await api.call("PATCH", path, {"archived": True})
            assert (same.status, same.headers["etag"]) == (200, '"r2"')
            events = (await api.get("/v1/events")).body["data"]
            assert [event["type"] for event in events] == ["room.created", "room.updated"]
            assert events[1]["data"]["previous_attributes"] == {"topic": "Old", "archived": None}

    run(scenario())


def test_a_stale_version_changes_nothing(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            path = f"/v1/rooms/{(await room(api))['id']}"
            assert (await api.call("PATCH", path, {"name": "B"}, if_match='"r1"')).status == 200
            for method, body in (("PATCH", {"name": "C"}), ("PUT", {"name": "C"}), ("DELETE", None)):
                stale = await api.call(method, path, body, if_match='"r1"')
                assert (stale.status, stale.code) == (412, "precondition_failed")
                assert stale.headers["etag"] == '"r2"'
            assert (await api.get(path)).body["name"] == "B"
            assert (
                await api.call("PATCH", path, {"name": "D"}, if_match="nonsense")
            ).code == "header_invalid"

    run(scenario())


def test_put_creates_by_an_own_id_and_replaces_whole(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            made = await api.call("PUT", "/v1/rooms/ext:lobby", {"name": "A", "topic": "T"})
            assert (made.status, made.body["external_id"]) == (201, "lobby")
            assert made.headers["location"] == f"/v1/rooms/{made.body['id']}"
            replaced = await api.call("PUT", "/v1/rooms/ext:lobby", {"name": "B"})
            assert (replaced.status, replaced.body["id"]) == (200, made.body["id"])
            assert "topic" not in replaced.body
            only_new = await api.call("PUT", "/v1/rooms/ext:lobby", {"name": "C"}, if_none_match="*")
            assert (only_new.status, only_new.code) == (412, "precondition_failed")
            missing = await api.call("PUT", made.headers["location"][:-3] + "000", {"name": "C"})
            assert missing.status == 404
            taken = await api.post("/v1/rooms", {"name": "D", "external_id": "lobby"})
            assert (taken.status, taken.code) == (409, "already_exists")
            assert (await api.get("/v1/rooms/ext:lobby")).body["name"] == "B"

    run(scenario())


def test_what_others_refer_to_stays(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            path = f"/v1/rooms/{(await room(api, external_id='lobby'))['id']}"
            message = await api.post("/v1/messages", {"room_id": "ext:lobby", "text": "hi"})
            assert message.body["room_id"] == path.rsplit("/", 1)[1]
            kept = await api.call("DELETE", path)
            assert (kept.status, kept.code) == (409, "conflict")
            assert message.body["id"] in kept.body["detail"]
            gone = await api.call("DELETE", message.headers["location"])
            assert gone.body == {"id": message.body["id"], "object": "message", "deleted": True}
            assert (await api.call("DELETE", message.headers["location"])).status == 404
            assert (await api.call("DELETE", path)).status == 200

    run(scenario())


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ({"txt": "x"}, {("#/txt", "unknown_field"), ("#/room_id", "required"), ("#/text", "required")}),
        ({"room_id": 1, "text": ""}, {("#/room_id", "wrong_type"), ("#/text", "too_short")}),
        ({"room_id": "room_x", "text": "a" * 8001}, {("#/text", "too_long")}),
        ({"room_id": "room_x", "text": "a"}, {("#/room_id", "not_found")}),
        ({"room_id": "ext:none", "text": "a"}, {("#/room_id", "not_found")}),
        ({"room_id": "r", "text": "a", "metadata": {"a": 1}}, {("#/metadata/a", "wrong_type")}),
        ({"room_id": "r", "text": "a", "version": 3}, {("#/version", "unknown_field")}),
        ({"room_id": "r", "text": "a", "external_id": "a b"}, {("#/external_id", "pattern")}),
    ],
)
def test_faults_name_their_fields(database_url: str, body: Any, faults: set[tuple[str, str]]) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            for headers in ({}, {"idempotency_key": "k"}):
                answer = await api.post("/v1/messages", body, **headers)
                assert (answer.status, answer.code) == (422, "validation_failed")
                assert {(fault["pointer"], fault["code"]) for fault in answer.body["errors"]} == faults
            assert (await api.get("/v1/events")).body["data"] == []

    run(scenario())


def test_an_immutable_field_stays(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            first, second = await room(api, "A"), await room(api, "B")
            message = await api.post("/v1/messages", {"room_id": first["id"], "text": "hi"})
            moved = await api.call("PATCH", message.headers["location"], {"room_id": second["id"]})
            assert (moved.status, moved.body["errors"][0]["pointer"]) == (422, "#/room_id")

    run(scenario())


def test_a_batch_answers_for_each_item_in_order(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            items: list[Any] = [
                {"name": "A"},
                {"nam": "B"},
                7,
                {"name": "C", "external_id": "c"},
                {"name": "D", "external_id": "c"},
            ]
            answer = await api.post("/v1/rooms/batch", {"items": items})
            assert answer.status == 200
            assert answer.body["has_errors"] is True
            results = answer.body["results"]
            assert [(result["index"], result["status"]) for result in results] == [
                (0, 201), (1, 422), (2, 422), (3, 201), (4, 409),
            ]  # fmt: skip
            assert results[1]["error"]["errors"][0]["pointer"] == "#/nam"
            assert results[0]["seq"] < results[3]["seq"]
            assert (await api.get(f"/v1/rooms/{results[3]['id']}")).body["name"] == "C"

    run(scenario())


def test_an_atomic_batch_is_all_or_nothing(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            bad = {"atomic": True, "items": [{"name": "A"}, {"name": ""}]}
            refused = await api.post("/v1/rooms/batch", bad)
            assert (refused.status, refused.code) == (422, "validation_failed")
            assert refused.body["errors"][0]["pointer"] == "#/items/1/name"
            assert (await api.get("/v1/rooms")).body["data"] == []
            good = {"atomic": True, "items": [{"name": "A"}, {"name": "B"}]}
            first = await api.post("/v1/rooms/batch", good, idempotency_key="k")
            again = await api.post("/v1/rooms/batch", good, idempotency_key="k")
            assert [result["status"] for result in first.body["results"]] == [201, 201]
            assert again.raw == first.raw
            assert again.headers["idempotent-replayed"] == "true"
            assert len((await api.get("/v1/rooms")).body["data"]) == 2

    run(scenario())


async def pages(api: Rest, path: str) -> list[list[str]]:
    """Return the names on each page, going by `next_cursor`, and check that the way back shows the same."""
    found, back = [], []
    page = (await api.get(path)).body
    while True:
        found.append([entry["name"] for entry in page["data"]])
        if not page["has_more"]:
            break
        page = (await api.get(f"{path}&cursor={page['next_cursor']}")).body
    while page["previous_cursor"]:
        page = (await api.get(f"{path}&cursor={page['previous_cursor']}")).body
        back.append([entry["name"] for entry in page["data"]])
    assert back == found[-2::-1]
    return found


def test_lists_go_page_by_page_in_any_order_and_back(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            for name in ("b", "d", "a", "c", "e"):
                await room(api, name)
            await api.call(
                "PATCH",
                "/v1/rooms/" + (await api.get("/v1/rooms?name=a")).body["data"][0]["id"],
                {"topic": "t"},
            )
            assert await pages(api, "/v1/rooms?limit=2") == [["e", "c"], ["a", "d"], ["b"]]
            assert await pages(api, "/v1/rooms?limit=2&sort=created_at") == [["b", "d"], ["a", "c"], ["e"]]
            assert await pages(api, "/v1/rooms?limit=2&sort=name") == [["a", "b"], ["c", "d"], ["e"]]
            assert await pages(api, "/v1/rooms?limit=2&sort=-name") == [["e", "d"], ["c", "b"], ["a"]]
            assert (await pages(api, "/v1/rooms?limit=5&sort=-updated_at"))[0][0] == "a"
            assert await pages(api, "/v1/rooms?limit=1&name=c") == [["c"]]

    run(scenario())


def test_lists_filter_by_references_fields_and_time(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            first, second = await room(api, "A", external_id="a"), await room(api, "B")
            for number, place in enumerate((first, second, first)):
                await api.post(
                    "/v1/messages", {"room_id": place["id"], "text": str(number), "author": f"u{number % 2}"}
                )

            async def texts(query: str) -> list[str]:
                answer = await api.get(f"/v1/messages?{query}")
                assert answer.status == 200, answer.raw
                return [entry["text"] for entry in answer.body["data"]]

            assert await texts(f"room_id={first['id']}") == ["2", "0"]
            assert await texts(f"room_id={first['id'].upper().replace('ROOM', 'room')}") == ["2", "0"]
            assert await texts("room_id=ext:a") == ["2", "0"]
            assert await texts("room_id=ext:none") == []
            assert await texts("author=u1&sort=created_at") == ["1"]
            middle = (await api.get("/v1/messages?author=u1")).body["data"][0]["created_at"]
            assert await texts(f"created_at[gt]={middle}") == ["2"]
            assert await texts(f"created_at[gte]={middle}") == ["2", "1"]
            assert await texts(f"created_at[lt]={middle}") == ["0"]
            assert await texts(f"created_at%5Blte%5D={middle.replace('Z', '%2B00:00')}") == ["1", "0"]

    run(scenario())


def test_what_a_list_does_not_know_is_refused(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            for index in range(3):
                await room(api, f"{index}")
            for query, status, code in (
                ("colour=red", 400, "unknown_parameter"),
                ("topic=x", 400, "unknown_parameter"),
                ("limit=1&limit=2", 400, "unknown_parameter"),
                ("limit=0", 422, "validation_failed"),
                ("limit=101", 422, "validation_failed"),
                ("limit=x", 422, "validation_failed"),
                ("sort=topic", 422, "validation_failed"),
                ("created_at[gt]=yesterday", 422, "validation_failed"),
                ("cursor=abc", 400, "cursor_invalid"),
                ("cursor=%00", 400, "malformed_request"),
            ):
                answer = await api.get(f"/v1/rooms?{query}")
                assert (answer.status, answer.code) == (status, code), query
            cursor = (await api.get("/v1/rooms?limit=2")).body["next_cursor"]
            assert (await api.get(f"/v1/rooms?limit=1&cursor={cursor}")).status == 200
            assert (await api.get(f"/v1/rooms?sort=name&cursor={cursor}")).code == "cursor_mismatch"
            assert (await api.get(f"/v1/messages?cursor={cursor}")).code == "cursor_mismatch"
            _, foreign = await api.another()
            assert (
                await api.call("GET", f"/v1/rooms?cursor={cursor}", key=foreign)
            ).code == "cursor_mismatch"

    run(scenario())


def test_rows_that_come_and_go_cause_neither_loss_nor_repetition(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            made = [(await room(api, f"{index:02}"))["id"] for index in range(10)]
            page = (await api.get("/v1/rooms?limit=4")).body
            seen = [entry["id"] for entry in page["data"]]
            await asyncio.gather(room(api, "new"), api.call("DELETE", f"/v1/rooms/{made[8]}"))
            while page["has_more"]:
                page = (await api.get(f"/v1/rooms?limit=4&cursor={page['next_cursor']}")).body
                seen += [entry["id"] for entry in page["data"]]
            assert seen == made[::-1]

    run(scenario())

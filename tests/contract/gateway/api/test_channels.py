"""Publishing and reading channels over REST."""

from typing import Any

import asyncpg
import pytest

from adapters.postgres.channels import ChannelHead, ChannelReader
from tests.helpers.loop import run
from tests.helpers.rest import Answer, Rest, rest_of


async def publish(api: Rest, channel: str, data: Any, **headers: str) -> dict[str, Any]:
    answer = await api.post(f"/v1/channels/{channel}/publications", {"data": data}, **headers)
    assert answer.status == 201, answer.raw
    body: dict[str, Any] = answer.body
    return body


def test_a_publication_is_answered_with_its_position_and_read_as_it_came(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            raw = b'{"data": {"a":  1.50, "b": "\\u00e4"}, "tags": {"kind": "x"}}'
            answer = await api.call("POST", "/v1/channels/news/publications", raw)
            body = answer.body
            assert (body["object"], body["channel"], body["offset"], body["seq"]) == (
                "publication",
                "news",
                1,
                1,
            )
            assert answer.headers["tidings-position"] == f'"{body["id"]}";seq=1;epoch="{body["epoch"]}"'
            listed = await api.get("/v1/channels/news/publications")
            assert b'"data":{"a":  1.50, "b": "\\u00e4"}' in listed.raw
            (entry,) = listed.body["data"]
            assert {name: entry[name] for name in ("id", "channel", "offset", "seq", "epoch")} == {
                name: body[name] for name in ("id", "channel", "offset", "seq", "epoch")
            }
            assert (listed.body["epoch"], listed.body["offset"]) == (body["epoch"], 1)
            event = (await api.get(f"/v1/events/{body['id']}")).body
            assert (event["type"], event["seq"]) == ("publication.created", 1)
            assert event["channels"] == [{"channel": "news", "offset": 1}]

    run(scenario())


def test_a_channel_is_read_page_by_page_in_both_directions(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            for number in range(7):
                await publish(api, "news", number)
                await publish(api, "other", -number)
            for sort, expected in (("", [0, 1, 2, 3, 4, 5, 6]), ("&sort=-offset", [6, 5, 4, 3, 2, 1, 0])):
                path, seen = f"/v1/channels/news/publications?limit=3{sort}", []
                page = (await api.get(path)).body
                seen += [entry["data"] for entry in page["data"]]
                while page["has_more"]:
                    page = (await api.get(f"{path}&cursor={page['next_cursor']}")).body
                    seen += [entry["data"] for entry in page["data"]]
                assert seen == expected
            epoch = (await publish(api, "news", 7))["epoch"]
            for after in (f"{epoch}:5", "5"):
                page = (await api.get(f"/v1/channels/news/publications?after={after}")).body
                assert [entry["offset"] for entry in page["data"]] == [6, 7, 8]

    run(scenario())


def test_a_position_that_cannot_be_read_from_is_refused_with_the_range(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            epoch = (await publish(api, "news", 1))["epoch"]
            for after, said in (("otherone:1", "restored or reset"), (f"{epoch}:9", "beyond the newest one")):
                answer = await api.get(f"/v1/channels/news/publications?after={after}")
                assert (answer.status, answer.code) == (409, "epoch_changed")
                assert said in answer.body["detail"]
                assert answer.body["readable"] == {
                    "epoch": epoch,
                    "first": f"{epoch}:0",
                    "last": f"{epoch}:1",
                }
            bad = await api.get("/v1/channels/news/publications?after=x:y")
            assert (bad.status, bad.body["errors"][0]["parameter"]) == (422, "after")
            empty = (await api.get("/v1/channels/nothing/publications")).body
            assert (empty["data"], empty["offset"], empty["has_more"]) == ([], 0, False)

    run(scenario())


def test_what_passes_its_retention_in_the_middle_of_a_read_is_no_silent_hole(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = ChannelReader.head

    async def scenario() -> None:
        admin = await asyncpg.connect(database_url)

        async def at_midnight(*arguments: Any, **named: Any) -> ChannelHead:
            found = await head(*arguments, **named)
            await admin.execute('DELETE FROM channel_entries WHERE "offset" <= 2')
            return found

        async with rest_of(database_url) as api:
            for number in range(4):
                await publish(api, "news", number)
            monkeypatch.setattr(ChannelReader, "head", at_midnight)
            answer = await api.get("/v1/channels/news/publications?after=1")
            assert (answer.status, answer.code) == (410, "history_expired")
            assert answer.body["readable"]["first"].endswith(":2")
            for query in ("", "?after=2", "?sort=-offset"):
                page = (await api.get(f"/v1/channels/news/publications{query}")).body
                assert {entry["offset"] for entry in page["data"]} == {3, 4}
        await admin.close()

    run(scenario())


def test_what_was_published_is_told_again_though_the_rules_have_changed(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            path, many = "/v1/channels/x:1/publications", {"items": [{"channel": "x:1", "data": 2}]}
            mine = {"items": [{"channel": "x:1", "data": 2, "idempotency_key": "own"}]}
            requests = (("one", path, {"data": 1}), ("many", "/v1/publish", many), ("", "/v1/publish", mine))
            keys = [{"idempotency_key": key} if key else {} for key, _, _ in requests]

            async def answers() -> list[Answer]:
                sent = zip(keys, requests, strict=True)
                return [await api.post(path, body, **key) for key, (_, path, body) in sent]

            before = await answers()
            await api.options(unknown_namespaces="refuse")
            await api.until(404, "POST", path, {"data": 1})
            assert [answer.raw for answer in await answers()] == [answer.raw for answer in before]
            other = await api.post(path, {"data": 9}, idempotency_key="one")
            assert (other.status, other.code) == (422, "idempotency_mismatch")
            assert (await api.post(path, {"data": 1}, idempotency_key="new")).status == 404
            fresh = {"items": [{"channel": "x:1", "data": 2, "idempotency_key": "new"}]}
            assert (await api.post("/v1/publish", fresh)).body["results"][0]["status"] == 404
            await api.options(unknown_namespaces="allow")
            await api.until(201, "POST", path, {"data": 1})
            assert (await api.post(path, {"data": 3}, idempotency_key="new")).status == 201

    run(scenario())


def test_many_are_published_at_once_each_with_its_own_result(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            items = [
                {"channel": "a", "data": 1},
                {"channels": ["a", "b"], "data": 2},
                {"channel": "bad channel \u00e4", "data": 3},
                {"channel": "b"},
                {"channel": "b", "data": 4, "idempotency_key": "own"},
            ]
            answer = await api.post("/v1/publish", {"items": items})
            assert answer.status == 200
            results = answer.body["results"]
            shown = [(r["index"], r["status"], r.get("channel"), r.get("offset")) for r in results]
            assert shown == [
                (0, 201, "a", 1), (1, 201, "a", 2), (1, 201, "b", 1),
                (2, 422, "bad channel \u00e4", None), (3, 422, "b", None), (4, 201, "b", 2),
            ]  # fmt: skip
            assert results[1]["id"] == results[2]["id"]
            assert results[3]["error"]["errors"][0]["pointer"] == "#/channel"
            assert results[4]["error"]["errors"][0] == {
                "pointer": "#/data",
                "code": "required",
                "detail": "Missing.",
            }
            again = await api.post("/v1/publish", {"items": items[4:]})
            assert again.body["results"][0]["offset"] == 2
            assert again.headers["idempotent-replayed"] == "true"

    run(scenario())


def test_a_batch_under_a_key_is_completed_not_repeated(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            body = {"items": [{"channel": "a", "data": number} for number in range(5)]}
            first = await api.post("/v1/publish", body, idempotency_key="batch")
            again = await api.post("/v1/publish", body, idempotency_key="batch")
            assert again.raw == first.raw
            other = await api.post("/v1/publish", {"items": body["items"][:3]}, idempotency_key="batch")
            assert (other.status, other.code) == (422, "idempotency_mismatch")
            assert (await api.get("/v1/channels/a/publications")).body["offset"] == 5

    run(scenario())


def test_what_a_publication_may_not_be(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            for body, pointer in (
                ({}, "#/data"),
                ({"data": 1, "x": 2}, "#/x"),
                ({"data": 1, "tags": []}, "#/tags"),
                ({"data": 1, "tags": {"a": 1}}, "#/tags"),
                ({"data": 1, "tags": {"a" * 41: "b"}}, "#/tags"),
            ):
                answer = await api.post("/v1/channels/a/publications", body)
                assert (answer.status, answer.body["errors"][0]["pointer"]) == (422, pointer)
            assert (await api.post("/v1/channels/a/publications", {"data": None})).status == 201
            for channel in ("%20" * 256, "a" * 256, "caf%C3%A9"):
                answer = await api.post(f"/v1/channels/{channel}/publications", {"data": 1})
                assert (answer.status, answer.body["errors"][0]["parameter"]) == (422, "channel")
            assert (await api.post(f"/v1/channels/{'a' * 255}/publications", {"data": 1})).status == 201
            assert (await publish(api, "room:a%2Fb%3F", 1))["channel"] == "room:a/b?"

    run(scenario())


def test_an_unknown_namespace_is_refused_where_the_organization_says_so(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            await publish(api, "chat:1", 1)
            await api.options(unknown_namespaces="refuse")
            refused = await api.post("/v1/channels/chat:1/publications", {"data": 1})
            while refused.status == 201:  # options are believed for a second
                refused = await api.post("/v1/channels/chat:1/publications", {"data": 1})
            assert (refused.status, refused.code) == (404, "unknown_channel")
            assert (await api.post("/v1/channels/room:1/publications", {"data": 1})).status == 201

    run(scenario())

"""Namespaces over REST: what is set is what holds, faults name the option, versions are kept apart."""

import asyncio
from typing import Any

import pytest

from adapters.postgres.namespaces import RuleStore
from adapters.postgres.pool import Database
from core.channels.namespace import IN_FORCE_AFTER_S, NAMESPACES_MAX, OWN, Options
from core.channels.regex import HEAVY_OF_ORGANIZATION_MAX
from tests.helpers.loop import run
from tests.helpers.rest import Answer, Rest, rest_of

PATH = "/v1/channel_namespaces"
CHAT = f"{PATH}/chat"


async def put(api: Rest, name: str, body: Any, **headers: str) -> Answer:
    return await api.call("PUT", f"{PATH}/{name}", body, **headers)


async def patch(api: Rest, name: str, body: Any, **headers: str) -> Answer:
    return await api.call("PATCH", f"{PATH}/{name}", body, **headers)


def test_what_is_put_is_all_that_holds_and_comes_back(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            made = await put(api, "chat", {"presence": True, "history": None})
            assert (made.status, made.headers["location"], made.headers["etag"]) == (201, CHAT, '"r1"')
            shown = made.body
            assert (shown["object"], shown["name"], shown["version"]) == ("channel_namespace", "chat", 1)
            assert shown["presence"] is True
            assert (shown["join_leave"], shown["history"]) == (False, "off")
            assert set(Options.__struct_fields__) < set(shown)
            read = await api.get(CHAT)
            assert (read.status, read.raw, read.headers["etag"]) == (200, made.raw, '"r1"')
            assert (await api.get(CHAT, if_none_match='"r1"')).status == 304
            changed = await put(api, "chat", {"join_leave": True})
            assert (changed.status, changed.headers["etag"]) == (200, '"r2"')
            assert (changed.body["presence"], changed.body["join_leave"]) == (False, True)
            assert changed.body["updated_at"] > changed.body["created_at"] == shown["created_at"]
            same = await put(api, "chat", {"join_leave": True})
            assert (same.status, same.raw) == (200, changed.raw)

    run(scenario())


def test_a_patch_changes_what_it_names_and_null_switches_off(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            await put(
                api, "chat", {"presence": True, "history": "window", "history_size": 5, "history_ttl_s": 9}
            )
            changed = await patch(
                api,
                "chat",
                b'{"join_leave":true,"presence":null,"history_size":6.0}',
                content_type="application/merge-patch+json",
            )
            assert (changed.status, changed.headers["etag"]) == (200, '"r2"')
            assert [changed.body[name] for name in ("presence", "join_leave", "history_size")] == [
                False,
                True,
                6,
            ]
            unfit = await patch(api, "chat", {"history_size": 0})
            assert (unfit.status, unfit.body["errors"][0]["pointer"]) == (422, "#/history_size")
            assert (await patch(api, "chat", {})).raw == changed.raw

    run(scenario())


def test_a_patch_of_what_is_not_configured_begins_with_what_holds_there(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            await api.options(client_publish=True)  # before anything has asked for the options
            for name in ("_", "room", "anything"):
                made = await patch(api, name, {"presence": True})
                assert (made.status, made.body["presence"]) == (201, True)
                assert (made.body["history"], made.body["guard_private"]) == (OWN.history, True)
                assert made.body["allow_publish_for_client"] is True
            await api.options(unknown_namespaces="refuse")
            await api.until(404, "POST", "/v1/channels/unknown:1/publications", {"data": 1})
            assert (await patch(api, "unknown", {"presence": True})).body["history"] == "off"
            assert (await patch(api, "message", {"presence": True})).body["history"] == "whole"

    run(scenario())


def test_writes_hold_to_the_version_that_they_name(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            assert (await put(api, "chat", {}, if_match="*")).code == "precondition_failed"
            assert (await patch(api, "chat", {}, if_match='"r1"')).code == "precondition_failed"
            assert (await put(api, "chat", {}, if_none_match="*")).status == 201
            assert (await put(api, "chat", {}, if_none_match="*")).status == 412
            assert (await put(api, "chat", {"presence": True}, if_match='"r1"')).status == 200
            for method, body in (("PUT", {}), ("PATCH", {}), ("DELETE", None)):
                stale = await api.call(method, CHAT, body, if_match='"r1"')
                assert (stale.status, stale.code) == (412, "precondition_failed")
            for method, body in (("PATCH", {}), ("DELETE", None)):
                odd = await api.call(method, CHAT, body, if_none_match="*")
                assert (odd.status, odd.code) == (400, "header_invalid")
            gone = await api.call("DELETE", CHAT, if_match='"r2"')
            assert (gone.status, gone.body) == (
                200,
                {"object": "channel_namespace", "name": "chat", "deleted": True},
            )
            assert (await api.call("DELETE", CHAT)).code == "not_found"
            assert (await api.get(CHAT)).code == "not_found"

    run(scenario())


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"telepathy": True}, "#/telepathy", "unknown_field"),
        ({"name": "chat"}, "#/name", "unknown_field"),
        ({"presence": "yes"}, "#/presence", "wrong_type"),
        ({"presence": 1}, "#/presence", "wrong_type"),
        ({"history": "some"}, "#/history", "not_allowed"),
        ({"history": "window", "history_ttl_s": 60}, "#/history_size", "too_small"),
        ({"history_size": -1}, "#/history_size", "too_small"),
        ({"history_ttl_s": 2**31}, "#/history_ttl_s", "too_large"),
        ({"history_ttl_s": "60s"}, "#/history_ttl_s", "wrong_type"),
        ({"history_size": 1.5}, "#/history_size", "wrong_type"),
        ({"allowed_delta_types": "fossil"}, "#/allowed_delta_types", "wrong_type"),
        ({"allowed_delta_types": ["xdelta"]}, "#/allowed_delta_types/0", "not_allowed"),
        ({"allowed_delta_types": ["fossil", "fossil"]}, "#/allowed_delta_types", "too_long"),
        ({"publication_data_format": "xml"}, "#/publication_data_format", "not_allowed"),
        ({"channel_regex": "("}, "#/channel_regex", "pattern"),
        ({"channel_regex": "(?=a)"}, "#/channel_regex", "pattern"),
        ({"channel_regex": "a" * 1001}, "#/channel_regex", "too_long"),
    ],
)
def test_a_fault_names_its_option(database_url: str, body: Any, pointer: str, code: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            for answer in (await put(api, "chat", body), await patch(api, "chat", body)):
                assert (answer.status, answer.code) == (422, "validation_failed")
                assert [(one["pointer"], one["code"]) for one in answer.body["errors"]] == [(pointer, code)]
            assert (await api.get(PATH)).body["data"] == []

    run(scenario())


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'"a"', b'{"channel_regex":"a\\u0000"}', b'{"presence":\xff}']
)
def test_what_is_no_document_is_refused(database_url: str, body: bytes) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            answer = await put(api, "chat", body)
            assert (answer.status, answer.code) == (400, "malformed_request")
            assert (await put(api, "chat", b"{}", content_type="text/plain")).status == 415
            assert (await put(api, "chat", {}, idempotency_key="a b")).code == "idempotency_key_invalid"

    run(scenario())


def test_what_can_be_no_namespace_is_refused_on_writes_and_never_there(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            for name in ("a", "a%20b", "caf%C3%A9", "a:b", "a%2Fb", "x" * 256, "chat%0A"):
                for answer in (await put(api, name, {}), await patch(api, name, {})):
                    assert (answer.status, answer.body["errors"][0]["parameter"]) == (422, "name")
                assert (await api.get(f"{PATH}/{name}")).status == 404
                assert (await api.call("DELETE", f"{PATH}/{name}")).status == 404
            for name in ("_", "aa", "-.", "A_1.x", "x" * 255):
                assert (await put(api, name, {})).status == 201

    run(scenario())


def test_the_list_goes_by_name_in_pages(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            for name in ("cc", "aa", "_", "bb"):
                await put(api, name, {})
            page = (await api.get(f"{PATH}?limit=3")).body
            assert [one["name"] for one in page["data"]] == ["_", "aa", "bb"]
            assert page["has_more"]
            rest = (await api.get(f"{PATH}?limit=3&cursor={page['next_cursor']}")).body
            assert ([one["name"] for one in rest["data"]], rest["has_more"]) == (["cc"], False)
            assert (await api.get(f"{PATH}?limit=101")).status == 422
            assert (await api.get(f"{PATH}?sort=name")).code == "unknown_parameter"

    run(scenario())


def test_keys_need_the_scopes_of_channels(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            reader, other = await api.key_with("channels:read"), await api.key_with("organization:write")
            assert (await api.call("GET", PATH, key=reader)).status == 200
            refused = await api.call("PUT", CHAT, {}, key=reader)
            assert (refused.status, refused.body["required_scope"]) == (403, "channels:write")
            assert (await api.call("GET", PATH, key=other)).status == 403

    run(scenario())


def test_an_organization_has_a_limited_number_of_them(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            database = await Database.open(database_url, 1)
            rules = RuleStore(database)
            try:
                for number in range(NAMESPACES_MAX - 1):
                    await rules.change_namespace(
                        api.organization.organization_id, f"n{number:04}", lambda _stored, _count: Options()
                    )
            finally:
                await database.close()
            assert (await put(api, "last", {})).status == 201
            refused = await put(api, "more", {})
            assert (refused.status, refused.code) == (422, "rule_violated")
            assert (await put(api, "last", {"presence": True})).status == 200

    run(scenario())


def test_few_of_them_have_an_expression_that_compiles_to_much(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            for number in range(HEAVY_OF_ORGANIZATION_MAX):
                heavy = {"channel_regex": rf"^\pL{{1,20}}x{number}$"}
                assert (await put(api, f"n{number}", heavy)).status == 201
            refused = await put(api, "more", {"channel_regex": r"^\pL{1,20}y$"})
            assert (refused.status, refused.code) == (422, "rule_violated")
            assert "64 KiB" in refused.body["detail"]
            assert (await put(api, "n0", {"channel_regex": r"^\pL{1,20}y$"})).status == 200
            assert (await put(api, "more", {"channel_regex": "^[a-z]{1,20}$"})).status == 201

    run(scenario())


def test_a_namespace_is_in_force_for_whoever_publishes_soon_after(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            await put(api, "chat", {"channel_regex": "^[0-9]+$"})
            await api.until(422, "POST", "/v1/channels/chat:x/publications", {"data": 1})
            assert (await api.post("/v1/channels/chat:7/publications", {"data": 1})).status == 201
            batch = {"items": [{"channel": "chat:x", "data": 1}, {"channels": ["chat:7"], "data": 1}]}
            results = (await api.post("/v1/publish", batch)).body["results"]
            assert [result["status"] for result in results] == [422, 201]
            assert results[0]["error"]["errors"][0]["pointer"] == "#/channel"

    run(scenario())


def test_a_namespace_is_in_force_for_everybody_after_the_time_that_is_promised(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            assert (await api.post("/v1/channels/chat:x/publications", {"data": 1})).status == 201
            await put(api, "chat", {"channel_regex": "^[0-9]+$"})
            await asyncio.sleep(IN_FORCE_AFTER_S)
            assert (await api.post("/v1/channels/chat:x/publications", {"data": 1})).status == 422

    run(scenario())


def test_what_is_published_to_an_ephemeral_channel_is_passed_on_and_not_kept(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            await put(api, "typing", {"ephemeral": True})
            await api.until(200, "POST", "/v1/channels/typing:1/publications", {"data": 1})
            kept = (await api.get("/v1/channels/typing:1/publications")).body["offset"]
            answer = await api.post("/v1/channels/typing:1/publications", {"data": 1})
            assert answer.body == {"object": "publication", "channel": "typing:1", "ephemeral": True}
            assert "location" not in answer.headers
            items = [
                {"channels": ["typing:1", "typing:2"], "data": 1},
                {"channel": "room:1", "data": 1},
                {"channels": ["typing:1", "room:1"], "data": 1},
            ]
            results = (await api.post("/v1/publish", {"items": items})).body["results"]
            assert results[:2] == [
                {"index": 0, "status": 200, "channel": channel, "ephemeral": True}
                for channel in ("typing:1", "typing:2")
            ]
            assert (results[2]["status"], results[2]["offset"]) == (201, 1)
            assert [result["status"] for result in results[3:]] == [422, 422]
            assert results[3]["error"]["errors"][0]["pointer"] == "#/channels"
            assert (await api.get("/v1/channels/typing:1/publications")).body["offset"] == kept

    run(scenario())


def test_a_key_reads_the_log_whatever_a_namespace_shows(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            await put(api, "chat", {})
            await put(api, "shown", {"channel_regex": "^1$"})
            await api.until(422, "POST", "/v1/channels/shown:2/publications", {"data": 1})
            assert (await api.post("/v1/channels/chat:1/publications", {"data": 1})).status == 201
            page = (await api.get("/v1/channels/chat:1/publications")).body
            assert [one["offset"] for one in page["data"]] == [1]

    run(scenario())


def test_the_namespace_of_the_system_is_not_configured(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            for method in ("PUT", "PATCH"):
                answer = await api.call(method, "/v1/channel_namespaces/tidings", {"presence": True})
                assert answer.status == 422, answer.raw
                assert answer.body["errors"][0]["code"] == "not_allowed"
            for method in ("GET", "DELETE"):
                assert (await api.call(method, "/v1/channel_namespaces/tidings")).status == 404
            answer = await api.post("/v1/channels/tidings:occupancy/publications", {"data": 1})
            assert (answer.status, answer.code) == (403, "permission_denied")
            assert "the system's own channel" in answer.body["detail"]
            answer = await api.post("/v1/publish", {"items": [{"channel": "tidings:occupancy", "data": 1}]})
            assert answer.body["results"][0]["status"] == 403
            assert (await api.get("/v1/channels/tidings:occupancy/publications")).body["data"] == []

    run(scenario())

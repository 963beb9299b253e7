"""The organization itself over REST: what it is, and what it chooses."""

from typing import Any

import pytest

from tests.helpers.loop import run
from tests.helpers.rest import rest_of

PATH = "/v1/organization"


def test_an_organization_shows_itself_and_no_secret(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            shown = await api.get(PATH)
            assert (shown.status, shown.headers["etag"]) == (200, '"r1"')
            body = shown.body
            assert body.pop("id").startswith("org_")
            assert body.pop("created_at") <= body.pop("updated_at")
            assert body == {
                "object": "organization",
                "environment": "test",
                "status": "active",
                "version": 1,
                "name": "test",
                "client_publish": False,
                "anonymous": False,
                "client_insecure": False,
                "unknown_namespaces": "allow",
                "require_idempotency_key": False,
                "disallow_anonymous_tokens": False,
                "user_personal_channel": {"enabled": False, "namespace": "", "single_connection": False},
                "channels_max": 0,
                "connections_per_user_max": 0,
                "channel_characters_max": 255,
            }
            assert api.organization.token_secret not in shown.raw
            assert (await api.get(PATH, if_none_match='"r1"')).status == 304

    run(scenario())


def test_a_patch_changes_what_it_names(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            first = await api.call(
                "PATCH", PATH, {"user_personal_channel": {"enabled": True, "namespace": "users"}}
            )
            assert (first.status, first.headers["etag"]) == (200, '"r2"')
            second = await api.call(
                "PATCH",
                PATH,
                {"name": "Acme", "channels_max": 9, "user_personal_channel": {"single_connection": True}},
                if_match='"r2"',
            )
            assert second.body["user_personal_channel"] == {
                "enabled": True,
                "namespace": "users",
                "single_connection": True,
            }
            assert (second.body["name"], second.body["channels_max"]) == ("Acme", 9)
            cleared = await api.call("PATCH", PATH, {"user_personal_channel": None, "channels_max": None})
            assert not cleared.body["user_personal_channel"]["enabled"]
            assert (cleared.body["name"], cleared.body["channels_max"]) == ("Acme", 0)
            assert (await api.call("PATCH", PATH, {})).raw == cleared.raw == (await api.get(PATH)).raw
            stale = await api.call("PATCH", PATH, {}, if_match='"r2"')
            assert (stale.status, stale.code) == (412, "precondition_failed")

    run(scenario())


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"telepathy": True}, "#/telepathy", "unknown_field"),
        ({"token_secret": "x"}, "#/token_secret", "unknown_field"),
        ({"status": "active"}, "#/status", "unknown_field"),
        ({"environment": "live"}, "#/environment", "unknown_field"),
        ({"name": None}, "#/name", "required"),
        ({"name": ""}, "#/name", "too_short"),
        ({"name": "a" * 201}, "#/name", "too_long"),
        ({"anonymous": "yes"}, "#/anonymous", "wrong_type"),
        ({"unknown_namespaces": "maybe"}, "#/unknown_namespaces", "not_allowed"),
        ({"channels_max": -1}, "#/channels_max", "too_small"),
        ({"channel_characters_max": 256}, "#/channel_characters_max", "too_large"),
        ({"user_personal_channel": True}, "#/user_personal_channel", "wrong_type"),
        ({"user_personal_channel": {"namespace": "a b"}}, "#/user_personal_channel/namespace", "pattern"),
        ({"user_personal_channel": {"namespace": "ab\n"}}, "#/user_personal_channel/namespace", "pattern"),
        ({"user_personal_channel": {"on": True}}, "#/user_personal_channel/on", "unknown_field"),
    ],
)
def test_a_fault_names_its_option(database_url: str, body: Any, pointer: str, code: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            before = (await api.get(PATH)).raw
            answer = await api.call("PATCH", PATH, body)
            assert (answer.status, answer.code) == (422, "validation_failed")
            assert [(one["pointer"], one["code"]) for one in answer.body["errors"]] == [(pointer, code)]
            assert (await api.get(PATH)).raw == before

    run(scenario())


def test_keys_need_the_scopes_of_the_organization(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            reader, other = await api.key_with("organization:read"), await api.key_with("channels:write")
            assert (await api.call("GET", PATH, key=reader)).status == 200
            refused = await api.call("PATCH", PATH, {"anonymous": True}, key=reader)
            assert (refused.status, refused.body["required_scope"]) == (403, "organization:write")
            assert (await api.call("GET", PATH, key=other)).status == 403
            assert (await api.call("PUT", PATH, {})).headers["allow"] == "GET, PATCH, HEAD, OPTIONS"

    run(scenario())


def test_what_is_chosen_is_in_force_soon_after(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            await api.call("PATCH", PATH, {"unknown_namespaces": "refuse", "channel_characters_max": 8})
            await api.until(404, "POST", "/v1/channels/chat:1/publications", {"data": 1})
            assert (await api.post("/v1/channels/room:123/publications", {"data": 1})).status == 201
            assert (await api.post("/v1/channels/room:1234/publications", {"data": 1})).status == 422

    run(scenario())

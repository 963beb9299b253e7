"""Who may use `/api`, and whose things it sees."""

import asyncio

import pytest

from adapters.postgres.codec import to_uuid
from tests.helpers.loop import run
from tests.helpers.rest import Answer
from tests.helpers.server_api import KEY, ServerApi, server_api_of

PUBLISH = {"channel": "a", "data": 1}


def test_a_key_is_found_where_clients_put_it(database_url: str) -> None:
    places: list[dict[str, str]] = [
        {"x_api_key": KEY},
        {"authorization": f"apikey {KEY}"},
        {"authorization": f"ApiKey {KEY}"},
        {"x_api_key": KEY, "authorization": "apikey wrong"},
    ]

    async def scenario() -> None:
        async with server_api_of(database_url) as api:
            for headers in places:
                assert (await api.post("/api/publish", PUBLISH, **headers)).status == 200, headers

    run(scenario())


def test_a_key_may_stand_in_the_query(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url) as api:
            assert (await api.post("/api/publish?api_key=old%20key", PUBLISH)).status == 200
            assert (await api.post("/api/publish?api_key=new%20key", PUBLISH)).status == 401
            assert (await api.post("/api/publish?api_key=x", PUBLISH, x_api_key=KEY)).status == 200

    run(scenario())


def test_whoever_brings_no_good_key_is_answered_with_nothing(database_url: str) -> None:
    bad: list[dict[str, str]] = [
        {"x_api_key": "wrong"},
        {"x_api_key": "wrong", "authorization": f"apikey {KEY}"},
        {"authorization": f"basic {KEY}"},
        {"authorization": KEY},
        {"x_api_key": "tdg_test_000000000000000000000000000000000000"},
        {"x_api_key": "\xff"},
    ]

    async def scenario() -> None:
        async with server_api_of(database_url) as api:
            for headers in bad:
                answer = await api.post("/api/publish", PUBLISH, **headers)
                assert (answer.status, answer.raw) == (401, b""), headers

    run(scenario())


def test_a_key_that_was_brought_along_opens_nothing_else(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url) as api:
            answer = await api.rest.call("GET", "/v1/events", key=KEY)
            assert (answer.status, answer.code) == (401, "credential_invalid")

    run(scenario())


def test_our_keys_open_it_within_their_scopes(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url) as api:
            reader = await api.rest.key_with("channels:read")
            writer = await api.rest.key_with("channels:write")

            async def code(method: str, key: str) -> int:
                request = {"channel": "a", "data": 1, "user": "u"}
                answer = await api.post(f"/api/{method}", request, authorization=f"Bearer {key}")
                return int(answer.body.get("error", {}).get("code", 0))

            for method in ("publish", "disconnect", "history_remove"):
                assert (await code(method, reader), await code(method, writer)) == (103, 0), method
            assert (await code("history", reader), await code("history", writer)) == (0, 0)
            answer = await api.post(
                "/api/publish", PUBLISH, x_api_key=reader, x_centrifugo_error_mode="transport"
            )
            assert answer.status == 403

    run(scenario())


async def keyless(api: ServerApi) -> Answer:
    return await api.post("/api/publish?x=1", PUBLISH)


def test_an_open_api_is_that_of_the_default_organization_alone(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url) as api:
            await api.put(is_open=True)
            assert (await keyless(api)).status == 401
            await api.rest.store.set_default_organization(api.rest.organization.organization_id, replace=True)
            answer = await keyless(api)
            assert (answer.status, answer.body["result"]["offset"]) == (200, 1)
            assert (await api.post("/api/publish", PUBLISH, x_api_key="wrong")).status == 200
            _, key = await api.rest.another("channels:write")
            assert (await api.post("/api/publish", PUBLISH, x_api_key=key)).body["result"]["offset"] == 1

    run(scenario())


def test_a_key_of_ours_that_is_no_good_any_more_opens_nobody_elses_api(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url) as api:
            store = api.rest.store
            await api.put(is_open=True)
            await store.set_default_organization(api.rest.organization.organization_id, replace=True)
            other, suspended = await api.rest.another("channels:write")
            api_key_id, revoked = await store.create_key(other, "old", ["channels:write"])
            assert await store.revoke_key(other.organization_id, api_key_id)
            row = to_uuid(other.organization_id)
            await api.execute("UPDATE organizations SET status = 'suspended' WHERE organization_id = $1", row)
            for key in (suspended, revoked):
                for headers in ({"x_api_key": key}, {"authorization": f"Bearer {key}"}):
                    answer = await api.post("/api/publish", PUBLISH, **headers)
                    assert (answer.status, answer.raw) == (401, b"")
            assert (await keyless(api)).body["result"]["offset"] == 1

    run(scenario())


def test_organizations_see_nothing_of_each_other(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url) as api:
            await api.result("publish", channel="a", data="ours", idempotency_key="k")
            _, key = await api.rest.another("channels:write")

            async def theirs(method: str, **request: object) -> object:
                return (await api.post(f"/api/{method}", request, x_api_key=key)).body["result"]

            page = await theirs("history", channel="a", limit=-1)
            assert isinstance(page, dict)
            assert (page["publications"], page["offset"]) == ([], 0)
            result = await theirs("publish", channel="a", data="theirs", idempotency_key="k")
            assert isinstance(result, dict)
            assert result["offset"] == 1
            await theirs("history_remove", channel="a")
            assert len((await api.result("history", channel="a", limit=-1))["publications"]) == 1

    run(scenario())


def test_a_suspended_organization_is_refused(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url) as api:
            await api.execute(
                "UPDATE organizations SET status = 'suspended' WHERE organization_id = $1", api.row
            )
            assert (await api.post("/api/publish", PUBLISH)).status == 403

    run(scenario())


def test_an_open_api_is_warned_of_at_each_start(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url) as api:
            await api.put(is_open=True)
            await api.rest.store.set_default_organization(api.rest.organization.organization_id, replace=True)
        assert "api.open" not in capsys.readouterr().out
        said = ""
        async with server_api_of(database_url, key="another"):
            for _ in range(100):
                said += capsys.readouterr().out
                if "api.open" in said:
                    return
                await asyncio.sleep(0.05)
        raise AssertionError(said)

    run(scenario())

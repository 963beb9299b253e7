"""Input that one of the layers behind would not have: refused at the gateway, or given back as it came."""

from typing import Any

import pytest

from tests.helpers.loop import run
from tests.helpers.rest import rest_of

SCHEMA = """{"title": "thing", "type": "object", "properties": {"v": {}},
    "x-tidings": {"collection": "things", "id_prefix": "thg", "index": ["v"]}}"""


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the option of a replica whose only type takes anything."""
    folder = tmp_path_factory.mktemp("schemas")
    (folder / "thing.json").write_text(SCHEMA)
    return {"schemas": folder}


@pytest.mark.parametrize(
    "body",
    [
        b'{"v":"a\\u0000"}', b'{"v":{"\\u0000":1}}', b'{"v":[[["\\u0000"]]]}',
        b'{"v":1,"metadata":{"k":"\\u0000"}}',
        b'{"v":1e16}', b'{"v":[1e308]}', b'{"v":1e-41}', b'{"v":9007199254740992.0}',
    ],
)  # fmt: skip
def test_what_can_not_be_stored_is_refused_before_others_share_its_fate(
    database_url: str, things: dict[str, Any], body: bytes
) -> None:
    async def scenario() -> None:
        async with rest_of(database_url, **things) as api:
            made = await api.call("PUT", "/v1/things/ext:a", {"v": 0})
            for method, path in (
                ("POST", "/v1/things"),
                ("PUT", "/v1/things/ext:a"),
                ("PATCH", made.headers["location"]),
            ):
                answer = await api.call(method, path, body)
                assert (answer.status, answer.code) == (400, "malformed_request"), answer.raw
            batch = b'{"items":[{"v":1},%b]}' % body
            results = (await api.call("POST", "/v1/things/batch", batch)).body["results"]
            assert [result["status"] for result in results] == [201, 400]
            atomic = await api.call("POST", "/v1/things/batch", batch[:-1] + b',"atomic":true}')
            assert (atomic.status, atomic.body["errors"][0]["pointer"]) == (422, "#/items/1")
            assert len((await api.get("/v1/things")).body["data"]) == 2

    run(scenario())


def test_a_number_is_given_back_as_it_was_answered(database_url: str, things: dict[str, Any]) -> None:
    async def scenario() -> None:
        async with rest_of(database_url, **things) as api:
            numbers = (
                b"[1.0,-0.0,0.1,1e-7,1.5e-40,123456789012345.6,0.30000000000000004,5e-5,-1.50,9007199254740991,"
                b"1e2,4.35,2.2250738585072014e-30]"
            )
            created = await api.post("/v1/things", b'{"v":%b}' % numbers)
            assert created.status == 201, created.raw
            assert b'"v":[1,0,0.1,' in created.raw
            assert (await api.get(created.headers["location"])).raw == created.raw
            same = await api.call("PATCH", created.headers["location"], b'{"v":%b}' % numbers)
            assert same.headers["etag"] == '"r1"'

    run(scenario())


@pytest.mark.parametrize(
    "path",
    [
        "/v1/things?v=a%00", "/v1/things?%00=1", "/v1/things?cursor=%00", "/v1/things?sort=%00",
        "/v1/things/%00",
        "/v1/things/ext:a%00", "/v1/things/a?expand=%00", "/v1/%00", "/v1/channels/a%00/publications",
        "/v1/events/evt_%00", "/v1/events?types=%00", "/v1/events?after=%00",
    ],
)  # fmt: skip
def test_a_nul_in_the_url_is_refused(database_url: str, things: dict[str, Any], path: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url, **things) as api:
            answer = await api.get(path)
            assert (answer.status, answer.code) == (400, "malformed_request"), answer.raw

    run(scenario())


@pytest.mark.parametrize(
    ("at", "status"),
    [
        ("0001-01-01T00:00:00%2B14:00", 422),
        ("9999-12-31T23:59:59-14:00", 422),
        ("0001-01-01T00:00:00Z", 200),
        ("9999-12-31T23:59:59.999999Z", 200),
    ],
)
def test_an_instant_outside_the_calendar_is_refused(database_url: str, at: str, status: int) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            for name in ("created_at[gte]", "updated_at[lt]"):
                answer = await api.get(f"/v1/rooms?{name}={at}")
                assert answer.status == status, answer.raw
                if status != 200:
                    assert answer.body["errors"][0]["parameter"] == name

    run(scenario())


def test_metadata_without_a_key_are_like_none(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            made = await api.post("/v1/rooms", {"name": "a", "metadata": {}})
            path = made.headers["location"]
            for body in ({"metadata": {}}, {"metadata": None}):
                assert (await api.call("PATCH", path, body)).headers["etag"] == '"r1"'
            assert (await api.call("PUT", path, {"name": "a"})).headers["etag"] == '"r1"'
            assert len((await api.get("/v1/events")).body["data"]) == 1

    run(scenario())


def test_patches_together_make_no_larger_object_than_one_request(
    database_url: str, things: dict[str, Any]
) -> None:
    async def scenario() -> None:
        async with rest_of(database_url, **things) as api:
            made = await api.post("/v1/things", {"v": {f"m{number}": 1 for number in range(999)}})
            path = made.headers["location"]
            assert (await api.call("PATCH", path, {"v": {"n": 1}})).status == 200
            answer = await api.call("PATCH", path, {"v": {"o": 1}})
            assert (answer.status, answer.body["errors"][0]["pointer"]) == (422, "#/v")

    run(scenario())

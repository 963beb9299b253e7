"""A batch under a key is one request: another body is refused whole, the same is completed, not repeated."""

import asyncio
from typing import Any

import pytest

from tests.helpers.loop import run
from tests.helpers.rest import Answer, Rest, rest_of

ROOMS = "/v1/rooms/batch"
PUBLISH = "/v1/publish"


def rooms(*names: Any) -> dict[str, Any]:
    return {"items": [{"name": name} for name in names]}


def publications(*data: Any) -> dict[str, Any]:
    return {"items": [{"channel": "a", "data": one} if one is not None else {"data": 1} for one in data]}


def is_mismatch(answer: Answer) -> bool:
    return (answer.status, answer.body.get("code")) == (422, "idempotency_mismatch")


async def types(api: Rest) -> list[str]:
    return [event["type"] for event in (await api.get("/v1/events")).body["data"]]


@pytest.mark.parametrize(
    ("path", "first", "other"),
    [
        (ROOMS, rooms(7, "a"), rooms(7, "a", "b")),
        (ROOMS, rooms("a"), rooms("b")),
        (ROOMS, rooms("a", "b"), rooms("a")),
        (ROOMS, {"items": [7]}, {"items": [8]}),
        (PUBLISH, publications(None, 1), publications(None, 1, 2)),
        (PUBLISH, publications(1), publications(2)),
        (ROOMS, {**rooms("a"), "atomic": True}, rooms("a")),
        (ROOMS, rooms("a"), {**rooms("a"), "atomic": True}),
        (ROOMS, rooms("a"), {"items": [7], "atomic": True}),
    ],
)
def test_another_body_under_the_key_is_refused_whole(
    database_url: str, path: str, first: dict[str, Any], other: dict[str, Any]
) -> None:
    """The first item told for all: where it was not valid or stood alone, nobody did."""

    async def scenario() -> None:
        async with rest_of(database_url) as api:
            assert (await api.post(path, first, idempotency_key="k")).status == 200
            before = await types(api)
            assert is_mismatch(await api.post(path, other, idempotency_key="k"))
            assert await types(api) == before

    run(scenario())


@pytest.mark.parametrize(("path", "body"), [(ROOMS, rooms("a", "b")), (PUBLISH, publications(1, 2))])
def test_the_key_of_a_batch_is_used_up_for_every_other_request(
    database_url: str, path: str, body: dict[str, Any]
) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            await api.post(path, body, idempotency_key="k")
            assert is_mismatch(await api.post("/v1/rooms", {"name": "c"}, idempotency_key="k"))
            await api.post("/v1/rooms", {"name": "c"}, idempotency_key="other")
            assert is_mismatch(await api.post(path, body, idempotency_key="other"))
            assert len(await types(api)) == 3

    run(scenario())


def test_a_batch_that_was_cut_in_half_is_completed_by_its_repetition(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            body = rooms("a", "b", "c")
            cut = asyncio.ensure_future(api.post(ROOMS, body, idempotency_key="k"))
            await asyncio.sleep(0)
            cut.cancel()  # whatever of it was under way
            answer = await api.post(ROOMS, body, idempotency_key="k")
            while answer.status == 409:
                answer = await api.post(ROOMS, body, idempotency_key="k")
            assert [result["status"] for result in answer.body["results"]] == [201, 201, 201]
            assert await types(api) == ["room.created"] * 3
            again = await api.post(ROOMS, body, idempotency_key="k")
            assert (again.raw, again.headers["idempotent-replayed"]) == (answer.raw, "true")

    run(scenario())


def test_the_same_batch_many_times_at_once_has_one_effect(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            body = rooms(*"abcde")
            answers = await asyncio.gather(*(api.post(ROOMS, body, idempotency_key="k") for _ in range(20)))
            for answer in answers:
                assert answer.status in (200, 409), answer.raw
                if answer.status == 409:
                    assert (answer.code, answer.headers["retry-after"]) == ("idempotency_in_flight", "1")
                else:
                    assert [result["status"] for result in answer.body["results"]] == [201] * 5
            assert await types(api) == ["room.created"] * 5

    run(scenario())


def test_refusals_that_were_stored_count_as_replayed(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            await api.post("/v1/rooms", {"name": "x", "external_id": "x"})
            body = {"items": [{"name": "x", "external_id": "x"}, {"name": "y", "external_id": "y"}]}
            first = await api.post(ROOMS, body, idempotency_key="k")
            assert [result["status"] for result in first.body["results"]] == [409, 201]
            assert "idempotent-replayed" not in first.headers
            again = await api.post(ROOMS, body, idempotency_key="k")
            assert (again.raw, again.headers["idempotent-replayed"]) == (first.raw, "true")
            part = {"items": [{**body["items"][0], "idempotency_key": "own"}, {"name": "z"}]}
            for _ in range(2):
                assert "idempotent-replayed" not in (await api.post(ROOMS, part)).headers

    run(scenario())

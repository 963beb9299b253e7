"""What a batch answers for each of its items, and which of them it names."""

from typing import Any

import pytest

from tests.helpers.loop import run
from tests.helpers.rest import Rest, rest_of

ROOMS = "/v1/rooms/batch"
PUBLISH = "/v1/publish"


async def types(api: Rest) -> list[str]:
    return [event["type"] for event in (await api.get("/v1/events")).body["data"]]


@pytest.mark.parametrize(
    ("items", "pointer"),
    [
        ([{"nam": "x"}, 7], "#/items/0/nam"),
        ([{"name": "x"}, 7, {"nam": "x"}], "#/items/1"),
        ([{"name": "x", "external_id": "taken"}, 7], "#/items/0"),
        ([{"name": "x"}, {"name": "x", "external_id": "not free"}], "#/items/1/external_id"),
        ([{"name": "x"}, {"name": "x", "idempotency_key": "own"}], "#/items/1/idempotency_key"),
    ],
)  # fmt: skip
def test_an_atomic_batch_names_its_first_failing_item(
    database_url: str, items: list[Any], pointer: str
) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            await api.post("/v1/rooms", {"name": "x", "external_id": "taken"})
            for key in ({}, {"idempotency_key": "k"}):
                answer = await api.post(ROOMS, {"items": items, "atomic": True}, **key)
                assert (answer.status, answer.code) == (422, "validation_failed")
                assert pointer in [fault["pointer"] for fault in answer.body["errors"]]
            assert len(await types(api)) == 1

    run(scenario())


def test_a_refused_item_is_told_of_for_each_channel_that_it_names(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            items = [{"channels": ["a", "b"], "dat": 1}, {"channel": "caf\u00e9", "data": 1}, 7]
            results = (await api.post(PUBLISH, {"items": items})).body["results"]
            told = [(result["index"], result["status"], result.get("channel")) for result in results]
            assert told == [(0, 422, "a"), (0, 422, "b"), (1, 422, "caf\u00e9"), (2, 422, None)]

    run(scenario())


def test_the_pairs_of_item_and_channel_are_counted_in_advance(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url, publish_entries_max=4) as api:
            items = [{"channels": ["a", "b"], "data": 1}, {"channels": ["a", "b"], "x": 1}]
            assert (await api.post(PUBLISH, {"items": items})).status == 200
            answer = await api.post(PUBLISH, {"items": [*items, {"channel": "a", "data": 1}]})
            assert (answer.status, answer.body["errors"][0]["pointer"]) == (422, "#/items")
            assert (await api.get("/v1/channels/a/publications")).body["offset"] == 1

    run(scenario())


def test_the_name_of_an_unknown_member_is_shown_as_a_pointer_and_not_at_length(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            answer = await api.post(ROOMS, {"items": [{"name": "a"}], "a/b~c": 1})
            assert [fault["pointer"] for fault in answer.body["errors"]] == ["#/a~1b~0c"]
            answer = await api.post(ROOMS, {"items": [{"name": "a"}], "x" * 50_000: 1})
            assert len(answer.raw) < 2_000
            answer = await api.post("/v1/rooms", {"name": "a", "x" * 50_000: 1})
            assert len(answer.raw) < 2_000

    run(scenario())

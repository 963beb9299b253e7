"""Lists are read to their end by the links that they give, and none ends before its end."""

import re

import pytest

from tests.helpers.loop import run
from tests.helpers.rest import Answer, Rest, rest_of


def link(answer: Answer, relation: str) -> str | None:
    """Return where a `Link` header leads, exactly as it stands there."""
    found = re.search(rf'<([^>]*)>; rel="{relation}"', answer.headers.get("link", ""))
    return None if found is None else found[1]


async def followed(api: Rest, path: str) -> list[int]:
    """Return the data of all entries from the first page to the last, by `Link` headers alone."""
    seen: list[int] = []
    following: str | None = path
    while following is not None:
        answer = await api.get(following)
        assert answer.status == 200, answer.raw
        seen += [entry["seq"] for entry in answer.body["data"]]
        following = link(answer, "next")
        assert answer.body["has_more"] is (following is not None)
    return seen


async def write(api: Rest, count: int, data: str = "x", channel: str = "news") -> None:
    for _ in range(count):
        answer = await api.post(f"/v1/channels/{channel}/publications", {"data": data})
        assert answer.status == 201


@pytest.mark.parametrize(
    "query",
    [
        "/v1/events?limit=2&after=1",
        "/v1/events?limit=2&after=1&types=publication.*",
        "/v1/channels/a%3Eb%2Fc/publications?limit=2&after=1",
    ],
)
def test_the_links_of_a_list_that_was_begun_at_a_position_lead_to_its_end(
    database_url: str, query: str
) -> None:
    """The link left `after` out, which its cursor was signed with."""

    async def scenario() -> None:
        async with rest_of(database_url) as api:
            await write(api, 6, channel="a%3Eb%2Fc")
            assert await followed(api, query) == [2, 3, 4, 5, 6]
            # Whoever adds the cursor to what he asked first gets the same.
            page = (await api.get(query)).body
            again = await api.get(f"{query}&cursor={page['next_cursor']}")
            assert [entry["seq"] for entry in again.body["data"]] == [4, 5]

    run(scenario())


@pytest.mark.parametrize(
    "query",
    [
        "/v1/events?types=publication.*",
        "/v1/events",
        "/v1/channels/news/publications",
        "/v1/channels/news/publications?sort=-offset",
    ],
)
def test_a_page_that_its_bytes_have_cut_is_not_the_last(database_url: str, query: str) -> None:
    """Whether more existed was judged by data alone, while data and envelopes had cut the page."""

    async def scenario() -> None:
        # Two publications of 500 bytes are below the limit, and are above it with their envelopes.
        async with rest_of(database_url, page_bytes_max=1_010) as api:
            await write(api, 5, "x" * 498)
            assert sorted(await followed(api, query)) == [1, 2, 3, 4, 5]

    run(scenario())


def test_the_links_of_a_list_of_resources_lead_both_ways(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            for number in range(5):
                await api.post("/v1/rooms", {"name": f"r{number}"})
            path = "/v1/rooms?limit=2&created_at[gte]=2026-01-01T00:00:00%2B00:00&sort=created_at"
            answers = [await api.get(path)]
            while following := link(answers[-1], "next"):
                answers.append(await api.get(following))
            names = [[room["name"] for room in answer.body["data"]] for answer in answers]
            assert names == [["r0", "r1"], ["r2", "r3"], ["r4"]]
            before = link(answers[-1], "prev")
            assert before is not None
            assert [room["name"] for room in (await api.get(before)).body["data"]] == ["r2", "r3"]

    run(scenario())

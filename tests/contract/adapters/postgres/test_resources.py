"""Search in resources: by words, inside one organization, by an index that is its type's own."""

import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from adapters.postgres.codec import to_uuid
from adapters.postgres.pool import Database
from adapters.postgres.resources import ResourceReader, ensure_indexes, index_name
from adapters.schemas import load_catalog
from core.resources.filter import ListQuery, parse_list_query
from core.resources.schema import Catalog
from tests.helpers.log import make_organization, new_id
from tests.helpers.loop import run
from tests.helpers.owners import SCHEMAS

CATALOG = load_catalog(SCHEMAS)
ROOM = CATALOG.by_name["room"]
SEARCH_INDEX = index_name("room", "search", "name", "topic")
INSERT = """
INSERT INTO resources (organization_id, type, id, data, version, created_at, updated_at)
VALUES ($1, $2, $3, $4::jsonb, 1, now(), now())
"""


def asking(text: str, **parameters: str) -> ListQuery:
    return parse_list_query(CATALOG, ROOM, {"q": text, **parameters})


@asynccontextmanager
async def rooms(url: str, *topics: str) -> AsyncIterator[tuple[Database, bytes]]:
    """Give a database with a room for each topic, in an organization of their own."""
    organization_id = await make_organization(url)
    database = await Database.open(url, 2)
    try:
        for topic in topics:
            await add(database, organization_id, "room", {"name": "Lobby", "topic": topic})
        await ensure_indexes(database, CATALOG)
        yield database, organization_id
    finally:
        await database.close()


async def add(database: Database, organization_id: bytes, type_: str, data: dict[str, Any]) -> None:
    id_ = to_uuid(new_id())
    await database.execute(INSERT, to_uuid(organization_id), type_, id_, orjson.dumps(data).decode())


async def found(database: Database, organization_id: bytes, text: str, **parameters: str) -> list[str]:
    query = asking(text, **parameters)
    rows = await ResourceReader(database).page(organization_id, query, None, 100)
    return [orjson.loads(row.data)["topic"] for row in rows]


@pytest.mark.parametrize(
    ("text", "topics"),
    [
        ("apples", ["Red apples"]),
        ("APPLES red", ["Red apples"]),
        ("lobby", ["Über pears, 'quoted' \\ and more", "Red pears", "Red apples"]),
        ("lobby red -apples", ["Red pears"]),
        ('"red pears"', ["Red pears"]),
        ('"pears red"', []),
        ("apples or über", ["Über pears, 'quoted' \\ and more", "Red apples"]),
        ("apple", []),
        ("'quoted' \\", ["Über pears, 'quoted' \\ and more"]),
        ("!&|():*<->", []),
        ("?!", []),
    ],
)
def test_a_search_finds_by_words(database_url: str, text: str, topics: list[str]) -> None:
    async def work() -> None:
        fruits = ("Red apples", "Red pears", "Über pears, 'quoted' \\ and more")
        async with rooms(database_url, *fruits) as (database, organization_id):
            assert await found(database, organization_id, text) == topics

    run(work())


def test_a_search_goes_with_filters_and_order(database_url: str) -> None:
    async def work() -> None:
        async with rooms(database_url, "b", "a", "c") as (database, organization_id):
            by_age = await found(database, organization_id, "lobby", sort="created_at", name="Lobby")
            assert by_age == ["b", "a", "c"]
            assert await found(database, organization_id, "lobby", name="Other") == []

    run(work())


def test_no_search_finds_what_is_anothers(database_url: str) -> None:
    async def work() -> None:
        async with rooms(database_url, "secret") as (database, _):
            other = await make_organization(database_url)
            assert await found(database, other, "secret") == []
            assert await found(database, other, f"secret or {other.hex()}") == []

    run(work())


def test_a_search_reads_what_its_index_names_and_no_more(database_url: str) -> None:
    async def work() -> None:
        async with rooms(database_url, "needle") as (database, organization_id):
            other = await make_organization(database_url)
            for number in range(300):
                await add(database, other, "room", {"name": "Lobby", "topic": f"needle {number}"})
                await add(database, organization_id, "room", {"name": "Lobby", "topic": f"hay {number}"})
            await database.execute("ANALYZE resources")
            seen: list[str] = []

            class Explaining(Database):
                async def fetch(self, query: str, *arguments: Any) -> list[Any]:
                    rows = await database.fetch(f"EXPLAIN (ANALYZE, COSTS off) {query}", *arguments)
                    seen.extend(row[0] for row in rows)
                    return []

            explaining = Explaining.__new__(Explaining)
            await ResourceReader(explaining).page(organization_id, asking("needle"), None, 10)
            plan = "\n".join(seen)
            assert f"Bitmap Index Scan on {SEARCH_INDEX}" in plan, plan
            assert "Rows Removed by Filter" not in plan, plan

    run(work())


def test_an_index_follows_the_fields_that_a_type_names(database_url: str) -> None:
    async def work() -> None:
        async with rooms(database_url) as (database, _):
            names = "SELECT indexname FROM pg_indexes WHERE indexname LIKE 'resources_by_room_search%'"
            assert [row[0] for row in await database.fetch(names)] == [SEARCH_INDEX]
            narrower = dataclasses.replace(ROOM, search=("name",))
            await ensure_indexes(database, Catalog([narrower]))
            assert [row[0] for row in await database.fetch(names)] == [index_name("room", "search", "name")]
            await ensure_indexes(database, Catalog([dataclasses.replace(ROOM, search=())]))
            assert await database.fetch(names) == []

    run(work())

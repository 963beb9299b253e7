"""Hot statements use their indexes, and look into no day that they need not."""

import re
from typing import Any

import asyncpg
import psycopg
import pytest

from adapters.postgres.arguments import referrer_branches
from adapters.postgres.pool import LOOK_UPS_BY_KEY
from adapters.postgres.queries import statements
from core.streams.append import Needs
from tests.helpers.log import LogWriter, make_days, make_organization, new_id
from tests.helpers.loop import run

BIG_TABLES = (
    "events",
    "channel_entries",
    "idempotency_keys",
    "resources",
    "channel_heads",
    "channel_floors",
    "channel_cursors",
    "stream_heads",
)
HOT = (
    "commit.append",
    "commit.read",
    "commit.heads_of_partition",
    "commit.take_partition",
    "commit.renew_partition",
    "channels.channel_heads",
    "channels.publications_after",
    "channels.publications_before",
    "cursors.acknowledge",
    "cursors.cursors",
    "cursors.cursors_of_channel",
    "cursors.cursors_of_user",
    "cursors.sweep",
    "streams.stream_head",
    "streams.events_after",
    "streams.events_after_of_types",
    "streams.event_by_id",
    "streams.visible_event_by_id",
    "streams.first_seq",
)


def plan_of(url: str, text: str) -> str:
    # A generic plan has no values for its parameters, so it must not be sent as a statement that takes some.
    with psycopg.connect(url, autocommit=True) as connection:
        for name, value in LOOK_UPS_BY_KEY.items():
            connection.execute(f"SET {name} = {value}")
        rows = connection.execute(f"EXPLAIN (GENERIC_PLAN) {text}".encode()).fetchall()
    return "\n".join(row[0] for row in rows)


def scanned_whole(plan: str) -> list[str]:
    names = re.findall(r"Seq Scan on (\w+)", plan)
    return [name for name in names if name.startswith(BIG_TABLES)]


def statement(name: str) -> str:
    noun, _, entry = name.partition(".")
    return statements(noun)[entry]


@pytest.mark.parametrize("name", HOT)
def test_a_hot_statement_scans_no_table_whole(database_url: str, name: str) -> None:
    plan = plan_of(database_url, statement(name))
    assert not scanned_whole(plan), plan
    assert "Hash Join" not in plan, plan
    assert "Merge Join" not in plan, plan


def test_a_page_of_a_channel_is_read_in_the_order_of_its_index(database_url: str) -> None:
    for name, order in (("publications_after", ""), ("publications_before", "Backward ")):
        plan = plan_of(database_url, statements("channels")[name])
        assert f"Index Scan {order}using channel_entries_" in plan or (
            f"Index Only Scan {order}using channel_entries_" in plan
        ), plan
        assert not re.search(r"^\s*->\s+Sort", plan, re.MULTILINE), plan


def test_the_log_is_read_in_the_order_of_its_index(database_url: str) -> None:
    plan = plan_of(database_url, statements("streams")["events_after"])
    assert not re.search(r"^\s*->\s+Sort", plan, re.MULTILINE), plan


async def days_visited(url: str, name: str, *arguments: Any) -> set[str]:
    connection = await asyncpg.connect(url, server_settings=LOOK_UPS_BY_KEY)
    try:
        rows = await connection.fetch(
            f"EXPLAIN (ANALYZE, COSTS off, TIMING off) {statement(name)}", *arguments
        )
    finally:
        await connection.close()
    plan = "\n".join(row[0] for row in rows)
    visited = {
        match[1]
        for match in re.finditer(r"(?:Scan|Insert) .*?on \w*?_(\d{8})(?: \w+)?(.*)", plan)
        if "never executed" not in match[2]
    }
    assert "Subplans Removed" in plan, plan
    return visited


def test_days_past_the_retention_are_left_out(database_url: str) -> None:
    async def work() -> None:
        await make_days(database_url, 10, 20, 40, 50)
        org = new_id()
        for name, arguments in (
            ("streams.events_after", (org, 0, 10, 10, 10**6, 30)),
            ("streams.first_seq", (org, 30)),
            ("channels.publications_after", (org, "a", 0, 10, 10, 10**6, 30)),
        ):
            values = [asyncpg.pgproto.pgproto.UUID(v) if v is org else v for v in arguments]
            assert len(await days_visited(database_url, name, *values)) <= 5  # of 8: two expired, one ahead

    run(work())


def test_an_append_opens_only_the_day_it_writes(database_url: str) -> None:
    async def work() -> None:
        writer = LogWriter(await make_organization(database_url))
        await writer.write(database_url, writer.event("a"))
        plan = plan_of(database_url, statement("commit.append"))
        assert not re.search(r"Insert on events_\d{8}", plan), plan  # rows are routed when they come

    run(work())


def test_referrers_are_found_by_the_index_of_their_field(database_url: str) -> None:
    branches, _ = referrer_branches(
        Needs(referrers={(new_id(), "message", "room_id", "room_1"), (new_id(), "message", "reply_to", "m")}),
        15,
    )

    async def work() -> None:
        connection = await asyncpg.connect(database_url)
        try:
            for field in ("room_id", "reply_to"):
                await connection.execute(
                    statements("resources")["make_field_index"].format(
                        name=f"by_{field}", field=f"'{field}'", type="'message'"
                    )
                )
        finally:
            await connection.close()
        plan = plan_of(database_url, f"{statement('commit.read')}\n{branches}")
        assert "by_room_id" in plan, plan
        assert "by_reply_to" in plan, plan

    run(work())

"""Migrations run up, down and up again; a second run changes nothing; newer data is refused."""

import asyncio
import time

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from adapters.postgres import migrate as module
from adapters.postgres.migrate import HEAD, DataFormatError, downgrade_to, migrate, upgrade_to
from adapters.postgres.pool import Database
from tests.helpers.loop import run

SHAPE = """
SELECT c.table_name, c.column_name, c.data_type, c.is_nullable, c.column_default
  FROM information_schema.columns c WHERE c.table_schema = 'public' ORDER BY 1, 2
"""
INDEXES = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"
FUNCTIONS = (
    "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1"
)


async def shape_of(url: str) -> list[list[tuple[object, ...]]]:
    database = await Database.open(url, 1)
    try:
        return [[tuple(row) for row in await database.fetch(q)] for q in (SHAPE, INDEXES, FUNCTIONS)]
    finally:
        await database.close()


async def execute(url: str, statement: str) -> None:
    database = await Database.open(url, 1)
    try:
        await database.execute(statement)
    finally:
        await database.close()


def test_a_second_run_changes_nothing_and_is_fast(database_url: str) -> None:
    began = time.monotonic()
    assert run(migrate(database_url, partitions=4, ahead_days=2)) is False
    assert time.monotonic() - began < 1.5


def test_up_down_up_ends_where_it_began(database_url: str) -> None:
    before = run(shape_of(database_url))
    downgrade_to(database_url, "base")
    empty = run(shape_of(database_url))
    assert {row[0] for row in empty[0]} <= {"alembic_version"}
    assert empty[2] == []
    upgrade_to(database_url, "head")
    assert run(migrate(database_url, partitions=4, ahead_days=2)) is False
    assert run(shape_of(database_url)) == before


def test_this_release_knows_its_newest_revision() -> None:
    config = Config()
    config.set_main_option("script_location", module.__file__.replace("migrate.py", "migrations"))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_several_processes_may_migrate_a_fresh_database_at_once(database_url: str) -> None:
    downgrade_to(database_url, "base")

    async def work() -> None:
        changed = await asyncio.gather(*(migrate(database_url, partitions=4, ahead_days=2) for _ in range(3)))
        assert sorted(changed) == [False, False, True]

    run(work())


def test_the_number_of_partitions_is_fixed_at_first_start(database_url: str) -> None:
    async def work() -> None:
        await migrate(database_url, partitions=9, ahead_days=2)
        database = await Database.open(database_url, 1)
        try:
            assert await database.fetchval("SELECT count(*) FROM partitions") == 4
        finally:
            await database.close()

    run(work())


@pytest.mark.parametrize(
    "newer",
    ["UPDATE installation SET data_format = 2", "UPDATE alembic_version SET version_num = '9999'"],
)
def test_data_of_a_newer_release_is_refused(database_url: str, newer: str) -> None:
    run(execute(database_url, newer))
    with pytest.raises(DataFormatError, match="start the newer release"):
        run(migrate(database_url, partitions=4, ahead_days=2))

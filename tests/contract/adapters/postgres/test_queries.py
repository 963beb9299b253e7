"""Statements come from files by name, and a name becomes a literal that means itself."""

import asyncpg
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.postgres.queries import statements, to_literal
from tests.helpers.loop import run

NOUNS = ("auth", "channels", "commit", "maintenance", "migrate", "pool", "resources", "streams")
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\\\0"))


def test_a_statement_is_found_by_the_name_above_it() -> None:
    found = statements("commit")
    assert list(found)[:3] == ["take_partition", "force_partition", "renew_partition"]
    assert found["renew_partition"].startswith("-- Prolong the lease.")
    assert found["renew_partition"].endswith("RETURNING clock_timestamp() AS database_now")


@pytest.mark.parametrize("noun", NOUNS)
def test_no_statement_runs_into_the_next(noun: str) -> None:
    for name, statement in statements(noun).items():
        assert f"-- {name} --" not in statement
        assert not statement.endswith(";"), f"{noun}.{name}: statements end without a semicolon"


def test_a_file_that_is_missing_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        statements("nothing")


@given(TEXTS)
def test_a_literal_holds_nothing_but_its_text(text: str) -> None:
    literal = to_literal(text)
    inside = literal[1:-1]
    assert literal[0] == literal[-1] == "'"
    assert inside.replace("''", "") == text.replace("'", "")
    assert inside.count("'") == 2 * text.count("'")


def test_the_server_reads_a_literal_as_its_text(database_url: str) -> None:
    hostile = ["", "'", "''", "a'; DROP TABLE events; --", '"', "$1", "%s", "{name}", "ß\u2028😀", "--", "/*"]

    async def work() -> None:
        connection = await asyncpg.connect(database_url)
        try:
            for text in hostile:
                assert await connection.fetchval(f"SELECT {to_literal(text)}") == text
        finally:
            await connection.close()

    run(work())


@pytest.mark.parametrize("text", ["\\", "a\\'", "\0", "na\0me"])
def test_what_a_server_could_read_in_two_ways_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no name of a field or type"):
        to_literal(text)


def test_every_statement_without_a_hole_is_understood_by_the_server(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        for noun in NOUNS:
            for name, statement in statements(noun).items():
                if "{" in statement:
                    continue
                assert connection.pgconn.prepare(name.encode(), statement.encode()).status in {0, 1}, (
                    f"{noun}.{name}: {connection.pgconn.error_message.decode()}"
                )
                connection.pgconn.exec_(f"DEALLOCATE {name}".encode())
